"""How searches and proofs share the time, counted on a clock that only they move."""

import threading
from collections.abc import Iterator
from dataclasses import fields, replace
from types import SimpleNamespace

import numpy as np
import pytest
from fake_clock import FakeClock
from test_exact import hard_box, integer_program, only

from pyomo_relugrad import deadline
from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.proof import REPORT_INTERVAL, MilpProof, SearchTree
from pyomo_relugrad.proof import milp as milp_module
from pyomo_relugrad.proof.milp import EQUAL_SECONDS, RESTART_SECONDS
from pyomo_relugrad.run import Clock, Options, Prover, Report, Stop
from pyomo_relugrad.search.relaxation import LinearRelaxation
from pyomo_relugrad.solve import Portfolio, Route, solve_exactly
from pyomo_relugrad.solve.local_search import LocalSearch
from pyomo_relugrad.solve.runner import PROOFS, Runner
from pyomo_relugrad.solve.searches import Searches
from pyomo_relugrad.solve.shares import TimeShares
from pyomo_relugrad.solve.team import Team

ASKED = Portfolio(owed_seconds=np.inf)

# --- the rule -----------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _no_islands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes have a clock of their own: what they find would come at any time of the one that stands still."""
    monkeypatch.setattr("pyomo_relugrad.solve.exact.beside_others", lambda own, *_: own)


def shared(turns: int, proof_seconds: float, successes: set[int], has_incumbent: bool) -> list[tuple[float, float]]:
    """Seconds of searches and of proofs, soon to close the gap, after each turn; when searches succeed is given."""
    shares, searched, proven, history = TimeShares(ASKED), 0.0, 0.0, []
    for turn in range(turns):
        shares.book_proofs(proof_seconds, has_incumbent)
        proven += proof_seconds
        seconds = shares.search_seconds()
        shares.book_search(seconds, turn in successes, has_incumbent)
        searched += seconds
        history.append((searched, proven))
    return history


@pytest.mark.parametrize("proof_seconds", [0.05, ASKED.proof_turn, 30.0])
def test_searches_have_half_of_the_time_while_there_is_no_incumbent(proof_seconds):
    for searched, proven in shared(50, proof_seconds, set(), has_incumbent=False):
        assert searched >= proven - ASKED.search_turn


def test_searches_that_find_no_point_for_long_have_most_of_the_time():
    searched, proven = shared(200, ASKED.proof_turn, set(), has_incumbent=False)[-1]
    assert ASKED.late_share >= searched / (searched + proven) >= 0.95 * ASKED.late_share


def test_searches_that_succeed_keep_their_half():
    searched, proven = shared(50, ASKED.proof_turn, set(range(0, 50, 3)), has_incumbent=True)[-1]
    assert searched >= ASKED.search_share * (searched + proven) - ASKED.search_turn


def test_searches_in_vain_fall_back_and_do_not_stop():
    history = shared(2000, ASKED.proof_turn, {0}, has_incumbent=True)
    shares = [searched / (searched + proven) for searched, proven in history]
    assert shares[1] >= ASKED.search_share
    assert shares[-1] < 0.2
    assert history[-1][0] > history[1000][0] > history[100][0]


@pytest.mark.parametrize(
    ("last_success", "largest"),
    [
        (10.0, ASKED.late_share),
        (ASKED.late_seconds[1], ASKED.late_share),
        (ASKED.late_seconds[0], ASKED.search_share),
    ],
)
def test_the_share_falls_from_the_end_of_the_patience_on(last_success, largest):
    shares = TimeShares(ASKED)
    shares.book_search(last_success, found=True, has_incumbent=True)
    patience = ASKED.first_seconds + ASKED.patience * last_success
    shares.book_search(patience - last_success, found=False, has_incumbent=True)
    assert shares.search_share == pytest.approx(largest, rel=1e-3)
    shares.book_search(patience, found=False, has_incumbent=True)
    assert shares.search_share == pytest.approx(largest / 2, rel=1e-3)
    shares.book_search(ASKED.late_seconds[1], found=True, has_incumbent=True)
    assert shares.search_share == ASKED.late_share


def test_searches_that_succeed_late_have_most_of_the_time():
    searched, proven = shared(200, ASKED.proof_turn, set(range(0, 200, 3)), has_incumbent=True)[-1]
    assert searched >= 0.95 * ASKED.late_share * (searched + proven)


def test_short_steps_of_proofs_leave_late_successful_searches_their_share():
    """Also by the default settings, which limit what a turn of the proofs earns the searches."""
    asked = Portfolio()
    shares, searched, proven = TimeShares(asked), 0.0, 0.0
    shares.book_search(1.0, found=True, has_incumbent=True)
    for _ in range(100):
        turn = shares.proof_seconds()
        shares.book_proofs(turn, has_incumbent=True)
        seconds = shares.search_seconds()
        shares.book_search(seconds, found=True, has_incumbent=True)
        searched, proven = searched + seconds, proven + turn
    assert turn < asked.proof_turn
    assert searched >= 0.95 * asked.late_share * (searched + proven)


def test_turns_that_searches_did_not_take_do_not_add_up():
    """Else a proof that they waited for would stand still in the end."""
    asked = Portfolio()
    shares = TimeShares(asked)
    shares.book_search(1.0, found=True, has_incumbent=True)
    for _ in range(10):
        shares.book_proofs(asked.proof_turn, has_incumbent=True)
    assert shares.search_seconds() == asked.owed_seconds


def test_proofs_have_whole_turns_while_searches_have_half():
    assert TimeShares(Portfolio()).proof_seconds() == Portfolio().proof_turn


def test_turns_are_short_where_there_is_little_time():
    asked = Portfolio()
    assert asked.within(np.inf) == asked.within(60.0) == asked
    assert asked.within(4.0) == replace(asked, proof_turn=0.2, search_turn=0.2, owed_seconds=0.4)


def test_searches_have_all_of_the_time_beside_proofs_until_they_are_in_vain():
    shares = TimeShares(ASKED)
    assert shares.share_beside == 1.0
    shares.book_search(2.0, found=True, has_incumbent=True, beside=True)
    assert shares.share_beside == 1.0
    shares.book_search(100.0, found=False, has_incumbent=True, beside=True)
    assert shares.share_beside == ASKED.search_share


def test_a_search_beside_proofs_owes_them_nothing():
    alone, after_others = TimeShares(ASKED), TimeShares(ASKED)
    after_others.book_search(ASKED.late_seconds[0], found=False, has_incumbent=False, beside=True)
    for shares in (alone, after_others):
        shares.book_proofs(1.0, has_incumbent=False)
    assert after_others.search_seconds() == alone.search_seconds() > 0.0


def test_searches_in_vain_keep_most_of_the_time_beside_proofs_that_are_not_about_to_close_the_gap():
    shares = TimeShares(ASKED)
    shares.book_search(1.0, found=True, has_incumbent=True)
    shares.book_search(100.0, found=False, has_incumbent=True)
    assert shares.search_share < 0.1
    shares.is_closing = False
    assert shares.search_share == ASKED.vain_share
    shares.expect_gains = True
    assert shares.search_share == ASKED.open_share
    assert shares.share_beside == 1.0


def test_searches_on_other_cores_leave_this_one_to_a_proof_that_is_about_to_close_the_gap():
    alone, beside = TimeShares(ASKED), TimeShares(ASKED)
    beside.searches_beside = 1
    for shares in (alone, beside):
        shares.book_search(1.0, True, True)
    assert beside.search_share == pytest.approx(max(2 * alone.search_share - 1, 0.0))
    assert beside.search_share < alone.search_share
    alone.is_closing = beside.is_closing = False
    assert beside.search_share == alone.search_share >= ASKED.open_share


def test_proofs_that_could_not_take_their_turns_make_up_for_one_of_them():
    shares = TimeShares(ASKED)
    shares.book_search(100.0, found=True, has_incumbent=True)
    shares.book_proofs(1.0, has_incumbent=True)
    assert shares.search_seconds() == pytest.approx(ASKED.late_share / (1.0 - ASKED.late_share) - ASKED.proof_turn)


def test_a_long_step_of_a_proof_leaves_the_searches_their_share():
    shares = TimeShares(ASKED)
    shares.book_search(4.0, found=False, has_incumbent=False)
    shares.book_proofs(4.0 * (1.0 - ASKED.late_share), has_incumbent=False)
    longest = shares.longest_step(remaining=16.0)
    assert longest == pytest.approx((1.0 - shares.search_share) * (16.0 - shares.search_seconds()))
    assert shares.longest_step(np.inf) == np.inf


def test_a_step_of_a_proof_is_no_longer_than_a_turn_while_searches_gain():
    shares, turn, late = TimeShares(ASKED), ASKED.proof_turn, ASKED.late_share
    assert shares.longest_step(100.0) == turn < shares.longest_step(100.0, is_searching=False)
    shares.book_search(0.4, found=True, has_incumbent=True)
    assert shares.longest_step(100.0) == turn < shares.longest_step(100.0, is_searching=False)
    shares.book_search(99.6, found=True, has_incumbent=True)
    shares.book_proofs(1.0, has_incumbent=True)
    assert shares.longest_step(1000.0) == pytest.approx(100.0 * (1.0 - late) / late - 1.0)
    shares.book_search(200.0, found=False, has_incumbent=True)
    assert shares.longest_step(1000.0) == shares.longest_step(1000.0, is_searching=False) > 100.0


def test_the_first_search_is_short():
    problem = hard_box()
    assert ASKED.lead_of_search(problem, 0.5) == pytest.approx(0.5 * ASKED.first_share)
    assert ASKED.lead_of_search(problem, np.inf) == ASKED.first_seconds


# --- in a solve ---------------------------------------------------------------------------------------------------


class StandingProof(Prover):
    """Proves nothing; each step takes its time on the clock."""

    clock: FakeClock
    seconds: float
    bound = -np.inf

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)
        type(self).worked = 0.0

    def steps(self) -> Iterator[None]:
        while True:
            self.work()
            yield

    def work(self) -> None:
        self.clock.now += self.seconds
        type(self).worked += self.seconds


def slow_searches(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch, seconds: float = 0.05, points: tuple[Incumbent, ...] = ()
) -> list[float]:
    """Each step of the searches takes so long and finds these points; returns the list of the times taken."""
    searched: list[float] = []

    def step(searches: Searches) -> Report:
        clock.now += seconds
        searched.append(seconds)
        return Report(points)

    monkeypatch.setattr(Searches, "step", step)
    return searched


@pytest.mark.parametrize("step", [0.1, 4.0])
def test_in_a_solve_without_an_incumbent_searches_get_half_of_the_time(step, monkeypatch):
    clock = FakeClock.installed(monkeypatch)
    StandingProof.clock, StandingProof.seconds = clock, step
    monkeypatch.setitem(PROOFS, Route.BRANCH, StandingProof)
    searched = slow_searches(clock, monkeypatch)
    result = solve_exactly(hard_box(), time_limit=60.0, portfolio=only(Route.BRANCH))
    assert result.stop is Stop.TIME_LIMIT
    assert result.elapsed <= 60.0 + step
    assert sum(searched) >= 30.0 - step
    assert StandingProof.worked >= (1 - ASKED.late_share) * 60.0 - step


@pytest.mark.parametrize("closes", [True, False])
def test_in_a_solve_searches_in_vain_fall_back_only_where_the_proof_is_about_to_end(closes, monkeypatch):
    clock, problem = FakeClock.installed(monkeypatch), hard_box()
    StandingProof.clock, StandingProof.seconds = clock, 0.1
    point = problem.incumbent(problem.propagate(np.zeros((1, problem.n_columns)))[0])

    monkeypatch.setitem(PROOFS, Route.BRANCH, StandingProof)
    searched = slow_searches(clock, monkeypatch, points=(point,))
    young = np.inf if closes else 0.0
    portfolio = only(Route.BRANCH, young_seconds=young, young_share=young)
    assert solve_exactly(problem, time_limit=60.0, portfolio=portfolio).stop is Stop.TIME_LIMIT
    assert sum(searched) < 0.3 * 60.0 if closes else sum(searched) > 0.45 * 60.0


def test_waiting_for_a_turn_is_no_work_of_a_search(monkeypatch):
    clock = FakeClock.installed(monkeypatch)
    search = LocalSearch(hard_box(), Options(), Clock())
    for waited in (5.0, 7.0, 0.0):
        search.step()
        clock.now += waited
    assert search.budget.elapsed >= 12.0
    search.step()
    assert search.budget.worked == search.budget.spent < 1.0
    assert search.budget.passed >= 12.0


class ProofBeside(StandingProof):
    """Works in a thread of its own: a look at it takes no time, unless there is nothing else to do."""

    looks: list[float]
    works_beside = True

    def work(self) -> None:
        self.looks.append(self.clock.now)
        self.clock.now += 1e-3


def test_searches_go_on_while_the_milp_works_in_its_own_thread(monkeypatch):
    clock = FakeClock.installed(monkeypatch)
    ProofBeside.clock, ProofBeside.looks = clock, []
    monkeypatch.setitem(PROOFS, Route.MILP, ProofBeside)
    searched = slow_searches(clock, monkeypatch, 0.02)
    result = solve_exactly(hard_box(), Options(threads=2), time_limit=60.0, portfolio=only(Route.MILP))
    assert result.stop is Stop.TIME_LIMIT
    assert sum(searched) >= 0.95 * 60.0
    assert max(np.diff(ProofBeside.looks)) <= REPORT_INTERVAL + 0.05


def test_on_a_single_core_searches_and_the_milp_take_turns(monkeypatch):
    clock = FakeClock.installed(monkeypatch)
    ProofBeside.clock, ProofBeside.seconds = clock, REPORT_INTERVAL
    monkeypatch.setitem(PROOFS, Route.MILP, ProofBeside)
    monkeypatch.setattr(ProofBeside, "work", StandingProof.work)
    searched = slow_searches(clock, monkeypatch, 0.02)
    solve_exactly(hard_box(), Options(threads=1), time_limit=60.0, portfolio=only(Route.MILP))
    assert 0.75 * 60.0 <= sum(searched) <= 0.97 * 60.0


def test_on_a_single_core_highs_gives_way_at_once(monkeypatch):
    lowered = []
    monkeypatch.setattr(milp_module, "lower_priority", lambda *_: lowered.append(1))
    proof = MilpProof(hard_box(), Options(threads=1), gives_way=True)
    next(proof.steps())
    assert lowered
    proof.close()


@pytest.mark.parametrize("few_relus", [0, 64])
def test_a_proof_that_stands_still_in_its_own_thread_shares_its_core_after_a_while(few_relus, monkeypatch):
    """But for that of a small model, beside searches in vain."""
    clock, limit, problem = FakeClock.installed(monkeypatch), 40.0, hard_box()
    portfolio = replace(only(Route.MILP), few_relus=few_relus, far_share=np.inf)
    ProofBeside.clock, ProofBeside.looks = clock, []
    monkeypatch.setitem(PROOFS, Route.MILP, ProofBeside)
    slow_searches(clock, monkeypatch, 0.02)
    options, cores = Options(time_limit=limit, threads=2), {True: set(), False: set()}
    team = Team(problem, options, portfolio, Clock(limit))
    team.offer(problem.incumbent(problem.propagate(np.zeros((1, problem.n_columns)))[0]))
    begin, own_seconds = clock.now, portfolio.core_share * limit
    while clock.now - begin < 1.5 * own_seconds:
        team.step()
        if ProofBeside.looks and abs(clock.now - begin - own_seconds) > 0.2 * own_seconds:
            cores[clock.now - begin < own_seconds].add(team.cores_beside)
    team.close()
    assert cores == {True: {1}, False: {1 if few_relus else 0}}


def test_a_proof_waits_and_is_not_given_up_while_searches_are_owed_all_that_is_left(monkeypatch):
    clock, limits = FakeClock.installed(monkeypatch), []

    class Watched(StandingProof):
        def work(self) -> None:
            limits.append(deadline.remaining())
            super().work()

    Watched.clock, Watched.seconds = clock, 7.0
    monkeypatch.setitem(PROOFS, Route.BRANCH, Watched)
    slow_searches(clock, monkeypatch)
    assert solve_exactly(hard_box(), time_limit=10.0, portfolio=only(Route.BRANCH)).stop is Stop.TIME_LIMIT
    assert len(limits) == 1
    assert min(limits) > 0.0


def test_a_proof_whose_first_step_would_take_the_searches_share_is_not_begun(monkeypatch):
    """Nor opened again and again; what it does not take, searches have."""
    clock, begun = FakeClock.installed(monkeypatch), []
    monkeypatch.setattr(SearchTree, "first_seconds", 20.0)
    monkeypatch.setattr(SearchTree, "_make_bounder", lambda tree, problem: begun.append(tree))
    searched = slow_searches(clock, monkeypatch)
    result = solve_exactly(hard_box(), time_limit=30.0, portfolio=only(Route.BRANCH))
    assert result.stop is Stop.TIME_LIMIT
    assert (len(begun), len(result.routes)) == (0, 1)
    assert sum(searched) == pytest.approx(30.0, abs=0.1)


def test_a_step_counts_as_long_as_the_one_before(monkeypatch):
    clock = FakeClock.installed(monkeypatch)
    runner = Runner(Route.BRANCH, hard_box(), Options(), ASKED)
    assert runner.fits(0.5)
    step = SearchTree._step
    monkeypatch.setattr(SearchTree, "_step", lambda *of: step(*of) or setattr(clock, "now", clock.now + 2.0))
    runner.step()
    assert runner.fits(2.0)
    assert not runner.fits(1.9)


def test_a_first_step_that_took_too_long_is_tried_again_with_twice_the_time(monkeypatch):
    clock = FakeClock.installed(monkeypatch)

    class Slow(StandingProof):
        def work(self) -> None:
            super().work()
            deadline.checkpoint()

    Slow.clock, Slow.seconds = clock, 3.0
    monkeypatch.setitem(PROOFS, Route.BRANCH, Slow)
    runner = Runner(Route.BRANCH, hard_box(), Options(), ASKED)
    with deadline.time_limit(1.0):
        runner.step()
    assert (runner.is_done, runner.fits(5.9), runner.fits(6.0)) == (False, False, True)
    with deadline.time_limit(6.0):
        runner.step()
    assert (runner.is_done, runner.fits(3.0)) == (False, True)


def test_points_of_others_reach_the_search(monkeypatch):
    offered, problem = [], hard_box()
    monkeypatch.setattr(LocalSearch, "offer", lambda _, point: bool(offered.append(point)))
    team = Team(problem, Options(), ASKED, Clock())
    point = problem.incumbent(problem.propagate(np.zeros((1, problem.n_columns)))[0])
    team.offer(point)
    assert offered == [point]


@pytest.mark.parametrize("far_share", [ASKED.far_share, np.inf])
@pytest.mark.parametrize("cores", [2, 3])
def test_highs_stands_still_while_searches_gain_late_and_cores_are_short(cores, far_share, monkeypatch):
    """Whatever the gap is, where it is not about to be closed."""
    clock, problem, waits = FakeClock.installed(monkeypatch), hard_box(), []
    drawn = problem.propagate(np.random.default_rng(0).uniform(-1.0, 1.0, (100, problem.n_columns)))
    falling = iter(sorted(map(problem.incumbent, drawn), key=lambda point: -point.objective))

    class Pausing(ProofBeside):
        def pause(self) -> None:
            waits.append(clock.now)

        def resume(self) -> None:
            waits.append(clock.now)

    def step(searches: Searches) -> Report:
        clock.now += 0.02
        point = next(falling, None) if clock.now < begin + 2.0 else None
        return Report(() if point is None else (point,))

    Pausing.clock, Pausing.looks, begin = clock, [], clock.now
    monkeypatch.setitem(PROOFS, Route.MILP, Pausing)
    monkeypatch.setattr(Searches, "step", step)
    portfolio = only(Route.MILP, young_seconds=0.1, far_share=far_share, few_relus=0)
    solve_exactly(problem, Options(threads=cores), time_limit=10.0, portfolio=portfolio)
    assert len(waits) == (2 if cores == 2 else 0)
    if waits:
        assert begin + 0.1 < waits[0] < begin + 0.5
        assert begin + 3.5 < waits[1] < begin + 5.0


def test_highs_stands_still_at_a_line_of_its_log():
    proof = MilpProof(hard_box(), Options())
    proof.pause()
    event = SimpleNamespace(data_out=SimpleNamespace(mip_dual_bound=-1.0, mip_node_count=1))
    thread = threading.Thread(target=proof._on_progress, args=(event,))
    thread.start()
    thread.join(0.02)
    assert thread.is_alive()
    proof.resume()
    thread.join(10.0)
    assert not thread.is_alive()


GAPS_AFTER = {
    "halving": lambda seconds: 0.5 ** (20.0 * seconds),
    "faster in the end": lambda seconds: max(1.0 - seconds / 0.9, 0.0),
    "standing still": lambda seconds: 1.0,
}


@pytest.mark.parametrize("how", [*GAPS_AFTER, "large"])
def test_searches_wait_a_little_for_a_proof_that_is_about_to_end(how, monkeypatch):
    """Not for one that stands still or has a large gap, and not before there is an incumbent."""
    clock, problem = FakeClock.installed(monkeypatch), hard_box()
    point = problem.incumbent(problem.propagate(np.zeros((1, problem.n_columns)))[0])

    class Falling(StandingProof):
        @property
        def bound(self) -> float:
            return point.objective - GAPS_AFTER.get(how, GAPS_AFTER["halving"])(self.worked)

    Falling.clock, Falling.seconds, Falling.worked = clock, 0.1, 0.0
    monkeypatch.setitem(PROOFS, Route.BRANCH, Falling)
    searched = slow_searches(clock, monkeypatch, points=(point,))
    portfolio = only(Route.BRANCH, far_share=0.0 if how == "large" else np.inf)
    solve_exactly(problem, Options(relative_gap=1e-4), time_limit=10.0, portfolio=portfolio)
    assert (sum(searched) < 0.2) is (how not in ("standing still", "large"))


@pytest.mark.parametrize(("is_paused", "now"), [(False, 0.0), (False, 9.0), (True, 9.0)])
def test_no_proof_joins_while_another_one_stands_still_for_the_searches(is_paused, now):
    team = Team(hard_box(), Options(), ASKED, Clock())
    team._waiting, team._join_at = [Route.MILP], 5.0
    common = {"is_done": False, "is_paused": is_paused, "works_beside": True, "fits": lambda _: True}
    team._runners = [SimpleNamespace(route=Route.BRANCH, **common)]
    assert team._may_open(now) is (now == 9.0 and not is_paused)
    for team._shares.is_closing in (True, False):  # bounds of blocks wait for young proofs only
        team._waiting = [Route.BLOCKS]
        assert team._may_open(now) is (not team._shares.is_closing and (is_paused or now == 9.0))


@pytest.mark.parametrize(
    ("bound", "is_ending", "worked", "turns"),
    [
        (-2.0, False, 5.0, True),  # the best bound, which rises
        (-4.0, False, 5.0, False),  # another one is better
        (-4.0, False, 0.0, True),  # a few turns come all the same
        (-2.0, True, 0.0, False),  # another proof is about to end
    ],
)
def test_bounds_of_blocks_have_turns_where_they_bring_more_than_others(bound, is_ending, worked, turns, monkeypatch):
    clock = FakeClock.installed(monkeypatch)
    team = Team(hard_box(), Options(), ASKED, Clock(40.0))
    clock.now += 10.0
    common = {"is_done": False, "is_paused": False, "works_beside": False, "fits": lambda _: True}
    blocks = SimpleNamespace(route=Route.BLOCKS, bound=bound, worked=worked, seconds_to_end=lambda _: 1.0, **common)
    whole = SimpleNamespace(route=Route.MILP, bound=-3.0, closes_within=lambda *_: is_ending, **common)
    team._runners = [whole, blocks]
    assert team._active == ([whole, blocks] if turns else [whole])
    whole.is_done = True
    assert team._active == [blocks]  # nobody else is left


@pytest.mark.parametrize(
    ("bounds", "ends", "worked", "turns"),
    [
        ((-3.0, -3.0), (False, False), (5.0, 5.0), [0]),  # the first one leads where none has a better bound
        ((-3.0, -2.0), (False, False), (5.0, 5.0), [1]),
        ((-3.0, -2.0), (True, False), (5.0, 5.0), [0]),  # one that may end goes before the best bound
        ((-3.0, -2.0), (False, False), (1.0, 5.0), [0, 1]),  # others have some turns all the same
        ((-3.0, -2.0), (True, True), (5.0, 5.0), [0, 1]),
        ((-np.inf, -np.inf), (False, False), (5.0, 5.0), [0]),
    ],
)
def test_most_turns_are_those_of_proofs_with_prospects(bounds, ends, worked, turns):
    team = Team(hard_box(), Options(), ASKED, Clock(40.0))
    runners = [
        SimpleNamespace(route=route, bound=bound, worked=seconds, closes_within=lambda *_, may_end=may_end: may_end)
        for route, bound, may_end, seconds in zip((Route.BRANCH, Route.MILP), bounds, ends, worked, strict=True)
    ]
    assert team._in_turn(runners) == [runners[number] for number in turns]


def test_bounds_of_blocks_lead_where_no_bound_is_better():
    team = Team(hard_box(), Options(), ASKED, Clock(40.0))
    common = {"bound": -3.0, "worked": 5.0, "closes_within": lambda *_: False}
    common |= {"is_done": False, "seconds_to_end": lambda _: np.inf}
    runners = [SimpleNamespace(route=route, **common) for route in (Route.BRANCH, Route.BLOCKS)]
    assert team._in_turn(runners) == [runners[1]]


def test_gains_that_are_small_beside_value_and_gap_keep_no_proof_waiting(monkeypatch):
    clock, problem = FakeClock.installed(monkeypatch), hard_box()
    slow_searches(clock, monkeypatch, 0.2)
    point = problem.incumbent(problem.propagate(np.zeros((1, problem.n_columns)))[0])
    for gain, seconds, counts in ((5e-4, 1.0, False), (2e-3, 1.0, True), (5e-4, 0.0, True)):  # early all count
        team = Team(problem, Options(), ASKED, Clock(40.0))
        clock.now += seconds
        team._root_bound = -2.0
        team.offer(replace(point, objective=-1.0))
        for _ in team._search_for(0.1):
            team.offer(replace(point, objective=-1.0 - gain))
        assert team._shares.are_gaining_late is counts


def book_gain(shares):
    shares.book_search(ASKED.late_seconds[0], found=True, has_incumbent=True)


def book_no_point(shares):
    shares.book_search(ASKED.late_seconds[0], found=False, has_incumbent=False)


def book_midst(shares):
    shares.expect_gains = True
    shares.book_search(ASKED.late_seconds[0], found=False, has_incumbent=True)


@pytest.mark.parametrize(
    ("book", "is_closing", "is_far", "alone"),
    [
        (None, True, False, Team.short_proof),
        (None, True, True, Team.short_far_proof),
        (None, False, False, 0.0),
        (book_gain, True, False, 0.0),
        (book_no_point, True, False, 0.0),
        (book_midst, True, False, 0.0),
    ],
)
def test_other_searches_are_kept_out_of_a_short_proof_only_where_that_is_all_there_is_to_do(
    book, is_closing, is_far, alone
):
    """Not where this search is at it still, nor where the proof is not about to end; not for long from a large gap."""
    team = Team(hard_box(), Options(), ASKED, Clock())
    team._shares.is_closing = is_closing
    team._runners = [SimpleNamespace(is_done=False, has_large_gap=lambda _: is_far, close=lambda: ())]
    if book is not None:
        book(team._shares)
    assert team.seconds_alone == alone


def test_young_searches_are_not_in_vain_in_the_midst_of_a_method():
    """Old ones are: a model of integers alone is proven while annealing goes on."""
    for seconds, is_young in ((0.3, True), (100.0, False)):
        shares = TimeShares(ASKED)
        shares.book_search(seconds, found=False, has_incumbent=True)
        assert not shares.are_gaining_late
        shares.expect_gains = True
        assert shares.are_gaining_late is is_young


@pytest.mark.parametrize("is_far", [True, False])
def test_a_proof_far_from_its_end_has_no_core_for_itself(is_far):
    """Unless the model is small."""
    problem = hard_box()
    for few_relus in (0, 64):
        portfolio = replace(only(Route.MILP), few_relus=few_relus, far_share=0.0 if is_far else np.inf)
        team = Team(problem, Options(time_limit=40.0, threads=2), portfolio, Clock(40.0))
        team.offer(point := problem.incumbent(problem.propagate(np.zeros((1, problem.n_columns)))[0]))
        options, bound = Options(time_limit=40.0, threads=2), point.objective - 1.0
        team._runners = [Runner(Route.MILP, problem, options, portfolio, bound=bound)]
        team._shares.book_search(1.0, found=False, has_incumbent=True)
        assert team.cores_beside == (0 if is_far and not few_relus else 1)
        team.close()


@pytest.mark.parametrize("step", [1e-9, 1.0])
def test_only_gains_of_more_than_the_asked_gap_count(step, monkeypatch):
    clock, problem = FakeClock.installed(monkeypatch), hard_box()
    slow_searches(clock, monkeypatch, 0.02)
    team = Team(problem, Options(), ASKED, Clock(40.0))
    team.offer(point := problem.incumbent(problem.propagate(np.zeros((1, problem.n_columns)))[0]))
    for number, _ in enumerate(team._search_for(0.5), start=1):
        team.offer(replace(point, objective=point.objective - number * step))
    assert team._shares.are_gaining_late is (step == 1.0)


def test_the_team_asks_whether_the_search_is_in_the_midst_of_its_method(monkeypatch):
    clock = FakeClock.installed(monkeypatch)
    slow_searches(clock, monkeypatch)
    team = Team(hard_box(), Options(), ASKED, Clock(40.0))
    for is_unsettled in (True, False):
        team._searches._present.budget.is_unsettled = is_unsettled
        team.step()
        assert team._shares.expect_gains is is_unsettled


def test_a_small_milp_is_not_in_the_way_early(monkeypatch):
    clock, problem = FakeClock.installed(monkeypatch), hard_box()
    team = Team(problem, Options(time_limit=40.0, threads=2), only(Route.MILP, far_share=0.0), Clock(40.0))
    team.offer(problem.incumbent(problem.propagate(np.zeros((1, problem.n_columns)))[0]))
    never = {"closes_within": lambda *_: False, "ends_within": lambda *_: False, "close": lambda: ()}
    runner = SimpleNamespace(route=Route.MILP, is_done=False, works_beside=True, worked=0.1, cores_beside=1, **never)
    runner.has_large_gap = runner.is_far = lambda *_: True
    team._runners = [runner]
    team._shares.book_search(1.0, found=True, has_incumbent=True)
    for elapsed, cores in ((0.4, 1), (0.2, 0)):
        clock.now += elapsed
        assert (team.cores_beside, team._is_in_the_way(runner)) == (cores, not cores)


@pytest.mark.parametrize(("limit", "cores"), [(2.0, 0), (8.0, 1)])
def test_the_processes_of_a_young_proof_have_a_quarter_of_the_time_at_most(limit, cores):
    team = Team(hard_box(), Options(), ASKED, Clock(limit))
    never = {"closes_within": lambda *_: False, "is_far": lambda *_: False, "close": lambda: ()}
    team._runners = [SimpleNamespace(is_done=False, works_beside=False, worked=1.0, cores_beside=1, **never)]
    assert team.cores_beside == cores


def test_a_look_at_a_proof_beside_waits_for_nothing(monkeypatch):
    clock = FakeClock.installed(monkeypatch)
    runner = Runner(Route.MILP, general(hard_box()), Options(), ASKED)
    assert runner.is_due
    runner.step()
    assert not runner.is_due
    clock.now += 1.01 * REPORT_INTERVAL
    assert runner.is_due
    runner.close()


def test_highs_gives_way_to_searches_when_it_has_worked_for_a_while(monkeypatch):
    clock, lowered, end = FakeClock.installed(monkeypatch), [], threading.Event()
    monkeypatch.setattr(MilpProof, "_run_to_end", lambda *_: end.wait())
    monkeypatch.setattr(milp_module, "lower_priority", lambda *_: lowered.append(1))
    for gives_way, cores, few_integers, times in ((True, 2, 0, 1), (True, 2, 64, 0), (False, 1, 0, 0)):
        monkeypatch.setattr(milp_module, "FEW_INTEGERS", few_integers)
        lowered.clear()
        options = Options(threads=cores)
        steps = MilpProof(hard_box(), options, gives_way=gives_way, report_interval=0.0).steps()
        next(steps)
        assert not lowered
        clock.now += EQUAL_SECONDS
        next(steps)
        next(steps)
        assert len(lowered) == times
        end.set()
        steps.close()
        end.clear()


@pytest.mark.parametrize("asked", [None, False])
def test_highs_restarts_only_after_a_while_and_never_where_it_must_not(asked, monkeypatch):
    clock, end = FakeClock.installed(monkeypatch), threading.Event()
    monkeypatch.setattr(MilpProof, "_run_to_end", lambda *_: end.wait())
    options = Options(highs_options={} if asked is None else {"mip_allow_restart": asked})
    proof = MilpProof(hard_box(), options, report_interval=0.0)
    steps = proof.steps()
    may_restart = []
    for _ in range(2):
        next(steps)
        next(steps)
        may_restart.append(proof._highs.getOptionValue("mip_allow_restart")[1])
        clock.now += RESTART_SECONDS
    end.set()
    steps.close()
    assert may_restart == [False, asked is None]


def test_one_search_goes_on_from_turn_to_turn(monkeypatch):
    """The linear part is solved once, and what the first turn began the next one continues."""
    relaxed, begun = [], []
    relax, again = LinearRelaxation.relax, LocalSearch.again
    monkeypatch.setattr(LinearRelaxation, "relax", lambda *arguments: relaxed.append(None) or relax(*arguments))
    monkeypatch.setattr(LocalSearch, "again", lambda *arguments: begun.append(None) or again(*arguments))
    problem = general(hard_box())
    searches = Searches(problem, Options(), Clock())
    for _ in range(30):
        searches.step()
    assert (len(relaxed), len(begun)) == (1, 0)


def general(problem: Problem) -> Problem:
    """The same with a bound on the output that it always meets."""
    return type(problem)(problem.cost, problem.lower, np.r_[problem.upper[:-1], 1e4], networks=problem.networks)


def test_a_search_that_has_ended_is_followed_by_one_with_another_seed(monkeypatch):
    searches = Searches(general(hard_box()), Options(iteration_limit=3, seed=5), Clock())
    while not searches.has_ended:
        searches.step()
    ended = searches._present
    searches.step()
    assert searches._present is not ended
    assert searches._seed == 6
    assert searches._present._relaxation is ended._relaxation


def test_the_next_search_begins_at_the_best_point_that_others_found():
    problem = general(hard_box())
    searches = Searches(problem, Options(iteration_limit=3), Clock())
    better = solve_exactly(problem, time_limit=30, callback=lambda progress: progress.incumbent is not None).incumbent
    while not searches.has_ended:
        searches.step()
    searches.offer(better)
    assert searches.step().points[0].objective == pytest.approx(better.objective)


def test_points_and_steps_of_all_searches_are_booked_once():
    searches, begun = Searches(general(hard_box()), Options(iteration_limit=4), Clock()), []
    reports = []
    for _ in range(40):
        reports.append(searches.step())
        begun.append(searches._present)
    budgets = {id(search): search.budget for search in begun}.values()
    assert len(budgets) > 1
    assert sum(report.iterations for report in reports) == sum(budget.iterations for budget in budgets) >= 4
    assert sum(report.evaluated for report in reports) == sum(budget.points for budget in budgets) > 0


def test_without_networks_there_is_one_search():
    searches = Searches(integer_program(), Options(), Clock())
    steps = 0
    while not searches.has_ended and steps < 500:
        searches.step()
        steps += 1
    assert searches.has_ended
    assert searches._seed == 0


# --- the portfolio ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [field.name for field in fields(Portfolio) if field.name != "routes"])
def test_a_portfolio_has_no_negative_numbers(name):
    wrong = (-0.1, 0.5) if name == "late_seconds" else -1
    with pytest.raises(ModelError, match=f"portfolio's {name} is .*: give 0 or more"):
        Portfolio(**{name: wrong})


@pytest.mark.parametrize("shares", [(0.4, 0.9), (0.9, 0.8), (0.5, 1.0), (0.5, 1.5)])
def test_a_portfolio_starves_nobody(shares):
    with pytest.raises(ModelError, match="give a half or more, the late share not below the first one, and less than"):
        Portfolio(search_share=shares[0], late_share=shares[1])


def test_a_portfolio_has_a_proof():
    with pytest.raises(ModelError, match="no proof: name a route"):
        Portfolio(routes=())


def test_a_slow_step_of_a_proof_earns_the_searches_no_more_than_is_allowed():
    """At least its own time, so that searches keep their half."""
    for seconds, earned in ((0.1, 1.9), (1.0, 2.0), (4.0, 4.0)):
        shares = TimeShares(replace(ASKED, owed_seconds=2.0))
        shares.book_search(10.0, found=True, has_incumbent=True, beside=True)
        shares.book_proofs(seconds, has_incumbent=True)
        assert shares.search_seconds() == pytest.approx(earned)
