"""Exact programs over regions in both layouts, and the walk across facets, against all facets and finite steps."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from random_models import random_network
from scipy import sparse
from scipy.optimize import linprog

from pyomo_relugrad.network import Network
from pyomo_relugrad.problem import EmbeddedNetwork, Problem, ReducedObjective
from pyomo_relugrad.programs import LinearProgram, LinearStatus
from pyomo_relugrad.run import Budget, Stop
from pyomo_relugrad.search.regions import nearest_vertex
from pyomo_relugrad.search.regions.crossing import crossing_gains, neurons_across
from pyomo_relugrad.search.regions.facets import FacetProgram
from pyomo_relugrad.search.regions.interior_point import InteriorPointProgram
from pyomo_relugrad.search.regions.layout import FullLayout, ReducedLayout, layout_of
from pyomo_relugrad.search.regions.nearest_vertex import optimum_beside
from pyomo_relugrad.search.regions.program import RegionProgram
from pyomo_relugrad.search.regions.region import Region
from pyomo_relugrad.search.regions.unit_box import UnitBoxRegion
from pyomo_relugrad.search.regions.walk import walk_regions

INF = np.inf
LAYOUTS = {"reduced": ReducedLayout, "full": lambda objective: FullLayout(objective.problem)}


def box_problem(seed: int, sizes=(4, 12, 10, 1)) -> Problem:
    network = random_network(np.random.default_rng(seed), sizes)
    n = sizes[0]
    return Problem(
        cost=np.concatenate([np.full(n, 0.1), [1.0]]),
        lower=np.concatenate([np.full(n, -1.0), [-INF]]),
        upper=np.concatenate([np.full(n, 1.0), [INF]]),
        networks=(EmbeddedNetwork(network, np.arange(n), [n]),),
    )


def with_other_numbers(problem: Problem, seed: int) -> Problem:
    """Other costs, tighter bounds, wider rows; a fixed column."""
    rng = np.random.default_rng(seed)
    n, lower, upper = problem.n_columns, problem.lower.copy(), problem.upper.copy()
    lower[:3], upper[:3] = -rng.uniform(0.2, 1, 3), rng.uniform(0.2, 1, 3)
    lower[1] = upper[1]
    sides = {"row_lower": problem.row_lower - rng.random(), "row_upper": problem.row_upper + rng.random()}
    return dataclasses.replace(problem, cost=problem.cost + 0.3 * rng.normal(size=n), lower=lower, upper=upper, **sides)


def general_problem(seed: int) -> Problem:
    """Chained networks, one of them twice, an input read twice, rows and a bound on outputs that the middle meets."""
    rng = np.random.default_rng(seed)
    inner, outer = random_network(rng, (3, 7, 2)), random_network(rng, (3, 8, 6, 2))
    networks = (
        EmbeddedNetwork(inner, [0, 1, 0], [4, 5]),
        EmbeddedNetwork(inner, [1, 2, 3], [6, 7]),
        EmbeddedNetwork(outer, [4, 7, 3], [8, 9]),
    )
    lower, upper = np.full(10, -INF), np.full(10, INF)
    lower[:4], upper[:4] = -1.0, 1.0
    free = Problem(rng.normal(size=10), lower, upper, networks=networks)
    middle = free.propagate(np.zeros((1, 10)))[0]
    rows = rng.normal(size=(3, 10)) * [[1] * 4 + [0] * 6, [0, 1, 0, 0, 1, 0, 0, 1, 0, 1], [0] * 8 + [1, 1]]
    upper[9] = middle[9] + 0.02
    return dataclasses.replace(
        free, upper=upper, rows=sparse.csr_array(rows), row_lower=rows @ middle - [0.5, INF, 0.4],
        row_upper=rows @ middle + [INF, 0.3, 0.4],
    )  # fmt: skip


def program_in(layout: str, problem: Problem) -> tuple[FacetProgram, ReducedObjective]:
    objective = ReducedObjective(problem)
    bounds = (side[objective.columns] for side in (problem.lower, problem.upper))
    return FacetProgram(LAYOUTS[layout](objective), *bounds), objective


def walked(problem: Problem, u: np.ndarray) -> list:
    return [point for point in walk_regions(RegionProgram(problem), u, Budget()) if point is not None]


@pytest.mark.parametrize("layout", LAYOUTS)
@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_lazy_facets_give_the_optimum_of_all_facets(layout, seed):
    problem = box_problem(seed)
    u = np.random.default_rng(seed).uniform(-1, 1, size=4)
    program, objective = program_in(layout, problem)
    optimum = program.solve(Region.at(objective, u), Budget())
    region = problem.networks[0].network.region(u)
    facets = region.facets()
    cost = problem.cost[:4] + region.jacobian[0]
    exact = linprog(cost, -facets.rows, facets.offsets, bounds=(-1, 1))
    value = problem.objective(objective.points(optimum.u[None, :]))[0]
    assert value == pytest.approx(exact.fun + region.offset[0], abs=1e-7)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_facets_are_generated_only_where_they_are_crossed(layout):
    program, objective = program_in(layout, box_problem(0, sizes=(20, 300, 1)))
    region = Region.at(objective, np.random.default_rng(0).uniform(-1, 1, size=20))
    optimum = program.solve(region, Budget())
    assert 0 < optimum.binding.size <= 20
    assert program._program.n_rows < 150


def optimum_by_elimination(problem: Problem, region: Region) -> float:
    """scipy's optimum over all facets, rows and bounds, everything as a function of the decision columns."""
    d = region.u.size
    slopes, columns = region.slopes_with_free(np.zeros(0, np.int64))
    facets = -slopes * region.signs[:, None]
    sides = facets @ region.u + region.signs * region.preactivations
    J, t = columns.T, region.v - columns.T @ region.u
    rows = np.concatenate([problem.rows.toarray(), np.eye(10)[4:]])
    lower = np.concatenate([problem.row_lower, problem.lower[4:]]) - rows @ t
    upper = np.concatenate([problem.row_upper, problem.upper[4:]]) - rows @ t
    above, below = np.isfinite(upper), np.isfinite(lower)
    matrix = np.concatenate([facets, (rows @ J)[above], -(rows @ J)[below]])
    exact = linprog(
        problem.cost @ J, matrix, np.concatenate([sides, upper[above], -lower[below]]), bounds=[(-1, 1)] * d
    )
    assert exact.status == 0
    return exact.fun + problem.cost @ t


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_both_layouts_and_the_interior_point_method_agree_where_rows_are_on_outputs(seed):
    problem = general_problem(seed)
    results = []
    for layout in LAYOUTS:
        program, objective = program_in(layout, problem)
        region = Region.at(objective, np.zeros(4))
        optimum = program.solve(region, Budget())
        assert optimum.is_exact
        point = problem.incumbent(objective.points(optimum.u[None, :])[0])
        assert point.is_feasible
        assert point.objective == pytest.approx(optimum_by_elimination(problem, region), abs=1e-7)
        results.append((LAYOUTS[layout](objective), region, optimum))
    reduced, region, _ = results[0]
    inside = InteriorPointProgram(UnitBoxRegion(region, reduced.limits(region)), 400).solve(Budget())
    if inside is not None:
        results.append((reduced, region, inside))
    first = results[0][2]
    if any(not np.allclose(optimum.u, first.u, atol=1e-7) for *_, optimum in results):
        reject()  # several points are optimal
    by_neuron = [dict(zip(optimum.binding.tolist(), optimum.multipliers, strict=True)) for *_, optimum in results]
    gains = [_gains(*result) for result in results]
    for multipliers, found in zip(by_neuron[1:], gains[1:], strict=True):
        assert multipliers == pytest.approx(by_neuron[0], rel=1e-5, abs=1e-7)
        assert found == pytest.approx(gains[0], rel=1e-5, abs=1e-7)


def _gains(layout, region, optimum) -> dict[tuple[int, ...], float]:
    there = region.moved_to(optimum.u)
    partial = layout.partial_gradient(there, optimum.row_duals, optimum.column_duals)
    facets, gains, _ = crossing_gains(there, optimum, partial, Budget())
    return {tuple(neurons.tolist()): gain for neurons, gain in zip(facets, gains, strict=True)}


def test_gradients_through_a_long_chain_of_networks_are_no_rounding():
    """Whatever the bounds on the Jacobians of all these networks multiply to."""
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(40, 2)), rng.normal(size=(1, 40))
    step = Network.from_layers([first, second], [-0.9 * np.abs(first).sum(axis=1), [0.0]])
    assert step.jacobian_bound > 20
    networks = tuple(EmbeddedNetwork(step, [20 + i, i], [21 + i]) for i in range(20))
    lower = np.r_[np.full(20, -1.0), -1.0, np.full(20, -INF)]
    problem = Problem(np.r_[np.zeros(40), 1.0], lower, -lower, networks=networks)
    region = Region.at(ReducedObjective(problem), np.r_[np.full(20, 0.9), 0.9])
    neurons = np.arange(region.signs.size)
    gradients = region.gradients(neurons)
    assert np.linalg.norm(gradients, axis=1).min() > 0
    direction = rng.normal(size=21)
    assert np.allclose(gradients @ direction, region.slopes(direction[None])[0])


@pytest.mark.parametrize("layout", LAYOUTS)
@given(st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_the_multiplier_test_predicts_the_slope_behind_last_layer_facets(layout, seed):
    """Behind one facet of the last hidden layer the objective changes at the predicted rate along the edge."""
    problem = box_problem(seed, sizes=(4, 14, 1))
    program, objective = program_in(layout, problem)
    region = Region.at(objective, np.random.default_rng(seed).uniform(-1, 1, size=4))
    optimum = program.solve(region, Budget())
    gains = _gains(LAYOUTS[layout](objective), region, optimum)
    x = optimum.u
    at_bound = np.flatnonzero(np.abs(np.abs(x) - 1) < 1e-9)
    if len(gains) + at_bound.size != 4 or any(len(neurons) > 1 for neurons in gains):
        return  # a degenerate vertex: no single edge leaves each facet
    neurons = np.array([neuron for (neuron,) in gains], int)
    normals = region.gradients(neurons) * region.signs[neurons, None]
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    rows = np.concatenate([normals, np.eye(4)[at_bound]])
    for place, gain in enumerate(gains.values()):
        # Along this edge the one facet is left outwards at unit rate, and everything else stays active.
        edge = np.linalg.solve(rows, np.where(np.arange(4) == place, -1.0, 0.0))
        here, there = objective.value(np.stack([x, x + 1e-6 * edge]))
        assert (there - here) / 1e-6 == pytest.approx(-gain, abs=1e-4 * (1 + np.abs(edge).max()))


@given(st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_the_walk_only_improves_and_ends_at_a_vertex(seed):
    problem = box_problem(seed)
    u = np.random.default_rng(seed).uniform(-1, 1, size=4)
    points = walked(problem, u)
    objectives = [ReducedObjective(problem).value(u[None, :])[0], *(point.objective for point in points)]
    assert (np.diff(objectives) < 0).all()
    assert all(point.is_feasible for point in points)


@given(st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_a_walk_keeps_rows_on_outputs(seed):
    points = walked(general_problem(seed), np.zeros(4))
    assert all(point.is_feasible for point in points)
    assert (np.diff([point.objective for point in points]) < 0).all()


def test_a_walk_looks_ahead_only_as_far_as_rows_on_outputs_allow():
    """Down a chain of regions with one slope, until the output reaches its bound."""
    network = Network.from_layers([[[1.0]] * 9, [[0.1] * 9]], [-np.linspace(0.05, 0.9, 9), [0.0]])
    problem = Problem([-1.0, 0.0], [0.0, -INF], [1.0, 0.2], networks=(EmbeddedNetwork(network, [0], [1]),))
    points = walked(problem, np.array([0.01]))
    assert points[-1].values[1] == pytest.approx(0.2, abs=1e-6)
    assert points[-1].is_feasible
    assert len(points) < 8


def test_a_walk_from_a_violated_row_begins_with_a_feasible_point():
    problem, start = general_problem(0), np.zeros(4)
    shifted = dataclasses.replace(problem, row_upper=problem.row_upper - [0.0, 0.0, 0.41])
    assert not RegionProgram(shifted).incumbent(start).is_feasible
    assert walked(shifted, start)[0].is_feasible


@pytest.mark.parametrize("quadratic", [False, True])
def test_a_walk_holds_the_integers(quadratic):
    problem = general_problem(1)
    matrix = sparse.csr_array(0.1 * np.eye(10)) if quadratic else None
    problem = dataclasses.replace(problem, integers=np.arange(10) == 1, quadratic=matrix)
    points = walked(problem, np.array([0.2, 0.0, 0.1, -0.1]))
    assert points
    assert all(point.values[1] == 0.0 for point in points)


def test_a_walk_crosses_facets_to_the_global_minimum_of_a_convex_function():
    # A sum of |a_i x - b_i| is convex: its walk cannot end before the global minimum.
    rng = np.random.default_rng(0)
    A, b = rng.normal(size=(12, 3)), rng.normal(size=12) * 0.3
    network = Network.from_layers([np.vstack([A, -A]), np.ones((1, 24))], [np.concatenate([-b, b]), [0.0]])
    problem = Problem(
        cost=np.array([0, 0, 0, 1.0]),
        lower=np.array([-2.0, -2, -2, -INF]),
        upper=np.array([2.0, 2, 2, INF]),
        networks=(EmbeddedNetwork(network, [0, 1, 2], [3]),),
    )
    rows = np.block([[A, -np.eye(12)], [-A, -np.eye(12)]])
    exact = linprog(np.r_[np.zeros(3), np.ones(12)], rows, np.r_[b, -b], bounds=[(-2, 2)] * 3 + [(None, None)] * 12).fun
    for start in rng.uniform(-2, 2, size=(5, 3)):
        assert walked(problem, start)[-1].objective == pytest.approx(exact, abs=1e-6)


def test_without_networks_a_program_without_an_optimum_is_unbounded():
    problem = Problem(np.array([1.0, 1.0]), np.array([-np.inf, 0.0]), np.array([0.0, 3.0]), integers=[False, True])
    program, budget = RegionProgram(problem), Budget()
    assert program.solve(program.region_at(np.zeros(2)), Budget()).is_unbounded
    list(walk_regions(program, np.zeros(2), budget))
    assert budget.stop is Stop.UNBOUNDED


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("slope", [1.0, -1.0])
def test_whether_a_region_is_unbounded_is_decided_by_all_of_its_facets(layout, slope):
    """``|x - 1| + ... + |x - 9|`` with a slope beyond: down to the left without end, or up to a facet."""
    kinks = np.arange(1.0, 10.0)
    network = Network.from_layers([np.ones((9, 1)), np.full((1, 9), 2.0)], [-kinks, [0.0]])
    problem = Problem([slope, 1.0], [-INF, -INF], [INF, INF], networks=(EmbeddedNetwork(network, [0], [1]),))
    program, objective = program_in(layout, problem)
    optimum = program.solve(Region.at(objective, np.array([0.0])), Budget())
    assert optimum.is_unbounded is (slope > 0)
    if slope < 0:
        assert optimum.u == pytest.approx([1.0])


def test_a_quadratic_objective_has_its_optimum_within_a_region():
    network = Network.from_layers([[[1.0]], [[1.0]]], [[1.0], [0.0]])
    problem = Problem(
        [0.0, -1.0], [-0.5, -INF], [2.0, INF], networks=(EmbeddedNetwork(network, [0], [1]),),
        quadratic=sparse.csr_array(np.diag([2.0, 0.0])),
    )  # fmt: skip
    program = RegionProgram(problem)
    assert program.solve(program.region_at(np.array([1.5])), Budget()).u == pytest.approx([0.5], abs=1e-6)


def test_a_program_that_fails_is_solved_again_without_the_facets_of_the_region_before(monkeypatch):
    objective = ReducedObjective(dataclasses.replace(box_problem(2), quadratic=sparse.csr_array(0.1 * np.eye(5))))
    first, second = (Region.at(objective, u) for u in np.random.default_rng(2).uniform(-1, 1, size=(2, 4)))
    program, fresh = (RegionProgram(objective.problem) for _ in range(2))
    assert program.solve(first, Budget()).binding.size > 0
    statuses, solve = [], LinearProgram.solve

    def fails_once(*arguments):
        statuses.append(solve(*arguments))
        return dataclasses.replace(statuses[-1], status=LinearStatus.FAILED) if len(statuses) == 1 else statuses[-1]

    expected = fresh.solve(second, Budget())
    monkeypatch.setattr(LinearProgram, "solve", fails_once)
    optimum = program.solve(second, Budget())
    assert optimum.is_exact
    assert optimum.u == pytest.approx(expected.u, abs=1e-6)


def test_the_layout_follows_the_objective_and_the_number_of_rows_on_outputs():
    objective = ReducedObjective(general_problem(0))
    assert isinstance(layout_of(objective), ReducedLayout)
    quadratic = dataclasses.replace(objective.problem, quadratic=sparse.csr_array(np.eye(10)))
    assert isinstance(layout_of(ReducedObjective(quadratic)), FullLayout)
    assert isinstance(layout_of(objective, max_output_entries=19), FullLayout)


@pytest.mark.filterwarnings("error")
def test_a_neuron_without_weights_has_no_facet():
    network = Network.from_layers([[[1.0], [0.0], [1e-320]], [[1.0, 1.0, 1.0]]], [[0.0, 0.0, 0.0], [0.0]])
    problem = Problem([0.0, 1.0], [-1.0, -INF], [1.0, INF], networks=(EmbeddedNetwork(network, [0], [1]),))
    region = Region.at(ReducedObjective(problem), np.zeros(1))
    (across,) = neurons_across(region, np.array([0]), np.array([[1.0]]))
    assert across.tolist() == [0]


def test_the_optimum_beside_a_point_is_that_of_the_linear_program(monkeypatch):
    """From points near optima, or with a column on a bound anywhere; columns are on bounds, between them, or fixed."""
    found, pivoted, random = 0, 0, np.random.default_rng(0)
    for seed in range(12):
        problem = with_other_numbers(box_problem(seed), seed)
        program = RegionProgram(problem)
        for number, u in enumerate(random.uniform(program.lower, program.upper, (4, 4))):
            simplex = FacetProgram(layout_of(program.objective), program.lower, program.upper)
            vertex = simplex.solve(program.region_at(u), Budget()).u
            is_between = (program.lower < vertex) & (vertex < program.upper)
            near = vertex + 0.003 * random.normal(size=4) * is_between
            if number == 3:
                near[seed % 4] = random.choice([-1.0, 1.0])
            region = program.region_at(np.clip(near, program.lower, program.upper))
            exact = simplex.solve(region, Budget())
            optimum = optimum_beside(region, program.lower, program.upper)
            if optimum is not None:
                found += 1
                assert optimum.u == pytest.approx(exact.u, abs=1e-7)
                order, expected = np.argsort(optimum.binding), dict(zip(exact.binding, exact.multipliers, strict=True))
                assert optimum.multipliers[order] == pytest.approx(
                    [expected.get(neuron, 0.0) for neuron in optimum.binding[order]], abs=1e-6
                )
                with monkeypatch.context() as patched:
                    patched.setattr(nearest_vertex, "MAX_VERTICES", 1)
                    pivoted += optimum_beside(region, program.lower, program.upper) is None
    assert found - pivoted > 5
    assert pivoted > 5


@pytest.mark.parametrize("quadratic", [None, sparse.eye_array(10, format="csr")])
@pytest.mark.parametrize("seed", range(4))
def test_a_program_that_takes_over_another_ones_model_is_one_made_anew(seed, quadratic, monkeypatch):
    problem = dataclasses.replace(general_problem(seed), quadratic=quadratic)
    program, random = RegionProgram(problem), np.random.default_rng(seed)
    for number in range(3):
        problem = with_other_numbers(problem, 10 * seed + number)
        anew = RegionProgram(problem)
        with monkeypatch.context() as patched:
            patched.setattr(
                "pyomo_relugrad.search.regions.layout.LinearProgram", lambda *_, **__: pytest.fail("another model")
            )
            program = RegionProgram(problem, before=program)
        for u in random.uniform(problem.lower[:4], problem.upper[:4], (3, 4)):
            found, expected = (each.solve(each.region_at(u), Budget()) for each in (program, anew))
            assert found.is_exact == expected.is_exact
            assert problem.objective(problem.propagate(program.objective.points(found.u[None]))) == pytest.approx(
                problem.objective(problem.propagate(anew.objective.points(expected.u[None]))), abs=1e-6
            )


def test_a_program_over_other_rows_is_made_anew():
    problem = general_problem(0)
    tight = dataclasses.replace(problem, row_lower=problem.row_lower + np.array([0.4, 0.0, 0.0]))
    other = dataclasses.replace(tight, rows=sparse.diags_array([-1.0, 1.0, 1.0]) @ tight.rows)
    before, anew = RegionProgram(tight), RegionProgram(other)
    u, optima = np.zeros(4), []
    for program in (before, anew, RegionProgram(other, before=before)):
        optima.append(program.solve(program.region_at(u), Budget()).u)
    assert optima[2] == pytest.approx(optima[1])
    assert np.abs(optima[1] - optima[0]).max() > 0.1
