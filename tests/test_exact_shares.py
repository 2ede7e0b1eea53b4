"""How searches and proofs share the time, counted on a clock that only they move."""

import threading

import numpy as np
import pytest
from fake_clock import FakeClock
from test_exact import hard_box, integer_program, only

from pyomo_relugrad import deadline
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.proof import SearchTree
from pyomo_relugrad.proof import milp as milp_module
from pyomo_relugrad.proof.milp import EQUAL_SECONDS, REPORT_INTERVAL, MilpProof
from pyomo_relugrad.run.budget import Budget, Stop
from pyomo_relugrad.run.options import Options
from pyomo_relugrad.search.relaxation import LinearRelaxation
from pyomo_relugrad.solve import Route, portfolio, solve_exactly
from pyomo_relugrad.solve.runner import Runner
from pyomo_relugrad.solve.searches import SECOND_SECONDS, SECOND_SHARE, Searches
from pyomo_relugrad.solve.shares import (
    FIRST_SEARCH,
    LATE_SECONDS,
    LATE_SHARE,
    LOOK_INTERVAL,
    PATIENCE,
    PROOF_TURN,
    SEARCH_SHARE,
    SHORTEST_SEARCH,
    TimeShares,
    first_search_seconds,
)

# --- the rule -----------------------------------------------------------------------------------------------------


def shared(turns: int, proof_seconds: float, successes: set[int], has_incumbent: bool) -> list[tuple[float, float]]:
    """Seconds of searches and of proofs, soon to close the gap, after each turn; when searches succeed is given."""
    shares, searched, proven, history = TimeShares(), 0.0, 0.0, []
    for turn in range(turns):
        shares.book_proofs(proof_seconds, has_incumbent)
        proven += proof_seconds
        seconds = shares.search_seconds()
        shares.book_search(seconds, turn in successes, has_incumbent)
        searched += seconds
        history.append((searched, proven))
    return history


@pytest.mark.parametrize("proof_seconds", [0.05, PROOF_TURN, 30.0])
def test_searches_have_half_of_the_time_while_there_is_no_incumbent(proof_seconds):
    for searched, proven in shared(50, proof_seconds, set(), has_incumbent=False):
        assert searched >= proven - SHORTEST_SEARCH


def test_searches_that_find_no_point_for_long_have_most_of_the_time():
    searched, proven = shared(200, PROOF_TURN, set(), has_incumbent=False)[-1]
    assert LATE_SHARE >= searched / (searched + proven) >= 0.95 * LATE_SHARE


def test_searches_that_succeed_keep_their_half():
    searched, proven = shared(50, PROOF_TURN, set(range(0, 50, 3)), has_incumbent=True)[-1]
    assert searched >= SEARCH_SHARE * (searched + proven) - SHORTEST_SEARCH


def test_searches_in_vain_fall_back_and_do_not_stop():
    history = shared(2000, PROOF_TURN, {0}, has_incumbent=True)
    shares = [searched / (searched + proven) for searched, proven in history]
    assert shares[1] >= SEARCH_SHARE
    assert shares[-1] < 0.2
    assert history[-1][0] > history[1000][0] > history[100][0]


@pytest.mark.parametrize(
    ("last_success", "largest"), [(10.0, LATE_SHARE), (LATE_SECONDS[1], LATE_SHARE), (LATE_SECONDS[0], SEARCH_SHARE)]
)
def test_the_share_falls_from_the_end_of_the_patience_on(last_success, largest):
    shares = TimeShares()
    shares.book_search(last_success, found=True, has_incumbent=True)
    patience = FIRST_SEARCH + PATIENCE * last_success
    shares.book_search(patience - last_success, found=False, has_incumbent=True)
    assert shares.search_share == pytest.approx(largest, rel=1e-3)
    shares.book_search(patience, found=False, has_incumbent=True)
    assert shares.search_share == pytest.approx(largest / 2, rel=1e-3)
    shares.book_search(LATE_SECONDS[1], found=True, has_incumbent=True)
    assert shares.search_share == LATE_SHARE


def test_searches_that_succeed_late_have_most_of_the_time():
    searched, proven = shared(200, PROOF_TURN, set(range(0, 200, 3)), has_incumbent=True)[-1]
    assert searched >= 0.95 * LATE_SHARE * (searched + proven)


def test_searches_have_all_of_the_time_beside_proofs_until_they_are_in_vain():
    shares = TimeShares()
    assert shares.share_beside == 1.0
    shares.book_search(2.0, found=True, has_incumbent=True, beside=True)
    assert shares.share_beside == 1.0
    shares.book_search(100.0, found=False, has_incumbent=True, beside=True)
    assert shares.share_beside == SEARCH_SHARE


def test_a_search_beside_proofs_owes_them_nothing():
    alone, after_others = TimeShares(), TimeShares()
    after_others.book_search(LATE_SECONDS[0], found=False, has_incumbent=False, beside=True)
    for shares in (alone, after_others):
        shares.book_proofs(1.0, has_incumbent=False)
    assert after_others.search_seconds() == alone.search_seconds() > 0.0


def test_searches_in_vain_keep_half_beside_proofs_that_are_not_about_to_close_the_gap():
    shares = TimeShares()
    shares.book_search(1.0, found=True, has_incumbent=True)
    shares.book_search(100.0, found=False, has_incumbent=True)
    assert shares.search_share < 0.1
    shares.is_closing = False
    assert shares.search_share == SEARCH_SHARE
    assert shares.share_beside == 1.0


def test_proofs_that_could_not_take_their_turns_make_up_for_one_of_them():
    shares = TimeShares()
    shares.book_search(100.0, found=True, has_incumbent=True)
    shares.book_proofs(1.0, has_incumbent=True)
    assert shares.search_seconds() == pytest.approx(LATE_SHARE / (1.0 - LATE_SHARE) - PROOF_TURN)


def test_a_long_step_of_a_proof_leaves_the_searches_their_share():
    shares = TimeShares()
    shares.book_proofs(4.0, has_incumbent=False)
    longest = shares.longest_step(remaining=16.0)
    shares.book_proofs(longest, has_incumbent=False)
    assert shares.search_seconds() == pytest.approx(16.0 - longest)
    assert TimeShares().longest_step(np.inf) == np.inf


def test_the_first_search_is_short():
    assert first_search_seconds(1.0) == pytest.approx(0.1)
    assert first_search_seconds(np.inf) == FIRST_SEARCH


# --- in a solve ---------------------------------------------------------------------------------------------------


class StandingProof:
    """Proves nothing; each step takes its time on the clock."""

    clock: FakeClock
    seconds: float

    def __init__(self, route: Route, *_: object) -> None:
        self.route, self.is_done = route, False
        self.works_beside = route is Route.MILP
        self.incumbent, self.bound, self.nodes = None, -np.inf, 0
        type(self).worked = 0.0

    @property
    def is_due(self) -> bool:
        return True

    def fits(self, seconds: float) -> bool:
        return seconds > 0.0

    def closes_within(self, *_: object) -> bool:
        return True

    def offer(self, point: object) -> None:
        pass

    def close(self) -> None:
        pass

    def step(self) -> None:
        self.clock.now += self.seconds
        type(self).worked += self.seconds


@pytest.mark.parametrize("step", [0.1, 4.0])
def test_in_a_solve_without_an_incumbent_searches_get_half_of_the_time(step, monkeypatch):
    only(Route.BRANCH, monkeypatch)
    clock, searched = FakeClock.installed(monkeypatch), []
    StandingProof.clock, StandingProof.seconds = clock, step

    def search_step(searches: Searches) -> list[object]:
        clock.now += 0.05
        searched.append(0.05)
        return []

    monkeypatch.setattr(portfolio, "Runner", StandingProof)
    monkeypatch.setattr(Searches, "step", search_step)
    result = solve_exactly(hard_box(), time_limit=60.0)
    assert result.stop is Stop.TIME_LIMIT
    assert result.elapsed <= 60.0 + step
    assert sum(searched) >= 30.0 - step
    assert StandingProof.worked >= (1 - LATE_SHARE) * 60.0 - step


@pytest.mark.parametrize("closes", [True, False])
def test_in_a_solve_searches_in_vain_fall_back_only_where_the_proof_is_about_to_end(closes, monkeypatch):
    only(Route.BRANCH, monkeypatch)
    clock, searched, problem = FakeClock.installed(monkeypatch), [], hard_box()
    StandingProof.clock, StandingProof.seconds = clock, 0.1
    point = problem.incumbent(problem.propagate(np.zeros((1, problem.n_columns)))[0])

    def search_step(searches: Searches) -> list[object]:
        clock.now += 0.05
        searched.append(0.05)
        return [point]

    monkeypatch.setattr(portfolio, "Runner", StandingProof)
    monkeypatch.setattr(StandingProof, "closes_within", lambda *_: closes)
    monkeypatch.setattr(Searches, "step", search_step)
    assert solve_exactly(problem, time_limit=60.0).stop is Stop.TIME_LIMIT
    assert sum(searched) < 0.3 * 60.0 if closes else sum(searched) > 0.45 * 60.0


class ProofBeside(StandingProof):
    """Works in a thread of its own: a look at it takes no time, unless there is nothing else to do."""

    looks: list[float]

    def step(self) -> None:
        self.looks.append(self.clock.now)
        self.clock.now += 1e-3


def test_searches_go_on_while_the_milp_works_in_its_own_thread(monkeypatch):
    only(Route.MILP, monkeypatch)
    clock, searched = FakeClock.installed(monkeypatch), []
    ProofBeside.clock, ProofBeside.looks = clock, []

    def search_step(searches: Searches) -> list[object]:
        clock.now += 0.02
        searched.append(0.02)
        return []

    monkeypatch.setattr(portfolio, "Runner", ProofBeside)
    monkeypatch.setattr(Searches, "step", search_step)
    result = solve_exactly(hard_box(), time_limit=60.0)
    assert result.stop is Stop.TIME_LIMIT
    assert sum(searched) >= 0.95 * 60.0
    assert max(np.diff(ProofBeside.looks)) <= LOOK_INTERVAL + 0.05


def test_a_proof_waits_and_is_not_given_up_while_searches_are_owed_all_that_is_left(monkeypatch):
    only(Route.BRANCH, monkeypatch)
    clock, limits = FakeClock.installed(monkeypatch), []

    class Watched(StandingProof):
        def step(self) -> None:
            limits.append(deadline.remaining())
            super().step()

    def search_step(searches: Searches) -> list[object]:
        clock.now += 0.05
        return []

    Watched.clock, Watched.seconds = clock, 7.0
    monkeypatch.setattr(portfolio, "Runner", Watched)
    monkeypatch.setattr(Searches, "step", search_step)
    assert solve_exactly(hard_box(), time_limit=10.0).stop is Stop.TIME_LIMIT
    assert len(limits) == 1
    assert min(limits) > 0.0


def test_a_proof_whose_first_step_would_take_the_searches_share_is_not_begun(monkeypatch):
    """Nor opened again and again; what it does not take, searches have."""
    only(Route.BRANCH, monkeypatch)
    clock, begun, searched = FakeClock.installed(monkeypatch), [], []
    monkeypatch.setattr(SearchTree, "first_seconds", 20.0)
    monkeypatch.setattr(SearchTree, "_make_bounder", lambda tree: begun.append(tree))

    def search_step(searches: Searches) -> list[object]:
        clock.now += 0.05
        searched.append(0.05)
        return []

    monkeypatch.setattr(Searches, "step", search_step)
    result = solve_exactly(hard_box(), time_limit=30.0)
    assert result.stop is Stop.TIME_LIMIT
    assert (len(begun), len(result.routes)) == (0, 1)
    assert sum(searched) == pytest.approx(30.0, abs=0.1)


def test_a_step_counts_as_long_as_the_one_before(monkeypatch):
    clock = FakeClock.installed(monkeypatch)
    runner = Runner(Route.BRANCH, hard_box(), Options(), None, np.inf)
    assert runner.fits(0.5)
    step = SearchTree._step
    monkeypatch.setattr(SearchTree, "_step", lambda tree: step(tree) or setattr(clock, "now", clock.now + 2.0))
    runner.step()
    assert runner.fits(2.0)
    assert not runner.fits(1.9)


def test_a_look_at_a_proof_beside_waits_for_nothing(monkeypatch):
    clock = FakeClock.installed(monkeypatch)
    runner = Runner(Route.MILP, general(hard_box()), Options(), None, np.inf)
    assert runner.is_due
    runner.step()
    assert not runner.is_due
    clock.now += 1.01 * REPORT_INTERVAL
    assert runner.is_due
    runner.close()


def test_highs_gives_way_to_searches_when_it_has_worked_for_a_while(monkeypatch):
    clock, lowered, end = FakeClock.installed(monkeypatch), [], threading.Event()
    monkeypatch.setattr(milp_module, "_run_to_end", lambda highs: end.wait())
    monkeypatch.setattr(milp_module, "lower_priority", lowered.append)
    monkeypatch.setattr(milp_module, "REPORT_INTERVAL", 0.0)
    for gives_way in (True, False):
        steps = MilpProof(hard_box(), Options(), gives_way=gives_way).steps()
        next(steps)
        assert len(lowered) == (0 if gives_way else 1)
        clock.now += EQUAL_SECONDS
        next(steps)
        next(steps)
        assert len(lowered) == 1
        end.set()
        steps.close()
        end.clear()


def test_one_search_goes_on_from_turn_to_turn(monkeypatch):
    """The linear part is solved once, and what the first turn began the next one continues."""
    relaxed, begun = [], []
    relax, begin = LinearRelaxation.relax, Searches._begin_again
    monkeypatch.setattr(LinearRelaxation, "relax", lambda *arguments: relaxed.append(None) or relax(*arguments))
    monkeypatch.setattr(Searches, "_begin_again", lambda searches: begun.append(None) or begin(searches))
    problem = general(hard_box())
    searches = Searches(problem, portfolio.Options(), Budget(), 0, None)
    for _ in range(30):
        searches.step()
    assert (len(relaxed), len(begun)) == (1, 0)


def general(problem: Problem) -> Problem:
    """The same with a bound on the output that it always meets."""
    return type(problem)(problem.cost, problem.lower, np.r_[problem.upper[:-1], 1e4], networks=problem.networks)


def test_a_search_that_has_ended_is_followed_by_one_with_another_seed(monkeypatch):
    options = portfolio.Options(iteration_limit=3)
    searches = Searches(general(hard_box()), options, Budget(), 5, None)
    while not searches.has_ended:
        searches.step()
    ended = searches._search
    searches.step()
    assert searches._search is not ended
    assert searches._seed == 6
    assert searches._search._relaxation is ended._relaxation


def test_the_next_search_begins_at_the_best_point_that_others_found():
    problem = general(hard_box())
    searches = Searches(problem, portfolio.Options(), Budget(), 0, None)
    for _ in range(5):
        searches.step()
    better = solve_exactly(problem, time_limit=30, callback=lambda progress: progress.incumbent is not None).incumbent
    searches.offer(better)
    first = searches.step()
    assert first[0].objective == pytest.approx(better.objective)


def test_a_search_goes_on_beside_the_one_from_a_point_that_others_found():
    problem = general(hard_box())
    searches = Searches(problem, portfolio.Options(), Budget(), 0, None)
    for _ in range(5):
        searches.step()
    first, steps = searches._search, searches._search.budget.iterations
    better = solve_exactly(problem, time_limit=30, callback=lambda progress: progress.incumbent is not None).incumbent
    searches.offer(better)
    for _ in range(200):
        searches.step()
    assert searches._search is first
    assert first.budget.iterations > steps
    assert searches._second.budget.iterations > 0
    for seconds, turn in ((1.01 * SECOND_SHARE, first), (0.99 * SECOND_SHARE, searches._second)):
        searches._first_seconds, searches._second_seconds = 1.0, seconds
        assert searches._next() is turn
    searches._book(searches._second, SECOND_SECONDS + PATIENCE * searches._success_seconds)
    assert searches._second is None
    searches.offer(problem.incumbent(better.values))
    searches.step()
    seconds = searches._second
    searches.offer(problem.incumbent(better.values))
    searches.step()
    assert searches._search is first
    assert searches._second is not seconds


def test_points_and_steps_of_all_searches_are_booked_once():
    budget = Budget()
    searches = Searches(general(hard_box()), portfolio.Options(iteration_limit=4), budget, 0, None)
    for _ in range(40):
        searches.step()
    assert budget.iterations >= 4
    assert budget.points > 0


def test_without_networks_there_is_one_search():
    searches = Searches(integer_program(), portfolio.Options(), Budget(), 0, None)
    for _ in range(5):
        searches.step()
    assert searches.has_ended
    assert searches._seed == 0
