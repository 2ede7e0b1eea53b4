"""The sequential method: exact small cases, refusals to claim too much, and starts."""

import tracemalloc

import numpy as np
import pytest
from random_models import random_network, random_problem
from scipy import sparse

from pyomo_relugrad.network import Network
from pyomo_relugrad.problem import EmbeddedNetwork, Problem
from pyomo_relugrad.programs import Linearization
from pyomo_relugrad.run import Budget, Stop
from pyomo_relugrad.search import SequentialLp
from pyomo_relugrad.search.following import Following
from pyomo_relugrad.search.regions.program import RegionProgram
from pyomo_relugrad.search.sequential.integers import integer_neighbours, nearest_targets, next_targets, with_targets
from pyomo_relugrad.search.sequential.merit import Merit
from pyomo_relugrad.search.sequential.step_model import StepModel, column_scale
from pyomo_relugrad.solve import search, solve_exactly

INF = np.inf


def absolute_value() -> Network:
    """y = |x|."""
    return Network.from_layers([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])


def one_network(network, cost, lower, upper, rows=None, row_lower=None, row_upper=None, **kwds) -> Problem:
    """A problem whose first columns are the network's inputs and outputs."""
    n = network.n_inputs
    embedded = EmbeddedNetwork(network, np.arange(n), n + np.arange(network.n_outputs))
    return Problem(
        np.array(cost, float),
        np.array(lower, float),
        np.array(upper, float),
        None if rows is None else sparse.csr_array(np.array(rows, float)),
        row_lower,
        row_upper,
        networks=(embedded,),
        **kwds,
    )


def test_a_window_on_the_output_is_met_and_the_vertex_is_exact():
    problem = one_network(absolute_value(), [1.0, 0.0], [-3, -INF], [3, INF], [[0, 1]], [1.0], [2.0])
    result = search(problem, "sequential-lp", iteration_limit=500)
    assert result.incumbent.objective == pytest.approx(-2.0, abs=1e-9)
    assert result.incumbent.violation <= 1e-9
    assert result.incumbent.network_error == 0.0


def test_bounds_on_outputs_are_rows_like_any_other():
    problem = one_network(absolute_value(), [-1.0, 0.0], [-3, 1.5], [3, 2.5])
    assert search(problem, "sequential-lp", iteration_limit=500).incumbent.objective == pytest.approx(-2.5)


def test_an_integer_that_a_network_writes_gets_its_value_by_exact_steps():
    network = Network.from_layers([[[1.7], [-1.7]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
    problem = one_network(network, [-1.0, 0.0], [-1, -INF], [1, INF], integers=np.array([False, True]))
    method = SequentialLp(held_share=1.0)
    result = search(problem, method, iteration_limit=300)
    assert result.incumbent.objective == pytest.approx(-1 / 1.7, abs=1e-9)
    assert result.incumbent.is_feasible


def test_a_missed_value_of_an_integer_output_gives_way_to_the_next():
    problem = one_network(absolute_value(), [1.0, 0.0], [-1, 0], [1, 5], integers=np.array([False, True]))
    assert nearest_targets(problem, np.array([0.6, 0.6])).tolist() == [1.0]
    assert next_targets(problem, np.array([0.6, 0.6]), np.array([1.0])).tolist() == [0.0]
    assert next_targets(problem, np.array([1.0, 1.0]), np.array([1.0])).tolist() == [1.0]
    aimed = with_targets(problem, np.array([1.0]))
    assert (aimed.lower[1], aimed.upper[1]) == (1.0, 1.0)
    assert not aimed.integers.any()


def test_an_equality_between_an_output_and_an_extra_column():
    problem = one_network(
        absolute_value(), [0.5, 0.0, 1.0], [-3, -INF, -INF], [3, INF, INF], [[1.0, -1.0, 1.0]], [1.0], [1.0]
    )
    # x - |x| + z = 1 leaves z = 1 + |x| - x: best at x = -3 with z = 7 or x >= 0 with z = 1.
    assert search(problem, "sequential-lp", iteration_limit=500).incumbent.objective == pytest.approx(1.0)


def test_infeasible_surroundings_are_proven():
    problem = one_network(absolute_value(), [0, 0], [0, -INF], [1, INF], [[1, 0]], [2.0], [INF])
    result = search(problem)
    assert result.stop is Stop.INFEASIBLE
    assert result.incumbent is None


def test_a_row_that_no_output_can_meet_is_infeasible_with_a_reason():
    rows = [[1.0, 1.0, 0.0], [1.0, -1.0, 0.0], [0.0, 0.0, 1.0]]
    problem = one_network(absolute_value(), [0, 0, 0], [0, -INF, 0], [1, INF, 1], rows, [1.5, 1.0, 0], [INF, INF, 1.0])
    result = search(problem)
    assert (result.stop, result.bound) == (Stop.INFEASIBLE, INF)
    assert result.reason.startswith("no point satisfies bounds and constraints")


@pytest.mark.parametrize("solve", [search, solve_exactly])
def test_a_point_that_is_feasible_within_the_tolerance_refutes_what_a_smaller_one_calls_infeasible(solve):
    """HiGHS's tolerance is 1e-7: the first row has no point for it."""
    rows = [[1.0, 0.0, 1.0], [1.0, 1.0, 1.0]]
    problem = one_network(absolute_value(), [1, 0, 1], [0, -INF, 0], [1, INF, 1], rows, [-INF, -INF], [-5e-7, 1.0])
    result = solve(problem, time_limit=0.5)
    assert result.incumbent.is_feasible
    assert result.stop in (Stop.FINISHED, Stop.TIME_LIMIT, Stop.OPTIMAL)


def test_an_output_bound_beyond_its_interval_is_proven_infeasible():
    problem = one_network(absolute_value(), [0, 0], [-1, 5.0], [1, INF])
    assert search(problem).stop is Stop.INFEASIBLE


def test_integer_surroundings_without_a_point_are_proven():
    problem = one_network(
        absolute_value(),
        [0, 0],
        [0, -INF],
        [5, INF],
        [[2.0, 0]],
        [3.0],
        [3.5],
        integers=np.array([True, False]),
    )
    assert search(problem).stop is Stop.INFEASIBLE


def test_an_infeasible_network_is_not_claimed_infeasible_nor_feasible():
    # |x| - x <= -0.1 has no solution, but no linear part of the model proves it.
    problem = one_network(absolute_value(), [0, 0], [-1, -INF], [1, INF], [[-1, 1]], [-INF], [-0.1])
    result = search(problem, iteration_limit=300)
    assert result.stop is Stop.ITERATION_LIMIT
    assert result.incumbent is None
    assert result.least_violated.violation == pytest.approx(0.1, abs=1e-6)


def test_a_search_without_limits_ends_where_no_feasible_point_is_found():
    problem = one_network(absolute_value(), [0, 0], [-1, -INF], [1, INF], [[-1, 1]], [-INF], [-0.1])
    result = search(problem, SequentialLp(patience=5), iteration_limit=100_000)
    assert result.incumbent is None
    assert result.stop is Stop.FINISHED


def test_an_unbounded_extra_column_is_recognised():
    problem = one_network(absolute_value(), [0, 0, -1.0], [-1, -INF, 0], [1, INF, INF], [[0, 1, 0]], [0.5], [INF])
    result = search(problem, iteration_limit=500)
    assert result.stop is Stop.UNBOUNDED
    assert result.incumbent.is_feasible


def test_an_unbounded_ray_of_a_linear_region_is_recognised():
    problem = one_network(absolute_value(), [0, -1.0], [-INF, -INF], [INF, INF])
    assert search(problem, "sequential-lp", iteration_limit=500).stop is Stop.UNBOUNDED


def test_free_inputs_with_a_finite_optimum():
    problem = one_network(absolute_value(), [0.5, 1.0], [-INF, -INF], [INF, INF])
    result = search(problem, "sequential-lp", iteration_limit=500)
    assert result.incumbent.objective == pytest.approx(0.0, abs=1e-9)


def test_models_without_networks_are_solved_exactly():
    rows, sides = sparse.csr_array([[2.0, 1.0]]), np.array([3.5])
    problem = Problem(
        np.array([-1.0, -0.3]), np.zeros(2), np.full(2, 9.0), rows, np.array([-INF]), sides, np.array([True, False])
    )
    result = search(problem)
    assert result.incumbent.objective == pytest.approx(-1.45)
    assert result.stop is Stop.FINISHED


def test_a_convex_quadratic_objective_with_its_minimum_inside_a_region():
    # (x - 0.3)^2 + |x| has its minimum at x = 0 ... 0.3 - 0.5 < 0, so at the kink.
    problem = one_network(
        absolute_value(), [-0.6, 1.0], [-1, -INF], [1, INF], quadratic=sparse.csr_array(np.diag([2.0, 0.0]))
    )
    result = search(problem, "sequential-lp", iteration_limit=500)
    assert result.incumbent.objective == pytest.approx(0.0, abs=1e-6)


def test_integers_with_a_quadratic_objective():
    problem = one_network(
        absolute_value(),
        [-3.2, 0.1],
        [-4, -INF],
        [4, INF],
        quadratic=sparse.csr_array(np.diag([2.0, 0.0])),
        integers=np.array([True, False]),
    )
    result = search(problem, iteration_limit=500)
    # x^2 - 3.2 x + 0.1 |x| over the integers: -1.9 at 1, -2.2 at 2.
    assert result.incumbent.objective == pytest.approx(-2.2)
    assert result.incumbent.values[0] == 2.0


def test_one_input_given_twice():
    network = Network.from_layers([[[1.0, -2.0], [-1.0, 1.0]], [[1.0, 1.0]]], [[0.5, 0.2], [0.0]])
    embedded = EmbeddedNetwork(network, [0, 0], [1])
    problem = Problem(np.array([0.0, -1.0]), np.array([-2.0, -INF]), np.array([2.0, INF]), networks=(embedded,))
    expected = max(float(network.value([[x, x]])[0, 0]) for x in (-2.0, 2.0))
    assert search(problem, "sequential-lp", iteration_limit=300).incumbent.objective == pytest.approx(-expected)


def test_the_answer_is_never_worse_than_a_feasible_start():
    rng = np.random.default_rng(3)
    network = random_network(rng, (6, 20, 20, 2))
    problem = one_network(
        network, [0] * 6 + [1.0, 0], [-1] * 6 + [-INF] * 2, [1] * 6 + [INF] * 2, [[0] * 7 + [1.0]], [-INF], [0.5]
    )
    good = search(problem, iteration_limit=3000, seed=0).incumbent
    again = search(problem, "sequential-lp", iteration_limit=1, seed=5, start=good.values)
    assert again.incumbent.objective <= good.objective + 1e-12


def test_integers_that_can_have_one_value_only_leave_the_search_going():
    embedded = EmbeddedNetwork(absolute_value(), np.array([0]), np.array([1]))
    problem = Problem(
        np.array([0.0, 1.0, 0.0]),
        np.array([-3.0, -INF, 1.0]),
        np.array([3.0, INF, 1.0]),
        sparse.csr_array(np.array([[1.0, 1.0, 1.0]])),
        np.array([2.0]),
        np.array([INF]),
        integers=np.array([False, False, True]),
        networks=(embedded,),
    )
    result = search(problem, "sequential-lp", iteration_limit=200)
    assert result.incumbent.objective == pytest.approx(0.5, abs=1e-6)


def test_a_start_with_missing_and_wrong_values_is_repaired():
    problem = one_network(absolute_value(), [0.0, 1.0, 0.0], [-3, -INF, -1], [3, INF, 1], [[1.0, 0, 1.0]], [2.0], [INF])
    start = np.array([9.0, np.nan, -5.0])
    result = search(problem, "sequential-lp", iteration_limit=200, start=start)
    assert result.incumbent.objective == pytest.approx(1.0)


def test_a_seed_and_an_iteration_limit_give_the_same_answer():
    rng = np.random.default_rng(1)
    network = random_network(rng, (5, 15, 15, 1))
    problem = one_network(network, [0] * 5 + [1.0], [-1] * 5 + [-INF], [1] * 5 + [0.7], [[1.0] * 5 + [0]], [0.2], [INF])
    first, second = (search(problem, "sequential-lp", iteration_limit=120, seed=7) for _ in range(2))
    assert first.history != ()
    assert [objective for _, objective in first.history] == [objective for _, objective in second.history]
    np.testing.assert_array_equal(first.incumbent.values, second.incumbent.values)


def test_the_time_limit_holds():
    rng = np.random.default_rng(2)
    network = random_network(rng, (20, 60, 60, 2))
    problem = one_network(network, [0] * 20 + [1.0, 0], [-1] * 20 + [-INF] * 2, [1] * 20 + [INF, 0.1])
    result = search(problem, time_limit=0.3)
    assert result.stop is Stop.TIME_LIMIT
    assert result.elapsed < 1.0


def test_the_callback_stops_the_search_and_sees_every_incumbent():
    rng = np.random.default_rng(2)
    problem = one_network(random_network(rng, (4, 8, 1)), [0] * 4 + [1.0], [-1] * 4 + [-9], [1] * 4 + [9])
    seen = []

    def callback(progress):
        seen.append(progress)
        return progress.incumbent is not None

    result = search(problem, "sequential-lp", callback=callback)
    assert result.stop is Stop.CALLBACK
    assert seen[-1].incumbent is result.incumbent
    assert seen[-1].is_new


def test_ctrl_c_keeps_the_best_point():
    rng = np.random.default_rng(2)
    problem = one_network(random_network(rng, (4, 8, 1)), [0] * 4 + [1.0], [-1] * 4 + [-9], [1] * 4 + [9])

    def callback(progress):
        if progress.incumbent is not None:
            raise KeyboardInterrupt
        return False

    result = search(problem, "sequential-lp", callback=callback)
    assert result.stop is Stop.INTERRUPTED
    assert result.incumbent.is_feasible


@pytest.mark.parametrize("n", [5, 2000])
def test_neighbours_differ_in_one_or_two_integers_and_take_no_more_room_than_they_are(n):
    problem = Problem(np.ones(n), np.full(n, -3.0), np.full(n, 3.0), integers=np.arange(n) > 0)
    tracemalloc.start()
    points = integer_neighbours(problem, Following(problem), np.zeros(n), np.random.default_rng(0), 64)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(points) == 64
    assert set(np.abs(points).sum(axis=1)) <= {0.0, 1.0, 2.0}
    assert (np.abs(points).sum(axis=1) == 1.0).sum() >= min(2 * (n - 1), 64)
    assert not points[:, 0].any()
    assert peak <= 20 * points.nbytes + 100_000


def test_a_descent_that_ran_away_is_given_up_and_the_models_go_on():
    """So far out rounding alone gives the linearizations constants that HiGHS does not take."""
    network = Network.from_layers([[[0.1, 0.7], [-0.3, 0.2]], [[0.7, 1.3]]], [[1.0, 2.0], [0.0]])
    problem = one_network(network, [0.0, 0.0, 1.0], [0, 0, -INF], [INF, INF, INF])
    linearization = Linearization(problem)
    near, far = problem.propagate(np.array([[1.0, 1.0, 0.0], [3.7e122, 1.9e121, 0.0]]))
    merit, scale = Merit.scaled_to(problem, near[None], 10.0), column_scale(problem)
    steps, regions = StepModel(problem, linearization, 1.0), RegionProgram(problem)
    assert not abs(linearization.links(far)[1]).max() < 1e20
    assert steps.step(far, 1.0, merit, scale, Budget()) is None
    assert regions.incumbent(regions.solve(regions.region_at(far[:2]), Budget()).u).objective < far[2]
    assert steps.step(near, 1.0, merit, scale, Budget()) is not None
    best = regions.incumbent(regions.solve(regions.region_at(near[:2]), Budget()).u)
    assert best.objective < near[2]


def test_where_steps_alone_are_limited_the_time_of_a_step_does_not_matter():
    problem = random_problem("integer", 3)
    answers = [
        search(problem, method=SequentialLp(integer_step_time=seconds, held_share=0.0), iteration_limit=30, seed=1)
        for seconds in (1e-9, 10.0)
    ]
    assert answers[0].incumbent is not None
    assert [value for _, value in answers[0].history] == [value for _, value in answers[1].history]
