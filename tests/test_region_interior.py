import dataclasses

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from random_networks import random_network
from scipy import optimize, sparse

from pyomo_relugrad.network import Network
from pyomo_relugrad.problem import EmbeddedNetwork, Problem, ReducedObjective
from pyomo_relugrad.programs import LinearProgram
from pyomo_relugrad.run import Budget
from pyomo_relugrad.search.regions.facets import FacetProgram
from pyomo_relugrad.search.regions.interior_point import InteriorPointProgram
from pyomo_relugrad.search.regions.layout import ReducedLayout, layout_of
from pyomo_relugrad.search.regions.primal_dual import Iterate, NewtonSystem, UnitBoxProgram
from pyomo_relugrad.search.regions.program import RegionProgram, first_facets
from pyomo_relugrad.search.regions.region import Region
from pyomo_relugrad.search.regions.unit_box import MAX_ROWS, UnitBoxRegion
from pyomo_relugrad.solve import array_problem

INF = np.inf
seeds = st.integers(0, 10**6)


def polytope_problem(seed, sizes=(12, 30, 20, 1)):
    """A network over a box of uneven sides, one of them closed, with two rows, one of them two-sided."""
    random = np.random.default_rng(seed)
    n = sizes[0]
    lower, upper = -random.uniform(0.1, 3.0, n), random.uniform(0.1, 3.0, n)
    lower[0] = upper[0]
    rows = np.concatenate([random.normal(size=(2, n)), np.zeros((2, 1))], axis=1)
    middle = 0.5 * (lower + upper)
    activity = rows[:, :n] @ middle
    return Problem(
        cost=np.concatenate([np.zeros(n), [-1.0]]),
        lower=np.append(lower, -INF),
        upper=np.append(upper, INF),
        rows=sparse.csr_array(rows),
        row_lower=np.array([activity[0] - 0.5, -INF]),
        row_upper=activity + 0.7,
        networks=(EmbeddedNetwork(random_network(sizes, seed), list(range(n)), [n]),),
    )


def region_at_the_middle(problem):
    objective = ReducedObjective(problem)
    lower, upper = problem.lower[objective.columns], problem.upper[objective.columns]
    return Region.at(objective, 0.5 * (lower + upper))


def by_interior_point(problem, region, n_facets=400):
    limits = layout_of(region.objective).limits(region)
    return InteriorPointProgram(UnitBoxRegion(region, limits), n_facets)


def facet_program(region):
    problem, columns = region.objective.problem, region.objective.columns
    return FacetProgram(layout_of(region.objective), problem.lower[columns], problem.upper[columns])


def exact_optimum(problem, region):
    """scipy's optimum over all facets, rows and bounds."""
    columns = region.objective.columns
    normals = region.gradients(np.arange(region.signs.size)) * region.signs[:, None]
    sides = normals @ region.u - region.signs * region.preactivations
    rows = problem.rows[:, columns].toarray()
    below, above = np.isfinite(problem.row_lower), np.isfinite(problem.row_upper)
    solution = optimize.linprog(
        region.gradient,
        np.concatenate([-normals, -rows[below], rows[above]]),
        np.concatenate([-sides, -problem.row_lower[below], problem.row_upper[above]]),
        bounds=np.stack([problem.lower[columns], problem.upper[columns]], axis=1),
    )
    assert solution.status == 0
    return solution


@settings(max_examples=30, deadline=None, derandomize=True)  # nearly flat programs keep a residual; 1 of 1000
@given(seed=seeds)
def test_the_interior_point_method_ends_at_the_optimum_of_a_linear_program(seed):
    random = np.random.default_rng(seed)
    rows = random.normal(size=(15, 8))
    rows /= np.linalg.norm(rows, axis=1)[:, None]
    inside = random.uniform(0.2, 0.8, 8)
    program = UnitBoxProgram(-random.normal(size=8), rows, random.uniform(0.05, 0.5, 15) - rows @ inside)
    iterate = Iterate.start(program, np.full(8, 0.5), 0.1)
    for _ in range(40):
        if iterate.gap < 1e-9:
            break
        direction, primal, dual = NewtonSystem(program, iterate).step()
        iterate = iterate.moved(direction, primal, dual)
        assert iterate.primal.min() > 0
        assert iterate.dual.min() > 0
    exact = optimize.linprog(program.cost, -rows, program.offsets, bounds=(0, 1))
    assert program.cost @ iterate.x == pytest.approx(exact.fun, abs=1e-7)
    assert np.abs(program.slack(iterate.x) - iterate.slack).max() < 1e-7


def iterations_to(gap, program, **options):
    iterate = Iterate.start(program, np.full(program.cost.size, 0.5), 0.1)
    for count in range(60):
        if iterate.gap < gap:
            return count
        iterate = iterate.moved(*NewtonSystem(program, iterate).step(**options))
    return 60


def test_the_correctors_save_iterations():
    programs = []
    for seed in range(10):
        random = np.random.default_rng(seed)
        rows = random.normal(size=(40, 30))
        rows /= np.linalg.norm(rows, axis=1)[:, None]
        programs.append(
            UnitBoxProgram(-random.normal(size=30), rows, random.uniform(0.05, 0.5, 40) - rows.sum(axis=1) / 2)
        )
    count = sum(iterations_to(1e-8, program) for program in programs)
    assert count <= 82
    assert sum(iterations_to(1e-8, program, max_correctors=0) for program in programs) > count


@settings(max_examples=20, deadline=None)
@given(seed=seeds)
def test_rows_that_come_and_go_leave_an_iterate_dual_feasible(seed):
    random = np.random.default_rng(seed)
    rows = random.normal(size=(6, 5))
    program = UnitBoxProgram(-random.normal(size=5), rows, np.full(6, 1.0))
    iterate = Iterate.start(program, np.full(5, 0.3), 0.1)
    further = random.normal(size=(3, 5))
    grown, more = program.with_rows(further, np.ones(3)), iterate.with_rows(further, np.full(3, 0.2))
    kept = random.random(9) < 0.6
    for at, where in ((program, iterate), (grown, more), (grown.only_rows(kept), more.only_rows(kept, grown.rows))):
        duals = where.dual[:5] - where.dual[5:10] + at.rows.T @ where.multipliers
        assert np.allclose(duals, at.cost)
        assert where.primal.size == 10 + len(at.rows)


@settings(max_examples=25, deadline=None)
@given(seed=seeds, n_facets=st.sampled_from([1, 5, 400]))
def test_a_regions_optimum_is_that_of_the_program_with_all_facets(seed, n_facets):
    problem = polytope_problem(seed)
    region = region_at_the_middle(problem)
    interior = by_interior_point(problem, region, n_facets)
    optimum = interior.solve(Budget())
    exact = exact_optimum(problem, region)
    if optimum is None:  # degenerate: the simplex method ends what was begun
        simplex = facet_program(region)
        simplex.start_with(interior.neurons, interior.guess())
        optimum = simplex.solve(region, Budget())
    assert optimum.is_exact
    assert region.gradient @ optimum.u == pytest.approx(exact.fun, abs=1e-7)
    values = region.preactivations + region.slopes((optimum.u - region.u)[None, :])[0]
    assert (region.signs * values).min() >= -1e-7
    assert np.allclose(values[optimum.binding], 0.0, atol=1e-7)


@settings(max_examples=15, deadline=None)
@given(seed=seeds)
def test_both_methods_agree_on_facets_and_multipliers(seed):
    problem = polytope_problem(seed)
    region = region_at_the_middle(problem)
    optimum = by_interior_point(problem, region).solve(Budget())
    other = facet_program(region).solve(region, Budget())
    if optimum is None or not np.allclose(optimum.u, other.u, atol=1e-6):
        reject()
    order, reordered = np.argsort(optimum.binding), np.argsort(other.binding)
    active, others = (set(found.binding[found.multipliers > 0].tolist()) for found in (optimum, other))
    assert active == others
    assert optimum.binding[order].tolist() == other.binding[reordered].tolist()
    assert np.allclose(optimum.multipliers[order], other.multipliers[reordered], atol=1e-6)


def test_a_vertex_that_is_not_the_optimum_is_not_taken_for_it():
    problem = polytope_problem(2)
    interior = by_interior_point(problem, region_at_the_middle(problem))
    assert interior.solve(Budget()) is not None
    assert interior._vertex() is not None
    interior._program = dataclasses.replace(interior._program, cost=-interior._program.cost)
    assert interior._vertex() is None


def test_feasible_is_what_lies_within_bounds_rows_and_facets():
    problem = polytope_problem(2)
    region = region_at_the_middle(problem)
    interior = by_interior_point(problem, region)
    x, normals = interior.region.origin, interior._program.rows
    nothing = np.zeros(len(normals), bool)
    assert not interior._is_feasible(x, ~nothing)
    assert interior._is_feasible(x, nothing)
    for row, distance in zip(normals, interior._program.slack(x), strict=True):
        beyond = x - (distance + 1e-6) * row
        if beyond.min() > 0 and beyond.max() < 1:
            assert not interior._is_feasible(beyond, nothing)
    assert not interior._is_feasible(np.where(np.arange(x.size) == 1, -1e-6, x), nothing)
    nearest = int(np.argmin(interior.region.margins / interior.region.lengths))
    interior._program = interior._program.only_rows(np.zeros(len(normals), bool))
    nothing = nothing[:0]
    _, normal, _ = interior.region.facets(np.array([nearest]))
    distance = interior.region.margins[nearest] / interior.region.lengths[nearest]
    assert interior._is_feasible(x, nothing)
    assert not interior._is_feasible(x - (distance + 1e-6) * normal[0], nothing)


def test_most_regions_need_no_simplex_method():
    problems = [array_problem(random_network((20, 60, 40, 1), seed), None, 0.0, 1.0) for seed in range(20)]
    optima = [by_interior_point(problem, region_at_the_middle(problem)).solve(Budget()) for problem in problems]
    assert sum(optimum is not None for optimum in optima) >= 17


def test_facets_that_coincide_are_solved_by_both_methods_in_turn():
    """Every neuron twice: no basis is the only one."""
    network = random_network((8, 25, 1), 3)
    hidden, output = network.layers
    weights = [np.repeat(hidden.weights[0], 2, axis=0), np.repeat(output.weights[0], 2, axis=1) / 2]
    problem = array_problem(Network.from_layers(weights, [np.repeat(hidden.bias, 2), output.bias]), None, -1.0, 1.0)
    region = region_at_the_middle(problem)
    program = RegionProgram(problem)
    program._is_far = lambda region: True
    optimum = program.solve(region, Budget())
    assert optimum.is_exact
    assert region.gradient @ optimum.u == pytest.approx(exact_optimum(problem, region).fun, abs=1e-7)


class FewLooks(Budget):
    """A budget whose time is over after so many looks at the clock."""

    def __init__(self, looks):
        super().__init__()
        self.looks = looks

    @property
    def remaining(self):
        self.looks -= 1
        return float(self.looks >= 0)


@pytest.mark.parametrize("seed", range(6))
def test_a_region_that_is_not_finished_in_time_gives_one_of_its_points(seed):
    problem = polytope_problem(seed)
    objective = ReducedObjective(problem)
    lower, upper = problem.lower[objective.columns], problem.upper[objective.columns]
    rows = problem.rows[:, objective.columns].toarray()
    along = np.random.default_rng(seed).normal(size=12) * (upper > lower)
    along -= np.linalg.pinv(rows * (upper > lower)) @ (rows @ along)  # keeps the rows' activity
    u = 0.5 * (lower + upper)
    u += along * np.min(0.5 * (upper - lower)[along != 0] / np.abs(along[along != 0]))  # as far as a bound
    region = Region.at(objective, np.clip(u, lower, upper))
    best = region.gradient @ by_interior_point(problem, region).solve(Budget()).u
    gains = []
    for looks in range(9):
        optimum = by_interior_point(problem, region).solve(FewLooks(looks))
        assert not optimum.is_exact
        values = region.preactivations + region.slopes((optimum.u - region.u)[None, :])[0]
        assert (region.signs * values).min() >= -1e-12
        activity = rows @ optimum.u
        assert (activity >= problem.row_lower - 1e-12).all()
        assert (activity <= problem.row_upper + 1e-12).all()
        gains.append(region.gradient @ (region.u - optimum.u))
        if region.gradient @ optimum.u < best + 1e-3:
            break
    assert min(gains) >= -1e-12
    assert gains[-1] > 0.5 * (region.gradient @ region.u - best)


@pytest.mark.parametrize("seed", [0, 1, 2, 4])  # of the last three, rows hold at the optimum
def test_the_simplex_method_needs_no_pivot_from_the_basis_of_the_optimum(seed, monkeypatch):
    problem = polytope_problem(seed)
    region = region_at_the_middle(problem)
    interior = by_interior_point(problem, region)
    optimum = interior.solve(Budget())
    simplex = facet_program(region)
    solutions = []
    solve = LinearProgram.solve
    monkeypatch.setattr(LinearProgram, "solve", lambda *a: solutions.append(solve(*a)) or solutions[-1])
    simplex.start_with(interior.neurons, interior.guess())
    assert np.allclose(simplex.solve(region, Budget()).u, optimum.u)
    assert [solution.iterations for solution in solutions] == [0]


def cancelling_problem(bias):
    """Thirty inputs, twenty neurons, and twelve above them that are constant but for rounding where all are active."""
    random = np.random.default_rng(5)
    first, shift = random.normal(size=(20, 30)), np.full(20, 20.0)
    pairs = random.integers(0, 20, size=(12, 2))
    weights = np.concatenate([first, first[pairs[:, 0]] + first[pairs[:, 1]]])
    second = np.concatenate([np.eye(20, 32), np.zeros((12, 32))])
    for row, (i, j) in enumerate(pairs.tolist()):
        second[20 + row, i] += 1.0
        second[20 + row, j] += 1.0
        second[20 + row, 20 + row] -= 1.0
    output = np.concatenate([random.normal(size=20), np.ones(12)])
    biases = [
        np.concatenate([shift, np.full(12, 40.0)]),
        np.concatenate([random.normal(size=20) - 18.0, np.full(12, bias)]),
        np.zeros(1),
    ]
    network = Network.from_layers([weights, second, output[None, :]], biases)
    return array_problem(network, None, 0.0, 1.0)


@pytest.mark.parametrize("bias", [0.0, 0.3])
@pytest.mark.parametrize("method", ["interior", "simplex"])
@pytest.mark.filterwarnings("error")
def test_neurons_that_are_constant_but_for_rounding_bound_nothing(bias, method):
    problem = cancelling_problem(bias)
    region = region_at_the_middle(problem)
    constant = np.arange(region.signs.size)[-12:]
    assert region.signs[:32].min() > 0
    assert not region.gradients(constant).any()
    if method == "interior":
        optimum = by_interior_point(problem, region).solve(Budget())
    else:
        optimum = facet_program(region).solve(region, Budget())
    others = np.arange(region.signs.size - 12)
    normals = region.gradients(others) * region.signs[others, None]
    sides = normals @ region.u - (region.signs * region.preactivations)[others]
    exact = optimize.linprog(region.gradient, -normals, -sides, bounds=(0, 1))
    assert optimum.is_exact
    assert region.gradient @ optimum.u == pytest.approx(exact.fun, abs=1e-7)


def test_a_region_without_facets_in_reach_ends_in_a_corner(capfd):
    network = Network.from_layers([np.eye(3), np.array([[1.0, -2.0, 3.0]])], [np.full(3, 50.0), [0.0]])
    problem = array_problem(network, None, 0.0, 1.0)
    optimum = by_interior_point(problem, region_at_the_middle(problem)).solve(Budget())
    assert optimum.u.tolist() == [1.0, 0.0, 1.0]
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_the_size_of_the_objective_changes_nothing(scale):
    problem = polytope_problem(4)
    region = region_at_the_middle(problem)
    scaled = dataclasses.replace(problem, cost=scale * problem.cost)
    other = region_at_the_middle(scaled)
    for solve in (
        lambda p, r: by_interior_point(p, r).solve(Budget()),
        lambda p, r: facet_program(r).solve(r, Budget()),
    ):
        one, two = solve(problem, region), solve(scaled, other)
        assert np.allclose(one.u, two.u, atol=1e-7)
        order, reordered = np.argsort(one.binding), np.argsort(two.binding)
        assert one.binding[order].tolist() == two.binding[reordered].tolist()
        assert two.multipliers[reordered] == pytest.approx(scale * one.multipliers[order], rel=1e-4)


def test_a_region_without_a_slope_is_left_to_the_simplex_method():
    network = Network.from_layers([np.eye(3), np.zeros((1, 3))], [np.zeros(3), [1.0]])
    problem = array_problem(network, None, -1.0, 1.0)
    region = Region.at(ReducedObjective(problem), np.full(3, 0.5))
    assert by_interior_point(problem, region).solve(Budget()) is None
    program = RegionProgram(problem)
    program._is_far = lambda region: True
    assert program.solve(region, Budget()).is_exact


def _methods_used(program, regions, monkeypatch):
    used = []
    solve = InteriorPointProgram.solve
    monkeypatch.setattr(
        InteriorPointProgram, "solve", lambda self, budget: used.append("interior") or solve(self, budget)
    )
    for region in regions:
        before = len(used)
        optimum = program.solve(region, Budget())
        if len(used) == before:
            used.append("simplex")
    return used, optimum


def test_regions_with_many_facets_go_to_the_interior_point_method(monkeypatch):
    large = array_problem(random_network((150, 400, 1), 0), None, 0.0, 1.0)
    used, optimum = _methods_used(RegionProgram(large), [region_at_the_middle(large)], monkeypatch)
    assert used == ["interior"]
    assert optimum.binding.size >= 40
    small = array_problem(random_network((5, 150, 1), 0), None, 0.0, 1.0)
    assert _methods_used(RegionProgram(small), [region_at_the_middle(small)], monkeypatch)[0] == ["simplex"]


def test_a_region_counts_as_an_iteration_and_an_unfinished_one_is_not_built_upon():
    large = array_problem(random_network((150, 400, 1), 0), None, 0.0, 1.0)
    program, region, budget = RegionProgram(large), region_at_the_middle(large), Budget()
    assert program.solve(region, budget).is_exact
    assert budget.iterations == 1
    assert program._is_far(region)
    assert not program.solve(region, FewLooks(2)).is_exact
    assert program._last is None


def test_nothing_is_begun_that_would_take_longer_than_what_is_left():
    problem = array_problem(random_network((150, 400, 1), 0), None, 0.0, 1.0)
    program, region = RegionProgram(problem), region_at_the_middle(problem)
    program._setup_seconds = 5.0
    optimum = program.solve(region, Budget(time_limit=4.0))
    assert not optimum.is_exact
    assert np.array_equal(optimum.u, region.u)


def test_large_programs_without_a_vertex_end_where_the_interior_point_method_does(monkeypatch):
    problem = array_problem(random_network((150, 400, 1), 0), None, 0.0, 1.0)
    region = region_at_the_middle(problem)
    best = RegionProgram(problem).solve(region, Budget())
    monkeypatch.setattr(InteriorPointProgram, "_vertex", lambda interior: None)
    handed_over = RegionProgram(problem).solve(region, Budget())
    assert handed_over.is_exact
    kept = RegionProgram(problem, max_coefficients=0).solve(region, Budget())
    assert not kept.is_exact
    for optimum in (handed_over, kept):
        assert region.gradient @ optimum.u == pytest.approx(region.gradient @ best.u, rel=1e-7)


def test_the_simplex_method_does_not_follow_when_too_little_time_is_left(monkeypatch):
    problem = array_problem(random_network((150, 400, 1), 0), None, 0.0, 1.0)
    program, region = RegionProgram(problem), region_at_the_middle(problem)
    budget = Budget(time_limit=1000.0)

    def degenerate(interior, _):
        budget.time_limit = 0.0  # as if it had taken all the time
        return

    monkeypatch.setattr(InteriorPointProgram, "solve", degenerate)
    optimum = program.solve(region, budget)
    assert not optimum.is_exact
    assert region.gradient @ (optimum.u - region.u) <= 0


def test_degenerate_regions_one_after_another_are_left_to_the_simplex_method(monkeypatch):
    problem = array_problem(random_network((150, 400, 1), 0), None, 0.0, 1.0)
    program, region = RegionProgram(problem), region_at_the_middle(problem)
    program.solve(region, Budget())
    used = []
    monkeypatch.setattr(InteriorPointProgram, "solve", lambda self, budget: used.append("interior"))
    for _ in range(5):
        program._n_new = 1000  # as if every optimum were far from the last
        assert program.solve(region, Budget()).is_exact
    assert used == ["interior"] * 3


def test_a_region_that_hardly_differs_goes_to_the_simplex_method(monkeypatch):
    problem = array_problem(random_network((150, 400, 1), 0), None, 0.0, 1.0)
    program, region = RegionProgram(problem), region_at_the_middle(problem)
    used, _ = _methods_used(program, [region, region, region], monkeypatch)
    assert used == ["interior", "interior", "simplex"]  # only the second tells that nothing is new
    again = Region.at(program.objective, np.random.default_rng(1).random(150))
    assert _methods_used(program, [again], monkeypatch)[0] == ["interior"]


@pytest.mark.parametrize("change", ["unbounded", "equation", "many rows", "nothing moves"])
def test_domains_that_no_unit_box_describes_are_told_apart(change):
    problem = polytope_problem(1)
    region = region_at_the_middle(problem)
    assert ReducedLayout(region.objective).limits(region) is not None
    if change == "unbounded":
        problem.upper[3] = INF
    elif change == "equation":
        problem.row_lower[0] = problem.row_upper[0]
    elif change == "nothing moves":
        problem.lower[:12] = problem.upper[:12]
    else:
        problem = dataclasses.replace(
            problem,
            rows=sparse.vstack([problem.rows] * MAX_ROWS).tocsr(),
            row_lower=np.tile(problem.row_lower, MAX_ROWS),
            row_upper=np.tile(problem.row_upper, MAX_ROWS),
        )
    assert ReducedLayout(ReducedObjective(problem)).limits(region) is None


def test_a_linear_program_starts_from_a_guessed_basis():
    rows = np.array([[1.0, 1.0], [1.0, -1.0]])
    sides = np.full(2, -INF), np.array([1.5, 0.5])
    program = LinearProgram(np.array([-2.0, -1.0]), np.zeros(2), np.ones(2), rows, *sides, options={"presolve": "off"})
    program.start_from_basis(np.array([1, 0]), np.array([1, 0]))
    solution = program.solve()
    assert solution.values == pytest.approx([1.0, 0.5])
    assert solution.iterations == 0


def test_the_first_program_over_a_region_has_a_share_of_the_facets():
    assert [first_facets(count) for count in (50, 200, 800, 5000)] == [50, 100, 200, 300]
