"""Dynamic programming over stages: what they are, and what is found over them."""

import numpy as np
import pytest
from scipy import sparse

from pyomo_relugrad.network import Network
from pyomo_relugrad.problem import EmbeddedNetwork, Problem
from pyomo_relugrad.problem.presolve import presolve
from pyomo_relugrad.run import Budget
from pyomo_relugrad.search.dynamic_programming.cells import CostToGo, kept_states
from pyomo_relugrad.search.dynamic_programming.search import DynamicProgramming
from pyomo_relugrad.search.dynamic_programming.stages import are_narrow, stages_in_order
from pyomo_relugrad.search.dynamic_programming.sweep import Sweeps
from pyomo_relugrad.search.relaxation import LinearRelaxation
from pyomo_relugrad.search.sequential.merit import Merit
from pyomo_relugrad.solve import search, solve_exactly

#: Prices of heat; comfort costs more than any of them.
PRICES = np.array([0.3, 0.2, 0.5, 0.25, 0.4])
DISCOMFORT_COST = 2.0


def room() -> Network:
    """The next state from state and heat, ``0.8 x + 0.5 u``, bent by four ReLUs."""
    random = np.random.default_rng(0)
    hidden = np.concatenate([random.standard_normal((4, 2)), np.eye(2), -np.eye(2)])
    output = np.concatenate([0.1 * random.standard_normal(4), [0.8, 0.5, -0.8, -0.5]])
    return Network.from_layers([hidden, output[None]], [np.zeros(8), np.zeros(1)])


class Model:
    """Rows and columns, one after another."""

    def __init__(self) -> None:
        self.cost, self.lower, self.upper, self.integers = [], [], [], []
        self.rows, self.row_lower, self.row_upper, self.networks = [], [], [], []

    def column(self, lower: float, upper: float, cost: float = 0.0, integer: bool = False) -> int:
        for values, value in ((self.cost, cost), (self.lower, lower), (self.upper, upper), (self.integers, integer)):
            values.append(value)
        return len(self.cost) - 1

    def row(self, terms: dict[int, float], lower: float = -np.inf, upper: float = np.inf) -> None:
        self.rows.append(terms)
        self.row_lower.append(lower)
        self.row_upper.append(upper)

    def problem(self, quadratic: np.ndarray | None = None) -> Problem:
        matrix = np.zeros((len(self.rows), len(self.cost)))
        for index, terms in enumerate(self.rows):
            for column, factor in terms.items():
                matrix[index, column] += factor
        return Problem(
            cost=np.array(self.cost),
            lower=np.array(self.lower),
            upper=np.array(self.upper),
            rows=matrix,
            row_lower=np.array(self.row_lower),
            row_upper=np.array(self.row_upper),
            integers=np.array(self.integers),
            networks=tuple(self.networks),
            quadratic=None if quadratic is None else sparse.csr_array(quadratic),
        )


def control(way: str = "direct", switched: bool = False, ramp: float | None = None, quadratic: bool = False) -> Problem:
    """Keep a state at 1 or above over five stages, in three ways of writing it."""
    model, network = Model(), room()
    state, heats = model.column(0.2, 0.2), []
    for price in PRICES.tolist():
        heat = model.column(0, 2, price)
        written = model.column(-np.inf, np.inf)
        model.networks.append(EmbeddedNetwork(network, [state, heat], [written]))
        state = written
        if way != "direct":
            state = model.column(-10, 10)
            if way == "rows":
                model.row({state: 1.0, written: -1.0}, 0, 0)
            else:
                scaled = model.column(-10, 10)
                model.row({scaled: 2.0, written: -1.0}, 1, 1)
                model.row({state: 1.0, scaled: -2.0}, -1, -1)
        short = model.column(0, 10, DISCOMFORT_COST)
        model.row({state: 1.0, short: 1.0}, 1)
        if switched:
            on = model.column(0, 1, 0.05, integer=True)
            model.row({heat: 1.0, on: -2.0}, upper=0)
            model.row({heat: 1.0, on: -0.8}, 0)
        if ramp is not None and heats:
            model.row({heat: 1.0, heats[-1]: -1.0}, -ramp, ramp)
        heats.append(heat)
    size = len(model.cost)
    curvature = np.zeros(size)
    curvature[heats] = 0.2
    return presolve(model.problem(np.diag(curvature) if quadratic else None)).problem


CASES = [{}, {"switched": True}, {"ramp": 0.3}, {"quadratic": True}]


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("way", ["direct", "rows", "scaled"])
def test_small_horizons_are_solved_to_the_optimum_however_they_are_written(way, case):
    result = search(control(way, **case), DynamicProgramming(patience=1), iteration_limit=600)
    optimum = solve_exactly(control(**case), time_limit=60)
    assert result.incumbent.is_feasible
    assert result.incumbent.objective == pytest.approx(optimum.incumbent.objective, abs=1e-4)


def test_a_seed_and_an_iteration_limit_give_the_same_answer_again():
    first, second = (search(control(switched=True), iteration_limit=60, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first.incumbent.values, second.incumbent.values)


def test_a_search_over_a_narrow_horizon_ends_by_itself():
    assert search(control(), time_limit=60).stop.value in ("finished", "optimal")


def test_states_are_what_the_next_stages_depend_on():
    stages = stages_in_order(control())
    assert len(stages) == PRICES.size
    assert are_narrow(control(), stages)
    assert [stage.state_columns.size for stage in stages] == [1, 1, 1, 1, 0]
    assert [stage.network.inputs[0] for stage in stages[1:]] == [stage.state_columns[0] for stage in stages[:-1]]
    assert not any(stage.state_rows.size for stage in stages)


def test_rows_between_stages_belong_to_the_state_once():
    stages = stages_in_order(control(ramp=0.3))
    assert [stage.state_rows.size for stage in stages] == [1, 1, 1, 1, 0]
    assert not are_narrow(control(ramp=0.3), stages)


def test_integers_are_chosen_before_what_they_switch():
    problem = control(switched=True)
    for stage in stages_in_order(problem):
        assert problem.integers[stage.before].tolist() == [True, False]


def test_every_column_is_known_once():
    for way in ("direct", "scaled"):
        problem = control(way, switched=True)
        columns = np.concatenate([stage.columns for stage in stages_in_order(problem)])
        free = np.flatnonzero(problem.lower < problem.upper)
        np.testing.assert_array_equal(np.sort(columns), free)


def test_networks_side_by_side_have_no_stages():
    model, network = Model(), room()
    inputs = [model.column(0, 1) for _ in range(4)]
    outputs = [model.column(-np.inf, np.inf) for _ in range(2)]
    model.networks = [
        EmbeddedNetwork(network, inputs[:2], outputs[:1]),
        EmbeddedNetwork(network, inputs[2:], outputs[1:]),
    ]
    model.row(dict.fromkeys(inputs, 1.0), upper=2)
    assert stages_in_order(model.problem()) == ()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_sweep_is_no_worse_than_its_first_point_and_keeps_to_rows(case):
    problem, random = control(**case), np.random.default_rng(0)
    surroundings = LinearRelaxation(problem)
    points = problem.propagate(surroundings.stratified_points(16, random))
    merit = Merit.scaled_to(problem, points, 10.0)
    sweeps = Sweeps(problem, stages_in_order(problem), surroundings.lower, surroundings.upper, 16)
    first = sweeps.recombine(points, merit, random, Budget())
    assert problem.violation(first[None])[0] < 1e-9
    again = sweeps.recombine(np.array([first, *points[1:]]), merit, random, Budget())
    assert merit.of(problem, again[None])[0] <= merit.of(problem, first[None])[0] + 1e-9


def test_a_sweep_that_runs_out_of_steps_gives_nothing():
    problem, random = control(), np.random.default_rng(0)
    surroundings = LinearRelaxation(problem)
    points = problem.propagate(surroundings.stratified_points(8, random))
    sweeps = Sweeps(problem, stages_in_order(problem), surroundings.lower, surroundings.upper, 8)
    budget = Budget(iteration_limit=2)
    assert sweeps.recombine(points, Merit.scaled_to(problem, points, 10.0), random, budget) is None


def test_costs_to_go_are_interpolated_between_states():
    line = CostToGo(np.array([[2.0, 0.0, 1.0]]), np.array([5.0, 1.0, 2.0]))
    np.testing.assert_allclose(line.at(np.array([[0.5, 1.5]])), [1.5, 3.5])
    plane = CostToGo(np.array([[0.0, 1.0], [0.0, 10.0]]), np.array([3.0, 4.0]))
    np.testing.assert_allclose(plane.at(np.array([[0.1, 0.9], [2.0, 9.0]])), [3.0, 4.0])


def test_of_each_cell_the_cheapest_candidate_goes_on_and_the_first_one_always():
    random = np.random.default_rng(0)
    features, cost = random.random((1, 500)), random.random(500)
    kept = kept_states(features, cost, 20, random)
    assert kept[0] == 0
    assert cost.argmin() in kept
    assert np.unique(kept).size == kept.size <= 20 + 18
    assert np.ptp(features[0, kept]) > 0.8
