"""The exact solve on arrays: proven optima, routes, limits and interrupts."""

from dataclasses import replace

import numpy as np
import pytest
from milp_oracle import exact_optimum
from omlt_oracle import proven_optimum
from random_models import random_network, random_problem
from scipy import sparse
from scripted_method import Scripted

from pyomo_relugrad import Network
from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.problem import BOUND_METHODS, EmbeddedNetwork, Problem
from pyomo_relugrad.proof import MilpProof
from pyomo_relugrad.proof.candidates import Candidates
from pyomo_relugrad.proof.root_bound import dual_bound
from pyomo_relugrad.run import Clock, Report, Stop
from pyomo_relugrad.solve import Options, Portfolio, Route, search, solve_exactly, team
from pyomo_relugrad.solve.runner import Runner
from pyomo_relugrad.solve.searches import Searches

TIGHT = Options(relative_gap=1e-6)
#: Routes that are for models with integers, quadratic objectives and several networks as well.
FOR_ANY = (Route.BRANCH, Route.MILP)


def box_problem(sizes: tuple[int, ...], seed: int = 1) -> Problem:
    """The first output of a random network over [-1, 1]^n."""
    n, m = sizes[0], sizes[-1]
    network = random_network(np.random.default_rng(seed), sizes)
    free = np.full(m, np.inf)
    return Problem(
        np.eye(n + m)[n],
        np.r_[np.full(n, -1.0), -free],
        np.r_[np.full(n, 1.0), free],
        networks=(EmbeddedNetwork(network, np.arange(n), n + np.arange(m)),),
    )


def hard_box() -> Problem:
    return box_problem((8, 30, 30, 1))


def integer_program() -> Problem:
    """Minimize -x - y over x + 2 y <= 6.2 and integers up to 3.5: -4 at (3, 1)."""
    return Problem(
        np.array([-1.0, -1.0]), np.zeros(2), np.full(2, 3.5), sparse.csr_array([[1.0, 2.0]]), np.array([-np.inf]),
        np.array([6.2]), np.array([True, True]),
    )  # fmt: skip


def only(route: Route, **others: float) -> Portfolio:
    return Portfolio(routes=(route,), **others)


def without_searches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Searches, "step", lambda _: Report())


def assert_solved(
    problem: Problem, optimum: float, options: Options = TIGHT, portfolio: Portfolio | None = None
) -> None:
    result = solve_exactly(problem, options, time_limit=60, portfolio=portfolio)
    if optimum == np.inf:
        assert result.stop is Stop.INFEASIBLE
        assert result.incumbent is None
        return
    tolerance = options.allowed_gap(optimum) + 1e-6 * (1 + abs(optimum))
    assert result.stop is Stop.OPTIMAL
    assert result.incumbent.is_feasible
    assert result.incumbent.objective == pytest.approx(optimum, abs=tolerance)
    assert optimum - tolerance <= result.bound <= optimum + 1e-6 * (1 + abs(optimum))
    assert result.bound <= result.incumbent.objective


# --- optima -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "seed"),
    [
        *(("window", seed) for seed in (0, 2, 3)),
        *(("equality", seed) for seed in (0, 2)),
        *(("integer", seed) for seed in (1, 2)),
        *(("chained", seed) for seed in (0, 2)),
        ("shared", 1),
    ],
)
def test_models_of_every_family_are_solved_as_by_omlt_and_highs(family, seed):
    problem = random_problem(family, seed)
    assert_solved(problem, proven_optimum(problem))


def test_a_quadratic_objective_is_proven():
    """The distance of two outputs to a target, which a point of the box attains: the optimum is zero."""
    problem = box_problem((2, 8, 2))
    target = problem.propagate(np.full((1, 4), 0.3))[0, 2:]
    quadratic = sparse.csr_array(np.diag([0.0, 0.0, 2.0, 2.0]))
    cost = np.r_[0.0, 0.0, -2 * target]
    problem = replace(problem, cost=cost, quadratic=quadratic, constant=float(target @ target))
    assert_solved(problem, 0.0, Options(absolute_gap=1e-3))


@pytest.mark.parametrize("seed", [1, 6])
def test_both_routes_prove_the_same_quadratic_optimum(seed):
    problem = random_problem("quadratic", seed)
    bounds, objectives = [], []
    for route in FOR_ANY:
        result = solve_exactly(problem, Options(relative_gap=1e-3), time_limit=60, portfolio=only(route))
        assert (result.stop, result.routes) == (Stop.OPTIMAL, (route,))
        bounds.append(result.bound)
        objectives.append(result.incumbent.objective)
    assert max(bounds) <= min(objectives) + 1e-6
    assert objectives[0] == pytest.approx(objectives[1], rel=1e-3)


@pytest.mark.parametrize("with_search", [True, False])
def test_integers_under_a_quadratic_objective(with_search, monkeypatch):
    """Minimize (x - 1.3)^2 + (y - 1.6)^2 over x + 2 y <= 4.2, y integer: 0.36 at (1.3, 1), 1.37 at y = 2."""
    if not with_search:
        without_searches(monkeypatch)
    portfolio = only(Route.MILP, late_share=0.5)
    problem = replace(
        integer_program(),
        cost=np.array([-2.6, -3.2]),
        constant=1.3**2 + 1.6**2,
        quadratic=sparse.csr_array(2 * np.eye(2)),
        row_upper=np.array([4.2]),
        integers=np.array([False, True]),
    )
    assert_solved(problem, 0.36, portfolio=portfolio)
    infeasible = replace(problem, row_lower=np.array([100.0]), row_upper=np.array([np.inf]))
    assert_solved(infeasible, np.inf, portfolio=portfolio)


def test_infeasible_demands_under_a_quadratic_objective():
    problem = box_problem((3, 8, 8, 1))
    upper = np.r_[problem.upper[:3], exact_optimum(problem) - 1e-3]
    quadratic = sparse.csr_array(np.eye(4))
    assert_solved(replace(problem, upper=upper, quadratic=quadratic), np.inf, portfolio=only(Route.MILP))


@pytest.mark.parametrize("route", FOR_ANY)
@pytest.mark.parametrize(("family", "seed"), [("window", 3), ("equality", 3), ("integer", 2)])
def test_each_route_alone_comes_to_the_optimum(route, family, seed):
    problem = random_problem(family, seed)
    assert_solved(problem, exact_optimum(problem), portfolio=only(route))


@pytest.mark.parametrize("bounds", BOUND_METHODS)
def test_every_bound_method_comes_to_the_optimum(bounds):
    problem = random_problem("integer", 1)
    assert_solved(problem, exact_optimum(problem), replace(TIGHT, bounds=bounds), only(Route.MILP))


@pytest.mark.parametrize("first_seconds", [0.2, 0.0])
def test_a_problem_without_networks_is_a_milp(first_seconds):
    result = solve_exactly(integer_program(), portfolio=Portfolio(first_seconds=first_seconds))
    assert result.stop is Stop.OPTIMAL
    assert result.incumbent.objective == pytest.approx(-4)
    assert result.bound == pytest.approx(-4)


def test_linked_columns_are_merged_and_restored():
    problem = box_problem((3, 8, 8, 1))
    n = problem.n_columns
    linked = replace(
        problem,
        cost=np.r_[problem.cost, np.zeros(3)],
        lower=np.r_[np.full(n, -np.inf), np.full(3, -1.0)],
        upper=np.r_[np.full(n, np.inf), np.full(3, 1.0)],
        rows=sparse.csr_array(np.c_[np.eye(3, n), -np.eye(3)]),
        row_lower=np.zeros(3),
        row_upper=np.zeros(3),
        integers=np.zeros(n + 3, bool),
    )
    seen = []
    result = solve_exactly(linked, TIGHT, start=np.zeros(n + 3), callback=lambda progress: seen.append(progress))
    assert result.stop is Stop.OPTIMAL
    assert result.incumbent.objective == pytest.approx(exact_optimum(problem), abs=1e-5)
    np.testing.assert_allclose(result.incumbent.values[:3], result.incumbent.values[-3:])
    assert all(progress.incumbent.values.size == n + 3 for progress in seen if progress.incumbent)


def test_the_first_relaxation_may_be_the_proof():
    network = Network.from_layers([[[1.0], [2.0]], [[1.0, -1.0]]], [[0.5, 0.5], [0.0]])
    embedded = EmbeddedNetwork(network, [0], [1])
    problem = Problem(np.array([0.0, 1.0]), np.array([0, -np.inf]), np.array([1, np.inf]), networks=(embedded,))
    result = solve_exactly(problem)
    assert (result.stop, result.routes, result.nodes) == (Stop.OPTIMAL, (), 0)
    assert result.incumbent.objective == pytest.approx(-1.0)


# --- what proofs and searches hand each other ---------------------------------------------------------------------


def watched_runners(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, float]]:
    """Bound and incumbent of the proofs, as they stand when they are made, after every step, and at the end."""
    steps = []

    class WatchedRunner(Runner):
        def __init__(self, *arguments) -> None:
            super().__init__(*arguments)
            self.note()

        def step(self) -> Report:
            report = super().step()
            self.note()
            return report

        def close(self) -> tuple[Report, ...]:
            reports = super().close()
            self.note()
            return reports

        def note(self) -> None:
            steps.append((self._prover.bound, self._prover.incumbent_value))

    monkeypatch.setattr(team, "Runner", WatchedRunner)
    return steps


@pytest.mark.parametrize("route", list(Route))
def test_the_bound_is_the_best_of_the_proof_and_of_the_first_relaxation(route, monkeypatch):
    steps, seen, problem = watched_runners(monkeypatch), [], hard_box()

    def best(incumbent):
        return min(max([dual_bound(problem), *(bound for bound, _ in steps)]), incumbent.objective)

    def callback(progress):
        if steps:
            seen.append((progress.bound, best(progress.incumbent)))
        return len(seen) >= 4 and (progress.bound > seen[0][0] or len(seen) > 30)

    result = solve_exactly(
        problem, Options(relative_gap=0.0), time_limit=60, callback=callback, portfolio=only(route)
    )  # fmt: skip
    reported, expected = zip(*seen, strict=True)
    np.testing.assert_allclose(reported, expected, rtol=1e-9)
    assert result.bound == pytest.approx(best(result.incumbent), rel=1e-9)
    assert result.bound < result.incumbent.objective


@pytest.mark.parametrize("route", [Route.BRANCH, Route.MILP, Route.RELUS])  # a box has no stages
def test_a_proof_begins_with_the_incumbent_and_takes_better_ones(route, monkeypatch):
    steps, problem = watched_runners(monkeypatch), hard_box()
    best = search(problem, time_limit=1.0).incumbent
    centre = problem.incumbent(np.zeros(problem.n_columns))
    assert best.objective < centre.objective - 0.01
    late = []

    def search_for(_, seconds):
        """In place of the first search, the centre; in place of the later ones, the optimum."""
        yield Report((late[0] if late else centre,))
        late.append(best)

    monkeypatch.setattr(team.Team, "_search_for", search_for)
    monkeypatch.setattr(Candidates, "try_on", lambda *_: None)
    monkeypatch.setattr(MilpProof, "_take_points", lambda *_: None)
    solve_exactly(
        problem,
        Options(relative_gap=0.0),
        time_limit=120,
        callback=lambda _: bool(steps) and steps[-1][1] == best.objective,
        portfolio=only(route),
    )
    assert steps[0][1] == centre.objective
    assert steps[-1][1] == best.objective


@pytest.mark.parametrize("route", FOR_ANY)
def test_without_a_search_the_proof_brings_the_incumbent(route, monkeypatch):
    without_searches(monkeypatch)
    problem = random_problem("integer", 1)
    assert_solved(problem, exact_optimum(problem), portfolio=only(route, late_share=0.5))


def test_searches_after_the_first_are_told_so():
    told = []

    def course(problem, context):
        told.append(context.is_first)
        yield None

    method = Scripted(course)
    options = Options(method=method, threads=1)  # so that the proof does not end before
    box = box_problem((10, 40, 40, 1))
    solve_exactly(box, options, portfolio=Portfolio(), callback=lambda _: len(told) >= 2)
    assert len(told) >= 2
    assert told == [True] + [False] * (len(told) - 1)


# --- no optimum ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("route", FOR_ANY)
def test_demands_that_the_network_cannot_meet_are_proven_infeasible(route):
    problem = box_problem((3, 8, 8, 1))
    upper = np.r_[problem.upper[:3], exact_optimum(problem) - 1e-3]
    result = solve_exactly(replace(problem, upper=upper), time_limit=60, portfolio=only(route))
    assert (result.stop, result.incumbent, result.bound) == (Stop.INFEASIBLE, None, np.inf)


def test_rows_that_contradict_each_other_are_proven_infeasible():
    problem = replace(integer_program(), row_lower=np.array([100.0]), row_upper=np.array([np.inf]))
    assert solve_exactly(problem).stop is Stop.INFEASIBLE


@pytest.mark.parametrize("with_network", [False, True])
def test_an_unbounded_objective_is_reported(with_network):
    network = Network.from_layers([[[1.0]], [[1.0]]], [[0.0], [0.0]])
    problem = Problem(
        np.array([0.0, -1.0]),
        np.array([0.0, 0.0 if not with_network else -np.inf]),
        np.full(2, np.inf),
        networks=(EmbeddedNetwork(network, [0], [1]),) if with_network else (),
    )
    result = solve_exactly(problem, time_limit=60)
    assert result.stop is Stop.UNBOUNDED
    assert result.bound == -np.inf


# --- being stopped ------------------------------------------------------------------------------------------------


def test_a_time_limit_leaves_incumbent_and_bound():
    problem = hard_box()
    result = solve_exactly(problem, Options(relative_gap=0.0), time_limit=1.0)
    assert result.stop is Stop.TIME_LIMIT
    assert result.incumbent.is_feasible
    points = np.random.default_rng(0).uniform(-1, 1, size=(20_000, problem.n_columns))
    assert -np.inf < result.bound <= problem.objective(problem.propagate(points)).min()
    assert result.bound < result.incumbent.objective
    assert result.nodes > 0


@pytest.mark.parametrize("route", list(Route))
@pytest.mark.parametrize("in_proof", [False, True])
def test_ctrl_c_leaves_incumbent_and_bound(route, in_proof, monkeypatch):
    steps = watched_runners(monkeypatch)

    def interrupt(progress):
        if progress.incumbent is not None and bool(steps) == in_proof:
            raise KeyboardInterrupt

    result = solve_exactly(
        hard_box(), Options(relative_gap=0.0), time_limit=60, callback=interrupt, portfolio=only(route)
    )  # fmt: skip
    assert result.stop is Stop.INTERRUPTED
    assert result.routes == ((route,) if in_proof else ())
    assert result.bound < result.incumbent.objective
    assert np.isfinite(result.bound) or not in_proof


def test_the_callback_sees_the_bound_close_in_and_ends_the_solve():
    seen = []

    def callback(progress):
        seen.append(progress)
        return progress.nodes > 500

    result = solve_exactly(hard_box(), callback=callback)
    assert result.stop is Stop.CALLBACK
    bounds = [progress.bound for progress in seen]
    objectives = [progress.incumbent.objective for progress in seen if progress.incumbent]
    assert bounds == sorted(bounds)
    assert objectives == sorted(objectives, reverse=True)
    assert sum(progress.is_new for progress in seen) >= len(result.history) > 0


def test_all_workers_are_closed_where_one_of_them_fails():
    closed = []

    class Closing:
        def close(self) -> tuple[Report, ...]:
            closed.append(self)
            raise ZeroDivisionError

    workers = team.Team(integer_program(), Options(), Portfolio(), Clock())
    workers._searches, workers._runners = Closing(), [Closing(), Closing()]
    with pytest.raises(ZeroDivisionError):
        workers.close()
    assert closed == [workers._searches, *workers._runners]


def test_workers_whose_time_is_over_between_two_steps_say_so():
    workers = team.Team(hard_box(), Options(), Portfolio(), Clock(0.0))
    reports = [workers.step()]
    while reports[-1].stop is None:
        reports.append(workers.step())
    assert len(reports) > 1
    assert reports[-1].stop is Stop.TIME_LIMIT


def test_an_error_in_the_callback_passes():
    def fail(progress):
        if progress.nodes:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        solve_exactly(hard_box(), callback=fail)


def test_a_start_is_the_first_incumbent():
    problem = box_problem((3, 8, 8, 1))
    optimum = solve_exactly(problem, TIGHT).incumbent
    first = []
    solve_exactly(problem, TIGHT, start=optimum.values, callback=lambda progress: first.append(progress.incumbent))
    assert first[0].objective == pytest.approx(optimum.objective)


# --- options and routes -------------------------------------------------------------------------------------------


def test_options_that_nobody_knows_are_refused():
    problem = hard_box()
    with pytest.raises(ModelError, match="HiGHS does not take the option mip_magic"):
        Options(highs_options={"mip_magic": 1})
    with pytest.raises(ModelError, match="HiGHS does not take the option threads = 'all'"):
        Options(highs_options={"threads": "all"})
    with pytest.raises(ModelError, match="unknown bounds 'magic': give one of"):
        solve_exactly(problem, Options(bounds="magic"), portfolio=only(Route.MILP))


def test_routes_are_chosen_by_structure():
    box, choose_routes = box_problem((3, 8, 1)), Portfolio().routes_for
    assert choose_routes(box) == (Route.BRANCH, Route.MILP)
    assert choose_routes(integer_program()) == (Route.MILP,)
    assert choose_routes(replace(box, quadratic=sparse.csr_array(np.eye(4)))) == (Route.BRANCH, Route.MILP)
    assert choose_routes(replace(box, lower=np.r_[-np.inf, box.lower[1:]])) == (Route.BRANCH,)
    wide = box_problem((Portfolio().few_inputs + 1, 4, 1))
    assert choose_routes(wide) == (Route.MILP, Route.RELUS)
    whole = np.r_[True, np.zeros(wide.n_columns - 1, bool)]
    assert choose_routes(replace(wide, integers=whole)) == (Route.MILP, Route.RELUS)
    curved = replace(wide, quadratic=sparse.csr_array(np.eye(wide.n_columns)))
    assert choose_routes(curved) == (Route.MILP, Route.BRANCH)
    fixed = np.r_[wide.upper[0], -1.0, wide.upper[2:]]
    assert choose_routes(replace(wide, upper=fixed)) == (Route.BRANCH, Route.MILP)
    many = box_problem((3, 400, 1))
    lead = Portfolio().lead_of
    for cores in (1, 2):
        assert lead(Route.BRANCH, box, cores) <= lead(Route.MILP, many, cores) < lead(Route.BRANCH, many, cores)
    for first in (Route.BRANCH, Route.STAGES):  # a MILP of a few ReLUs waits for neither
        assert lead(first, box, 2) == 0.0 < lead(first, box, 1) < lead(first, many, 2)


def test_the_second_route_joins():
    problem = hard_box()
    result = solve_exactly(problem, Options(relative_gap=0.0), time_limit=2.0)
    assert result.routes == (Route.BRANCH, Route.MILP)
