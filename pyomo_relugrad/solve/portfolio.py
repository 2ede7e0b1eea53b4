"""The exact solve: a short local search, then proofs and further searches in turn until the gap is closed."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import numpy as np

from pyomo_relugrad import deadline
from pyomo_relugrad.arrays import Array
from pyomo_relugrad.deadline import OutOfTime
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.programs.threads import solver_threads
from pyomo_relugrad.run.budget import Budget, Stop
from pyomo_relugrad.run.options import Options
from pyomo_relugrad.run.record import Record
from pyomo_relugrad.run.repair import repaired
from pyomo_relugrad.run.result import Progress, Route, SearchResult
from pyomo_relugrad.solve.presolved import Callback, run_presolved
from pyomo_relugrad.solve.routes import choose_routes, lead_seconds
from pyomo_relugrad.solve.runner import Runner
from pyomo_relugrad.solve.searches import Searches
from pyomo_relugrad.solve.shares import LOOK_INTERVAL, PROOF_TURN, SEARCH_SHARE, TimeShares, first_search_seconds


@solver_threads()
def solve_exactly(
    problem: Problem,
    options: Options | None = None,
    *,
    time_limit: float | None = None,
    seed: int | None = None,
    start: Array | None = None,
    callback: Callback | None = None,
) -> SearchResult:
    """Search for the optimum of a problem and prove it.

    A local search of a fraction of a second comes first. Then a proof runs, by branch and bound in the space of the
    networks' inputs or by the MILP as `choose_routes` says, and after some seconds the other one joins. Local searches
    with new seeds take a share of the time while the gap is open. All of them share the incumbent and the bound.

    Parameters
    ----------
    problem : Problem
    options : Options, optional
    time_limit : float, optional
        Seconds; in place of that of the options.
    seed : int, optional
        Of the first local search; in place of that of the options.
    start : (n,) array, optional
        A warm start, NaN where a column has no value.
    callback : callable, optional
        Called with a `Progress`; the solve ends when it returns True.

    Returns
    -------
    SearchResult
        Ctrl-C ends the solve and returns incumbent and bound.

    Raises
    ------
    ModelError
        If an option is unknown or does not suit the problem.

    Examples
    --------
    >>> from pyomo_relugrad.network import Network
    >>> from pyomo_relugrad.problem import EmbeddedNetwork
    >>> network = Network.from_layers([[[1.0], [-1.0]], [[1.0, 0.5]]], [[-0.5, 0.2], [0.0]])
    >>> problem = Problem(
    ...     cost=np.array([0.0, -1.0]), lower=np.array([0.0, -np.inf]), upper=np.array([1.0, np.inf]),
    ...     networks=(EmbeddedNetwork(network, [0], [1]),), maximize=True)
    >>> result = solve_exactly(problem)
    >>> result.stop.value, round(problem.reported(result.incumbent.objective), 4)
    ('optimal', 0.5)
    """
    asked = options or Options()
    asked = asked if time_limit is None else replace(asked, time_limit=time_limit)
    asked = asked if seed is None else replace(asked, seed=seed)
    budget = Budget(asked.time_limit)

    def run(problem: Problem, start: Array | None, callback: Callback | None) -> SearchResult:
        with deadline.time_limit(budget.remaining):
            return _ExactSolve(problem, asked, budget, callback).run(start)

    return run_presolved(problem, start, callback, run)


class _ExactSolve:
    """The state of one exact solve of a presolved problem."""

    def __init__(
        self,
        problem: Problem,
        options: Options,
        budget: Budget,
        callback: Callback | None,
    ) -> None:
        self.problem, self.options, self.budget = problem, options, budget
        self.record = Record()
        self.bound = -np.inf
        self._callback = callback
        self._shares = TimeShares()
        self._runners: list[Runner] = []
        self._waiting: list[Route] = []
        self._join_at = 0.0

    @property
    def nodes(self) -> int:
        """Nodes of all proofs."""
        return sum(runner.nodes for runner in self._runners)

    def run(self, start: Array | None) -> SearchResult:
        """Search, then let proofs and searches take turns."""
        try:
            self._searches = Searches(self.problem, self.options, self.budget, self.options.seed, start)
            self._search_for(first_search_seconds(self.budget.time_limit))
            self._bound_at_once()
            self._take_turns()
        except KeyboardInterrupt:
            self.budget.stop = Stop.INTERRUPTED
        except OutOfTime:
            self.budget.stop = self.budget.stop or Stop.TIME_LIMIT
        finally:
            for runner in self._runners:
                runner.close()
        best = self.record.incumbent
        return SearchResult(
            pool=tuple(self.record.pool),
            least_violated=self.record.least_violated,
            stop=self.budget.stop or Stop.FINISHED,
            points=self.budget.points,
            iterations=self.budget.iterations,
            elapsed=self.budget.elapsed,
            history=tuple(self.record.history),
            bound=self.bound if best is None else min(self.bound, best.objective),
            nodes=self.nodes,
            bound_history=self.record.limited_bound_history(),
            routes=tuple(runner.route for runner in self._runners),
        )

    def _take_turns(self) -> None:
        """Proofs, then searches if they are owed time, until the gap is closed or nothing is left to do."""
        if not self.budget.is_exhausted():
            self._waiting = list(choose_routes(self.problem))
            self._join_at = self.budget.elapsed + lead_seconds(self.problem, self._waiting[0])
        while not self.budget.is_exhausted():
            is_proving = self._prove()
            if not is_proving and self._searches.has_ended and not self._may_search_on():
                return
            self._search_for(self._search_seconds(is_proving))

    def _search_seconds(self, is_proving: bool) -> float:
        """How long the searches may work now."""
        if not is_proving:
            return PROOF_TURN
        if all(runner.works_beside for runner in self._active):
            return PROOF_TURN * self._shares.share_beside
        return self._shares.search_seconds()

    @property
    def _active(self) -> list[Runner]:
        """The proofs that are on their way; not those whose next step would take the searches' share."""
        return [runner for runner in self._unfinished if runner.fits(self._longest_step(runner.route))]

    @property
    def _unfinished(self) -> list[Runner]:
        return [runner for runner in self._runners if not runner.is_done]

    def _may_search_on(self) -> bool:
        """Whether to search with other seeds after the last proof has given up: never without a time limit."""
        return np.isfinite(self.budget.time_limit) and bool(self.problem.networks)

    # --- local search -------------------------------------------------------------------------------------------

    def _search_for(self, seconds: float) -> None:
        """Let the searches go on for so long."""
        begin = looked = self.budget.elapsed
        beside = bool(self._unfinished) and all(runner.works_beside for runner in self._unfinished)
        gain = 0.0
        while not self.budget.is_exhausted() and self.budget.elapsed - begin < seconds:
            gain += self._search_step()
            if self._searches.has_ended:
                break
            if self.budget.elapsed - looked >= LOOK_INTERVAL:
                self._look_beside()
                looked = self.budget.elapsed
        value = self._value
        found = gain > (self.options.allowed_gap(value) if np.isfinite(value) else 0.0)
        self._shares.book_search(self.budget.elapsed - begin, found, np.isfinite(value), beside)

    @property
    def _value(self) -> float:
        """Objective of the incumbent; infinite where there is none."""
        return np.inf if self.record.incumbent is None else self.record.incumbent.objective

    def _search_step(self) -> float:
        """One step of the searches; by how much it betters the incumbent."""
        before, is_new = self._value, False
        for point in self._searches.step():
            is_new = self._take(point) or is_new
        self._raise_bound(self._searches.bound)
        self.budget.stop = self.budget.stop or self._searches.stop
        self._report(is_new)
        self._conclude()
        return before - self._value if self._value < before else 0.0

    def _bound_at_once(self) -> None:
        """One relaxation of the whole problem, as local searches use it: HiGHS has no bound until its presolve ends."""
        if not self.budget.is_exhausted():
            self._searches.bound_at_once()
            self._raise_bound(self._searches.bound)
            self._conclude()

    # --- proof --------------------------------------------------------------------------------------------------

    def _prove(self) -> bool:
        """A turn of each proof that runs; whether there is one."""
        begin = self.budget.elapsed
        active = self._active
        if self._waiting and (not active or self.budget.elapsed >= self._join_at):
            self._open(self._waiting.pop(0))
            active = self._active
        if all(runner.works_beside for runner in active):
            self._look_beside(PROOF_TURN * (1.0 - self._shares.share_beside))
        else:
            self._look_beside()
            for runner in active:
                if not runner.works_beside:
                    self._take_turn(runner, PROOF_TURN)
            self._shares.book_proofs(self.budget.elapsed - begin, self.record.incumbent is not None)
        self._shares.is_closing = any(runner.closes_within(self.budget.remaining, self._value) for runner in active)
        return bool(active or self._waiting)

    def _look_beside(self, seconds: float = 0.0) -> None:
        """Take what proofs report that work in threads of their own, and wait for them for so long."""
        for runner in self._active:
            if runner.works_beside and (seconds > 0.0 or runner.is_due):
                self._take_turn(runner, seconds)

    def _open(self, route: Route) -> None:
        """Begin a proof; not where its beginning alone takes too long."""
        with suppress(OutOfTime), deadline.time_limit(self._longest_step(route)):
            self._runners.append(
                Runner(route, self.problem, self.options, self.record.incumbent, self.budget.remaining)
            )

    def _longest_step(self, route: Route) -> float:
        """Seconds after which a single step of a proof is given up."""
        if route is Route.MILP:  # built once, it works beside the searches
            return (1.0 - SEARCH_SHARE) * self.budget.remaining
        return self._shares.longest_step(self.budget.remaining)

    def _take_turn(self, runner: Runner, seconds: float) -> None:
        """One turn of a proof, step by step."""
        runner.offer(self.record.incumbent)
        end = self.budget.elapsed + seconds
        while not (runner.is_done or self.budget.is_exhausted()):
            if not runner.fits(self._longest_step(runner.route)):
                return
            with deadline.time_limit(self._longest_step(runner.route)):
                runner.step()
            is_new = runner.incumbent is not None and self._take(runner.incumbent)
            self._raise_bound(runner.bound)
            self._report(is_new)
            self._conclude()
            if self.budget.elapsed >= end:
                return

    def _conclude(self) -> None:
        """Note where the incumbent is proven, or that there is no feasible point."""
        self.budget.stop = self.budget.stop or self.options.conclusion(self.record.incumbent, self.bound)

    # --- incumbent and bound ------------------------------------------------------------------------------------

    def _take(self, point: Incumbent) -> bool:
        if self.record.is_promising(point):
            point = repaired(self.problem, point, self.budget)
        is_new = self.record.add(point, self.budget.elapsed)
        if is_new and point.is_feasible:
            self._searches.offer(point)
        return is_new

    def _raise_bound(self, bound: float) -> None:
        self.bound = max(self.bound, bound)
        self.record.add_bound(self.bound, self.budget.elapsed)

    def _report(self, is_new: bool) -> None:
        """Call the callback, and note where it ends the solve."""
        best = self.record.incumbent
        progress = Progress(
            elapsed=self.budget.elapsed,
            points=self.budget.points,
            iterations=self.budget.iterations,
            incumbent=self.record.best,
            is_new=is_new,
            bound=self.bound if best is None else min(self.bound, best.objective),
            nodes=self.nodes,
        )
        if self._callback is not None and self._callback(progress):
            self.budget.stop = self.budget.stop or Stop.CALLBACK
