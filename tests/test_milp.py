"""The mixed-integer formulation: exact optima, starts that leave nothing open, bounds, limits, and what it refuses."""

import itertools
import time
from dataclasses import replace
from types import SimpleNamespace

import highspy
import numpy as np
import pytest
from milp_oracle import exact_optimum
from random_models import random_network, random_problem
from random_networks import random_network as random_chain
from scipy import sparse
from test_bounds import random_network as random_graph
from test_branch import single_network_box

from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.network import Network, crown_bounds
from pyomo_relugrad.problem import BOUND_METHODS, EmbeddedNetwork, Problem, bound_problem
from pyomo_relugrad.programs import LinearProgram, build_big_m, network_bounds, silent_highs, tighten_by_programs
from pyomo_relugrad.programs.highs import WRONG_PRESOLVE_RULES
from pyomo_relugrad.proof import MilpProof, milp, prove, prove_by_milp, search_by_pruned_milp
from pyomo_relugrad.run import Stop, run_proof
from pyomo_relugrad.solve import Options, solve_exactly


@pytest.mark.parametrize(
    ("family", "seed"), [(family, seed) for family in ("equality", "integer") for seed in range(4)] + [("chained", 0)]
)
@pytest.mark.parametrize("bounds", ["crown", "interval", "lp"])
def test_models_are_solved_to_the_optimum(family, seed, bounds):
    problem = random_problem(family, seed)
    result = prove_by_milp(problem, bounds=bounds, time_limit=60)
    optimum = exact_optimum(problem)
    assert result.stop is (Stop.OPTIMAL if np.isfinite(optimum) else Stop.INFEASIBLE)
    if np.isfinite(optimum):
        assert result.incumbent.is_feasible
        assert result.incumbent.objective == pytest.approx(optimum, abs=2e-4 * (1 + abs(optimum)))
        assert result.bound <= optimum + 1e-6 * (1 + abs(optimum))


def test_the_presolve_of_highs_cuts_no_optimum_off():
    """A binary is the network's only input, so that each ReLU's binary follows from it: HiGHS 1.16 gave 0.44."""
    network = random_chain([1, 8, 1], 56)
    at_most_the_output = sparse.csr_array([[0.0, -1.0, 1.0]])
    problem = Problem(
        cost=[0.0, 0.0, -1.0], lower=[0.0, -5.0, -5.0], upper=[1.0, 5.0, 5.0], integers=[True, False, False],
        rows=at_most_the_output, row_lower=[-np.inf], row_upper=[0.0],
        networks=(EmbeddedNetwork(network, [0], [1]),),
    )  # fmt: skip
    best = network.value([[0.0], [1.0]]).max()
    assert -prove_by_milp(problem).incumbent.objective == pytest.approx(best, abs=1e-4)


def test_a_rule_of_presolve_that_is_asked_to_be_left_out_is_so_beside_the_wrong_one():
    _, left_out = silent_highs({"presolve_rule_off": 8}).getOptionValue("presolve_rule_off")
    assert left_out == 8 | WRONG_PRESOLVE_RULES


@pytest.mark.parametrize("seed", range(4))
def test_bounds_on_outputs_agree_with_branch_and_bound(seed):
    """Caps on outputs as bounds of their columns rather than as rows."""
    problem = single_network_box(seed, (3, 7, 6, 2))
    values = problem.propagate(np.random.default_rng(seed).uniform(-1, 1, size=(500, 5)))[:, 3:]
    lower, upper = problem.lower.copy(), problem.upper.copy()
    toward = np.sign(problem.cost[3:])
    lower[3:] = np.where(toward > 0, np.quantile(values, 0.7, axis=0), -np.inf)
    upper[3:] = np.where(toward < 0, np.quantile(values, 0.3, axis=0), np.inf)
    capped = Problem(problem.cost, lower, upper, networks=problem.networks)
    exact = prove_by_milp(capped, relative_gap=1e-8)
    branched = prove(capped, relative_gap=1e-5, time_limit=60)
    assert exact.stop is branched.stop
    if exact.incumbent is not None:
        assert branched.bound <= exact.incumbent.objective + 1e-6
        assert branched.incumbent.objective == pytest.approx(exact.incumbent.objective, abs=1e-4)


@pytest.mark.parametrize("seed", range(6))
def test_graphs_with_skips_and_sparse_weights_are_written_out_exactly(seed):
    network = random_graph(seed)
    n, m = network.n_inputs, network.n_outputs
    embedded = EmbeddedNetwork(network, np.arange(n), np.arange(n, n + m))
    cost = np.random.default_rng(seed).normal(size=n + m) * np.r_[np.zeros(n), np.ones(m)]
    bounds = np.r_[np.ones(n), np.full(m, np.inf)]
    problem = Problem(cost, -bounds, bounds, networks=(embedded,))
    result = prove_by_milp(problem)
    assert result.incumbent.objective == pytest.approx(exact_optimum(problem), abs=1e-4)
    crown = crown_bounds(network, -np.ones((1, n)), np.ones((1, n)), slope_steps=4)
    for output in range(m):
        for sign, side in ((1, crown.output_lower), (-1, crown.output_upper)):
            unit = np.zeros(n + m)
            unit[n + output] = sign
            exact = prove_by_milp(Problem(unit, -bounds, bounds, networks=(embedded,)), relative_gap=1e-9)
            assert sign * side[0, output] <= exact.incumbent.objective + 1e-9


@pytest.mark.parametrize(("family", "seed"), [("integer", 1), ("shared", 1), ("chained", 2)])
def test_a_start_has_a_value_for_every_column_and_meets_every_row(family, seed):
    problem = random_problem(family, seed)
    rng = np.random.default_rng(seed)
    bounds = bound_problem(problem)
    model = build_big_m(problem, bounds)
    for _ in range(20):
        v = rng.uniform(
            np.where(np.isinf(problem.lower), -1, problem.lower), np.where(np.isinf(problem.upper), 1, problem.upper)
        )
        v = problem.propagate(np.where(problem.integers, np.round(v), v)[None])[0]
        values = model.start(v)
        activity = model.rows @ values
        own = slice(problem.n_rows, None)
        inside = (v >= bounds.lower).all() and (v <= bounds.upper).all()
        assert (activity[own] >= model.row_lower[own] - 1e-9).all() or not inside
        assert (activity[own] <= model.row_upper[own] + 1e-9).all() or not inside
        assert (values[model.integers] == np.round(values[model.integers])).all()


def test_stable_neurons_get_no_binary():
    network = Network.from_layers([[[1.0], [1.0], [1.0]], [[1.0, 1.0, 1.0]]], [[2.0, -2.0, 0.0], [0.0]])
    problem = Problem(
        np.array([0.0, 1.0]), np.array([-1.0, -np.inf]), np.array([1.0, np.inf]),
        networks=(EmbeddedNetwork(network, [0], [1]),),
    )  # fmt: skip
    model = build_big_m(problem, bound_problem(problem))
    assert model.integers.sum() == 1
    assert model.cost.size == 2 + 2 + 2


@pytest.mark.parametrize(("family", "seed"), [("window", 0), ("integer", 2), ("chained", 0), ("shared", 1)])
def test_tightening_by_programs_keeps_every_feasible_point(family, seed):
    problem = random_problem(family, seed)
    before = bound_problem(problem)
    after = tighten_by_programs(problem, before, time_limit=60)
    lower, upper = np.maximum(before.lower, -50), np.minimum(before.upper, 50)
    points = np.random.default_rng(seed).uniform(lower, upper, size=(20_000, problem.n_columns))
    points = problem.propagate(np.where(problem.integers, np.round(points), points))
    rows = problem.row_violations(points).max(axis=1) <= 0
    inside = ((points >= problem.lower) & (points <= problem.upper)).all(axis=1)
    narrowed = 0
    for stage, old, new in zip(problem.stages, before.networks, after.networks, strict=True):
        for member, inputs in enumerate(stage.inputs):
            values = stage.network.preactivations(points[rows & inside][:, inputs])
            for layer, value in enumerate(values):
                assert (value >= new.lower[layer][member] - 1e-9).all()
                assert (value <= new.upper[layer][member] + 1e-9).all()
                assert (new.lower[layer][member] >= old.lower[layer][member]).all()
                assert (new.upper[layer][member] <= old.upper[layer][member]).all()
                narrowed += int((new.upper[layer][member] < old.upper[layer][member] - 1e-3).sum())
    assert narrowed > 0


@pytest.mark.parametrize("seed", range(8))
def test_each_kind_of_bounds_holds_and_is_within_the_one_before(seed):
    network = random_graph(seed)
    rng = np.random.default_rng(seed)
    lower = rng.normal(size=network.n_inputs)
    upper = lower + rng.choice([0.0, 0.5, 2.0], network.n_inputs)
    points = rng.uniform(lower, upper, size=(5000, network.n_inputs))
    points = np.where(rng.random(points.shape) < 0.3, np.where(rng.random(points.shape) < 0.5, lower, upper), points)
    values = [*network.preactivations(points), network.value(points)]
    before = None
    for method in BOUND_METHODS:
        bounds = network_bounds(network, lower, upper, method)
        ranges = list(zip((*bounds.lower, bounds.output_lower), (*bounds.upper, bounds.output_upper), strict=True))
        for value, (low, high) in zip(values, ranges, strict=True):
            assert (value >= low).all()
            assert (value <= high).all()
        for (low, high), (old_low, old_high) in zip(ranges, before or ranges, strict=True):
            assert (low >= old_low).all()
            assert (high <= old_high).all()
        before = ranges


def test_linear_programs_tighten_relus_and_outputs_beyond_crown():
    network = random_network(np.random.default_rng(0), (3, 8, 8, 2))
    crown, lp = (network_bounds(network, -np.ones(3), np.ones(3), method) for method in ("crown", "lp"))
    for old, new in (
        (crown.upper[1] - crown.lower[1], lp.upper[1] - lp.lower[1]),
        (crown.output_upper - crown.output_lower, lp.output_upper - lp.output_lower),
    ):
        assert new.sum() < 0.97 * old.sum()
    with pytest.raises(ModelError, match="unknown bounds 'none': give one of interval, crown, lp"):
        network_bounds(network, -np.ones(3), np.ones(3), "none")


@pytest.mark.parametrize(("family", "seed"), [("window", 0), ("equality", 1), ("integer", 2), ("chained", 0)])
def test_bounds_of_a_problem_are_within_those_of_the_method_before(family, seed):
    problem = random_problem(family, seed)
    found = [bound_problem(problem, method) for method in ("interval", "crown")]
    found.append(tighten_by_programs(problem, found[-1], time_limit=60))
    for looser, tighter in itertools.pairwise(found):
        assert (tighter.lower >= looser.lower).all()
        assert (tighter.upper <= looser.upper).all()
        for old, new in zip(looser.networks, tighter.networks, strict=True):
            for low, high, old_low, old_high in zip(new.lower, new.upper, old.lower, old.upper, strict=True):
                assert (low >= old_low).all()
                assert (high <= old_high).all()


def test_bounds_by_programs_hold_however_badly_the_programs_are_solved(monkeypatch):
    """Any multipliers prove a bound; what HiGHS calls the optimum proves none."""
    solve = LinearProgram.solve
    rng = np.random.default_rng(0)

    def badly(program, time_limit=np.inf):
        solution = solve(program, time_limit)
        wrong = solution.row_duals * rng.uniform(0.8, 1.2, solution.row_duals.size)
        return replace(solution, objective=solution.objective + 0.5, row_duals=wrong)

    monkeypatch.setattr(LinearProgram, "solve", badly)
    network = random_network(np.random.default_rng(0), (3, 8, 8, 2))
    bounds = network_bounds(network, -np.ones(3), np.ones(3), "lp")
    points = rng.uniform(-1, 1, size=(20_000, 3))
    points = np.where(rng.random(points.shape) < 0.3, np.sign(points), points)
    values = [*network.preactivations(points), network.value(points)]
    ranges = zip((*bounds.lower, bounds.output_lower), (*bounds.upper, bounds.output_upper), strict=True)
    for value, (low, high) in zip(values, ranges, strict=True):
        assert (value >= low).all()
        assert (value <= high).all()


def test_tightening_by_programs_sees_infeasible_rows_and_keeps_its_time():
    problem = single_network_box(0, (3, 8, 8, 2))
    rows = sparse.csr_array([[1.0, 1.0, 0, 0, 0], [1.0, 0, 1.0, 0, 0], [0, 1.0, 1.0, 0, 0], [1.0, 1.0, 1.0, 0, 0]])
    sides = np.array([0.5, 0.5, 0.5, -np.inf]), np.array([np.inf, np.inf, np.inf, 0.7])
    demanding = Problem(problem.cost, problem.lower, problem.upper, rows, *sides, networks=problem.networks)
    bounds = bound_problem(demanding)
    assert bounds.possible
    assert not tighten_by_programs(demanding, bounds).possible
    assert prove_by_milp(demanding, bounds="lp").stop is Stop.INFEASIBLE
    untouched = tighten_by_programs(problem, bound_problem(problem), time_limit=0.0)
    np.testing.assert_array_equal(untouched.networks[0].lower[1], bound_problem(problem).networks[0].lower[1])


@pytest.mark.parametrize("solve", ["prove_by_milp", "solve_exactly"])
def test_tightening_by_programs_takes_a_share_of_the_time_limit(solve, monkeypatch):
    limits = []

    def recorded(problem, bounds, time_limit):
        limits.append(time_limit)
        return bounds

    monkeypatch.setattr("pyomo_relugrad.proof.milp.tighten_by_programs", recorded)
    problem = single_network_box(0, (40, 30, 30, 1))
    if solve == "prove_by_milp":
        prove_by_milp(problem, bounds="lp", time_limit=1.0)
    else:
        solve_exactly(problem, Options(bounds="lp"), time_limit=1.0)
    assert limits
    assert all(0 < limit <= 0.2 for limit in limits)


def test_the_start_is_held_and_given_to_highs():
    problem = single_network_box(0, (6, 30, 30, 1))
    points = problem.propagate(np.random.default_rng(0).uniform(-1, 1, size=(200, problem.n_columns)))
    start = problem.incumbent(points[np.argmin(problem.objective(points))])
    result = prove_by_milp(problem, start=start, options={"mip_max_nodes": 0, "presolve": "off"})
    assert result.incumbent.objective <= start.objective
    proof = MilpProof(problem, Options(), start)
    values = np.array(proof._highs.getSolution().col_value)
    np.testing.assert_allclose(values, proof.model.start(start.values))


def test_offered_points_are_handed_to_highs_while_it_runs():
    problem = single_network_box(0, (5, 20, 20, 1))
    best = prove(problem, relative_gap=1e-3).incumbent
    alone = {"mip_heuristic_effort": 0.0, "presolve": "off", "mip_max_nodes": 1}
    proof = MilpProof(problem, Options(highs_options=alone))
    proof._highs.cbMipLogging.subscribe(lambda _: proof.offer(best))
    for _ in proof.steps():
        pass
    assert proof._to_feed is None
    assert not proof.offer(best)
    assert proof._highs.getInfo().objective_function_value <= best.objective + 1e-6


def test_points_of_pruned_networks_are_judged_on_the_dense_ones():
    problem = single_network_box(1, (3, 10, 8, 1))
    whole, pruned = (search_by_pruned_milp(problem, rate, time_limit=60) for rate in (0.0, 0.5))
    optimum = exact_optimum(problem)
    assert whole.objective == pytest.approx(optimum, rel=1e-4)
    centre = problem.propagate(np.zeros((1, problem.n_columns)))
    assert optimum - 1e-9 <= pruned.objective < problem.objective(centre)[0]
    assert problem.incumbent(pruned.values).objective == pruned.objective
    assert pruned.is_feasible


def test_points_of_pruned_networks_that_the_dense_ones_refuse_are_no_answer():
    """The pruned network meets a row on its output everywhere, the dense one nowhere."""
    network = Network.from_layers([[[1.0, 0.1]], [[1.0]]], [[0.0], [0.0]])
    problem = Problem(
        np.array([1.0, 0.0, 0.0]), np.array([0.0, 2.0, -np.inf]), np.array([0.1, 2.0, 0.1]),
        networks=(EmbeddedNetwork(network, [0, 1], [2]),),
    )  # fmt: skip
    assert search_by_pruned_milp(problem, rate=0.5) is None


def test_the_clock_and_the_callback_stop_highs():
    problem = single_network_box(0, (10, 60, 60, 1))
    begin = time.perf_counter()
    result = prove_by_milp(problem, callback=lambda progress: progress.elapsed > 0.5)
    assert result.stop is Stop.CALLBACK
    assert prove_by_milp(problem, time_limit=0.3).stop is Stop.TIME_LIMIT
    assert time.perf_counter() - begin < 30
    points = problem.propagate(np.random.default_rng(0).uniform(-1, 1, size=(5000, problem.n_columns)))
    assert result.bound <= problem.objective(points).min()


def test_ctrl_c_stops_highs():
    def interrupt(progress):
        raise KeyboardInterrupt

    result = prove_by_milp(single_network_box(0, (10, 60, 60, 1)), callback=interrupt)
    assert result.stop is Stop.INTERRUPTED


def test_empty_boxes_are_infeasible_without_highs():
    problem = single_network_box(0)
    rows = sparse.csr_array([[1.0, 0, 0, 0, 0]])
    empty = Problem(
        problem.cost, problem.lower, problem.upper, rows, np.array([2.0]), np.array([np.inf]),
        networks=problem.networks,
    )  # fmt: skip
    assert prove_by_milp(empty).stop is Stop.INFEASIBLE


def test_a_linear_program_remains_when_all_neurons_are_stable():
    network = Network.from_layers([[[1.0]], [[-1.0]]], [[5.0], [0.0]])
    problem = Problem(
        np.array([0.0, 1.0]), np.array([-1.0, -np.inf]), np.array([1.0, np.inf]),
        networks=(EmbeddedNetwork(network, [0], [1]),),
    )  # fmt: skip
    result = prove_by_milp(problem)
    assert result.stop is Stop.OPTIMAL
    assert result.incumbent.objective == pytest.approx(-6.0)


def test_bounding_leaves_the_problem_as_it_was():
    problem = random_problem("integer", 0)
    lower, upper = problem.lower.copy(), problem.upper.copy()
    bound_problem(problem)
    prove(problem, node_limit=1)
    boxed = single_network_box(0)
    bound_problem(boxed)
    assert np.isinf(boxed.upper[3:]).all()
    np.testing.assert_array_equal(problem.lower, lower)
    np.testing.assert_array_equal(problem.upper, upper)


def test_refusals_name_what_is_missing():
    network = random_network(np.random.default_rng(0), (2, 4, 1))
    embedded = (EmbeddedNetwork(network, [0, 1], [2]),)
    inf = np.inf
    problem = Problem(
        np.array([0, 0, 1.0]), np.array([-1, -inf, -inf]), np.array([1.0, inf, inf]), networks=embedded,
        column_names=("x", "temperature", "y"),
    )  # fmt: skip
    with pytest.raises(ModelError, match="finite bounds on the networks' inputs; set bounds on: temperature"):
        prove_by_milp(problem)
    bounded = single_network_box(0)
    with pytest.raises(ModelError, match="unknown bounds 'none': give one of interval, crown, lp"):
        prove_by_milp(bounded, bounds="none")
    with pytest.raises(ModelError, match="HiGHS does not take the option mip_rel_gp"):
        prove_by_milp(bounded, options={"mip_rel_gp": 1.0})
    with pytest.raises(ModelError, match="quadratic"):
        prove_by_milp(random_problem("quadratic", 0))


def test_nothing_is_proven_where_highs_fails(monkeypatch):
    """The least of -|x| - 5 is -7, but HiGHS reads 0 as bound of a run that ended in an error."""
    network = Network.from_layers([[[1.0], [-1.0]], [[-1.0, -1.0]]], [[0.0, 0.0], [-5.0]])
    problem = Problem(
        np.array([0.0, 1.0]), np.array([-1.0, -np.inf]), np.array([2.0, np.inf]),
        networks=(EmbeddedNetwork(network, [0], [1]),),
    )  # fmt: skip
    proof = MilpProof(problem, Options())
    monkeypatch.setattr(proof._highs, "run", lambda: highspy.HighsStatus.kError)
    for _ in proof.steps():
        pass
    assert proof.bound <= -7.0 + 1e-6
    assert proof.conclusion() is None


def test_an_error_in_a_callback_of_highs_is_raised(monkeypatch):
    def fail(*_):
        raise ZeroDivisionError("in a callback")

    problem = single_network_box(0, (6, 30, 30, 1))
    for name in ("_on_point", "_on_progress"):
        proof = MilpProof(problem, Options(highs_options={"presolve": "off"}))
        monkeypatch.setattr(proof, name, fail)
        with pytest.raises(ZeroDivisionError, match="in a callback"):
            run_proof(proof, time_limit=20)
        proof._thread.join(20)  # it was told to stop
        assert not proof._thread.is_alive()


def test_an_error_of_highs_is_raised_and_its_threads_are_ended(monkeypatch):
    def fail():
        raise ZeroDivisionError

    ended = []
    proof = MilpProof(single_network_box(0, (6, 30, 30, 1)), Options())
    monkeypatch.setattr(proof._highs, "run", fail)
    monkeypatch.setattr(highspy.Highs, "resetGlobalScheduler", ended.append)
    with pytest.raises(ZeroDivisionError):
        run_proof(proof)
    assert False in ended  # as after a run that goes well


def test_the_final_bound_is_not_below_one_that_was_known():
    problem = Problem(np.array([1.0]), np.array([2.0]), np.array([3.0]))
    proof = MilpProof(problem, Options())
    proof._dual_bound = 2.5
    for _ in proof.steps():
        pass
    assert proof._dual_bound == 2.5


def test_what_highs_takes_for_infeasible_is_no_verdict_where_there_is_no_time_to_confirm_it(monkeypatch):
    box = single_network_box(0, (3, 8, 8, 1))
    least = exact_optimum(box) - box.constant
    problem = replace(box, rows=box.cost[None], row_lower=[-np.inf], row_upper=[least - 1e-3])
    for is_late in (False, True):
        proof, runs = MilpProof(problem, Options()), []
        run = proof._highs.run

        def run_late(run=run, runs=runs, is_late=is_late, highs=proof._highs):
            runs.append(highs.getOptionValue("presolve")[1])
            if is_late and len(runs) > 1:
                highs.setOptionValue("time_limit", 0.0)
            return run()

        monkeypatch.setattr(proof._highs, "run", run_late)
        for _ in proof.steps():
            pass
        assert runs == ["choose", "off"]
        assert (proof.conclusion() is Stop.INFEASIBLE) is not is_late


def test_an_infeasible_program_proves_nothing_beside_a_feasible_point(monkeypatch):
    problem = single_network_box(3, (2, 6, 1))
    problem = replace(problem, upper=np.where(problem.is_output, 1e3, problem.upper))
    point = problem.incumbent(np.zeros(problem.n_columns))
    for start, bound in ((None, np.inf), (point, -np.inf)):
        proof = MilpProof(problem, Options(), start)
        monkeypatch.setattr(proof._highs, "getModelStatus", lambda: highspy.HighsModelStatus.kInfeasible)
        proof._finish()
        assert proof.bound == bound


@pytest.mark.parametrize("most", [np.inf, 5.0])
def test_a_box_with_free_outputs_is_not_infeasible_whatever_highs_says(most):
    network = Network.from_layers([[[1.0]], [[1.0]]], [[0.0], [0.0]])
    problem = Problem(
        np.array([0.0, 1.0]),
        np.array([-1.0, -np.inf]),
        np.array([1.0, most]),
        networks=(EmbeddedNetwork(network, [0], [1]),),
    )
    proof = MilpProof(problem, Options())
    status = highspy.HighsModelStatus.kInfeasible
    proof.__dict__["_highs"] = SimpleNamespace(getModelStatus=lambda: status, getInfo=lambda: None)
    proof._on_progress(SimpleNamespace(data_out=SimpleNamespace(mip_dual_bound=np.inf, mip_node_count=1)))
    proof._finish()
    assert proof.bound == (-np.inf if most == np.inf else np.inf)


def test_points_with_next_to_no_room_are_not_taken_for_none():
    """The presolve of HiGHS 1.16 finds such models infeasible."""
    rng = np.random.default_rng(158)
    rng.integers(1, 4), rng.integers(1, 4)
    networks = []
    for first in (0, 2, 4):
        weights, biases = [rng.normal(size=(2, 2)), rng.normal(size=(1, 2))], [rng.normal(size=2), rng.normal(size=1)]
        network = Network.from_layers(weights, [0.3 * bias for bias in biases])
        networks.append(EmbeddedNetwork(network, [first, first + 1], [first + 2]))
    lower, upper, states = np.full(7, -1.0), np.full(7, 1.0), [2, 4, 6]
    free = Problem(np.ones(7), lower, upper, networks=tuple(networks))
    point = free.propagate(rng.uniform(-1, 1, size=(1, 7)))[0]
    for state in states:
        room = 10.0 ** rng.uniform(-9, -4) * (rng.random() < 0.7)
        lower[state], upper[state] = point[state] - room, point[state] + room
    result = prove_by_milp(Problem(np.ones(7), lower, upper, networks=tuple(networks)))
    assert result.stop is Stop.OPTIMAL
    assert result.incumbent.objective <= point.sum()


@pytest.mark.parametrize("is_started", [True, False])
def test_an_output_with_next_to_no_range_does_not_mislead_highs(is_started):
    """Rows imply its bounds, 2e-9 apart; where these stand as they are, presolve takes the start for the only point."""
    narrow = Network.from_layers(
        [
            [[0.0119, 0.000828, -0.00346, -0.16, 31.8]] * 2,
            [[0.00665, -4.45e-05], [0.00192, 0.00242], [-0.00027, 0.0066]],
        ],
        [[-0.117, -0.117], [0.00172, 0.00155, -0.00615]],
    )
    last = Network.from_layers(
        [
            [[0, 0, 0], [0, 0, 0], [1, 3, -1], [1, 0, -2]],
            [[2, 0, 1, 1], [-1, 3, -1, -1], [0, 1, 1, 1], [-1, 0, -2, -1], [-2, -1, 1, 0], [1, -1, 2, 1]],
            [[0, 0, -2, -2, 1, 2], [1, 0, -3, -1, 1, 0], [1, 0, 0, 1, 2, -1]],
            [[-1, 3, 1], [0, 0, 3]],
        ],
        [np.zeros(4), [0, 0, 0, 0, 0, -1], [0, 0, -1], np.zeros(2)],
    )
    rows = np.zeros((2, 12))
    rows[0, [3, 8, 9]], rows[1, [7, 11]] = [-0.131, -0.105, -0.0262], [-0.381, 0.381]
    start = np.r_[1.0, -136.5, -110.0, 1.89, -0.00216, np.zeros(5), -3.0, -1.0]
    problem = Problem(
        np.r_[0, -0.00074, 0, 0.00337, np.zeros(4), 0.0988, np.zeros(3)],
        np.r_[-2.0, -144.0, -110.0, -14.3, -0.00216, np.full(7, -np.inf)],
        np.r_[1.0, 250.0, -110.0, 7.7, -0.0021599983, np.full(7, np.inf)],
        sparse.csr_array(rows), np.array([-0.55, -0.37865685]), np.array([0.05, -0.37865685]),
        np.isin(np.arange(12), [0, 10, 11]),
        (EmbeddedNetwork(narrow, np.arange(5), [5, 6, 7]), EmbeddedNetwork(last, [5, 6, 0], [8, 9])),
    )  # fmt: skip
    result = prove_by_milp(problem, start=problem.incumbent(start) if is_started else None)
    assert result.stop is Stop.OPTIMAL
    assert result.incumbent.objective == pytest.approx(-0.3759, abs=1e-3)


def test_a_bound_that_a_feasible_point_refutes_is_sought_again_without_presolve(monkeypatch):
    """A presolve that cuts the optimum off, and a search that knows better points, but not the best."""
    problem = single_network_box(3, (2, 6, 1))
    optimum = exact_optimum(problem)
    rng = np.random.default_rng(0)
    points = [problem.incumbent(v) for v in problem.propagate(rng.uniform(-1, 1, size=(200, problem.n_columns)))]
    known = min(points, key=lambda point: point.objective)
    proof = MilpProof(problem, Options(relative_gap=1e-7, absolute_gap=1e-7), known)
    run, runs = proof._highs.run, []

    def run_wrongly():
        runs.append(proof._highs.getOptionValue("presolve")[1])
        for column in range(2):
            sides = problem.lower[column], problem.upper[column]
            far = min(sides, key=lambda side: -abs(side - known.values[column]))
            proof._highs.changeColBounds(column, *((far, far) if runs[-1] != "off" else sides))
        return run()

    monkeypatch.setattr(proof._highs, "run", run_wrongly)
    bounds = [proof.bound for _ in proof.steps()]
    assert runs == ["choose", "off"]
    assert max(bounds) <= optimum + 1e-6 < known.objective
    assert proof.incumbent.objective == pytest.approx(optimum, abs=1e-5)
    assert proof.bound == pytest.approx(optimum, abs=1e-5)


def test_highs_that_was_told_to_stop_has_ended_before_python_does(monkeypatch):
    """In a thread of a daemon's, Python would not wait for it, and abort."""
    proof = MilpProof(single_network_box(0, (10, 60, 60, 1)), Options())
    monkeypatch.setattr(proof, "_stop", lambda patience=0.0: MilpProof._stop(proof, patience))
    steps = proof.steps()
    next(steps)
    steps.close()
    assert proof.is_running
    milp._stop_before_exit()
    assert not proof.is_running
