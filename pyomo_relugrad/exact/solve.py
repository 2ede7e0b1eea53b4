"""The exact solve: a short local search, then proofs and further searches in turn until the gap is closed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.exact.routes import Route, choose_routes, lead_seconds
from pyomo_relugrad.exact.runner import ExactOptions, Runner
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.search.aliases import merge_aliases
from pyomo_relugrad.search.budget import Budget, Stop
from pyomo_relugrad.search.driver import Progress, SearchResult, search
from pyomo_relugrad.search.dual_bound import MOST_SECONDS, bound_seconds, dual_bound
from pyomo_relugrad.search.record import Record
from pyomo_relugrad.search.threads import solver_threads

# The first search: seconds, and its largest share of the time limit.
FIRST_SEARCH, FIRST_SHARE = 0.2, 0.1
# Later searches take this share of the time, and at least so many seconds each; a search in vain cuts the share.
SEARCH_SHARE, SHORTEST_SEARCH, VAIN_FACTOR = 0.15, 0.2, 0.6
# Seconds of a proof's turn; HiGHS works in a thread of its own, and only reports where others run.
TURN = 0.5


@dataclass(frozen=True, eq=False)
class ExactResult(SearchResult):
    """What an exact solve found.

    Besides what `SearchResult` has: ``stop`` is `Stop.OPTIMAL` where the incumbent is proven to the asked gap,
    `Stop.INFEASIBLE` where it is proven that there is no feasible point.

    Parameters
    ----------
    routes : tuple of Route
        The proofs that ran, in their order; empty where the local search's bound was enough.
    """

    routes: tuple[Route, ...] = ()


@solver_threads()
def solve_exactly(
    problem: Problem,
    options: ExactOptions | None = None,
    *,
    time_limit: float = np.inf,
    seed: int = 0,
    start: Array | None = None,
    callback: Callable[[Progress], bool | None] | None = None,
) -> ExactResult:
    """Search for the optimum of a problem and prove it.

    A local search of a fraction of a second comes first. Then a proof runs, by branch and bound in the space of the
    networks' inputs or by the MILP as `choose_routes` says, and after some seconds the other one joins. Local searches
    with new seeds take a share of the time while the gap is open. All of them share the incumbent and the bound.

    Parameters
    ----------
    problem : Problem
    options : ExactOptions, optional
    time_limit : float, optional
        Seconds.
    seed : int, optional
        Of the first local search.
    start : (n,) array, optional
        A warm start, NaN where a column has no value.
    callback : callable, optional
        Called with a `Progress`; the solve ends when it returns True.

    Returns
    -------
    ExactResult
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
    ...     networks=(EmbeddedNetwork(network, [0], [1]),), maximise=True)
    >>> result = solve_exactly(problem)
    >>> result.stop.value, round(problem.reported(result.incumbent.objective), 4)
    ('optimal', 0.5)
    """
    reduction = merge_aliases(problem)
    if reduction is None:
        return _ExactSolve(problem, options or ExactOptions(), time_limit, callback).run(seed, start)

    def restored(point: Incumbent | None) -> Incumbent | None:
        return None if point is None else problem.incumbent(reduction.restore(point.values))

    def report(progress: Progress) -> bool | None:
        return callback is not None and callback(replace(progress, incumbent=restored(progress.incumbent)))

    reduced_start = None if start is None else reduction.reduce_start(start)
    solve = _ExactSolve(reduction.problem, options or ExactOptions(), time_limit, report)
    result = solve.run(seed, reduced_start)
    pool = tuple(problem.incumbent(reduction.restore(point.values)) for point in result.pool)
    return replace(result, pool=pool, least_violated=restored(result.least_violated))


class _ExactSolve:
    """The state of one exact solve of a problem without columns that rows set equal."""

    def __init__(
        self,
        problem: Problem,
        options: ExactOptions,
        time_limit: float,
        callback: Callable[[Progress], bool | None] | None,
    ) -> None:
        self.problem, self.options = problem, options
        self.budget = Budget(time_limit)
        self.record = Record()
        self.bound = -np.inf
        self._callback = callback
        self._runners: list[Runner] = []
        self._share, self._spared_until = SEARCH_SHARE, 0.0
        self._seed = 0

    @property
    def nodes(self) -> int:
        """Nodes of all proofs."""
        return sum(runner.nodes for runner in self._runners)

    def run(self, seed: int, start: Array | None) -> ExactResult:
        """Search, then prove."""
        self._seed = seed
        try:
            self._search(min(FIRST_SEARCH, FIRST_SHARE * self.budget.time_limit), start)
            self._bound_at_once()
            self._prove()
        except KeyboardInterrupt:
            self.budget.stop = Stop.INTERRUPTED
        finally:
            for runner in self._runners:
                runner.close()
        best = self.record.incumbent
        return ExactResult(
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

    # --- local search -------------------------------------------------------------------------------------------

    def _search(self, seconds: float, start: Array | None) -> None:
        """One local search with a new seed; its points and its bound are kept."""
        before = self.budget.elapsed
        points = self.budget.points

        def report(progress: Progress) -> bool:
            is_new = progress.is_new and progress.incumbent is not None and self._take(progress.incumbent)
            self._raise_bound(progress.bound)
            return self._report(is_new, points + progress.points)

        found = search(
            self.problem,
            self.options.method,
            time_limit=min(seconds, self.budget.remaining),
            iteration_limit=self.options.iteration_limit,
            seed=self._seed,
            start=start,
            callback=report,
        )
        self._seed += 1
        self._spared_until = self.budget.elapsed + (self.budget.elapsed - before) / self._share
        for point in found.pool:
            self._take(point)
        self._raise_bound(found.bound)
        self.budget.count(found.points, found.iterations)
        if found.stop in (Stop.CALLBACK, Stop.INTERRUPTED, Stop.INFEASIBLE, Stop.UNBOUNDED):
            self.budget.stop = found.stop
        self._conclude()

    def _search_again(self) -> None:
        """A search from the incumbent, where the last one is long enough ago."""
        elapsed, best = self.budget.elapsed, self.record.incumbent
        if not self.problem.networks or elapsed < self._spared_until:
            return
        self._search(max(self._share * elapsed, SHORTEST_SEARCH), None if best is None else best.values)
        self._share = SEARCH_SHARE if self.record.incumbent is not best else VAIN_FACTOR * self._share

    def _bound_at_once(self) -> None:
        """One relaxation of the whole problem, as local searches use it: HiGHS has no bound until its presolve ends."""
        if not self.problem.networks or self.budget.is_exhausted():
            return
        if bound_seconds(self.problem) <= min(FIRST_SHARE * self.budget.remaining, MOST_SECONDS):
            self._raise_bound(dual_bound(self.problem, min(self.budget.remaining, MOST_SECONDS)))
            self._conclude()

    # --- proof --------------------------------------------------------------------------------------------------

    def _prove(self) -> None:
        """Run proofs and searches in turn."""
        waiting = [] if self.budget.is_exhausted() else list(choose_routes(self.problem))
        join_at = self.budget.elapsed + (lead_seconds(self.problem, waiting[0]) if waiting else 0.0)
        while not self.budget.is_exhausted():
            active = [runner for runner in self._runners if not runner.is_done]
            if waiting and (not active or self.budget.elapsed >= join_at):
                self._open(waiting.pop(0))
                continue
            if not active:
                return
            for runner in active:
                self._take_turn(runner, alone=len(active) == 1)
            if not self.budget.is_exhausted():
                self._search_again()

    def _open(self, route: Route) -> None:
        self._runners.append(Runner(route, self.problem, self.options, self.record.incumbent, self.budget.remaining))

    def _take_turn(self, runner: Runner, alone: bool) -> None:
        """One turn, step by step, of a proof: HiGHS works in its own thread and only reports."""
        runner.offer(self.record.incumbent)
        end = self.budget.elapsed + (0.0 if runner.route is Route.MILP and not alone else TURN)
        while not (runner.is_done or self.budget.is_exhausted()):
            runner.step()
            is_new = runner.incumbent is not None and self._take(runner.incumbent)
            self._raise_bound(runner.bound)
            if self._report(is_new, self.budget.points):
                self.budget.stop = self.budget.stop or Stop.CALLBACK
            self._conclude()
            if self.budget.elapsed >= end:
                return

    def _conclude(self) -> None:
        """Note where the incumbent is proven, or that there is no feasible point."""
        best = self.record.incumbent
        if self.budget.stop is not None:
            return
        if best is None:
            self.budget.stop = Stop.INFEASIBLE if self.bound == np.inf else None
        elif best.objective - self.bound <= self.options.allowed_gap(best.objective) * (1 + 1e-9):
            self.budget.stop = Stop.OPTIMAL

    # --- incumbent and bound ------------------------------------------------------------------------------------

    def _take(self, point: Incumbent) -> bool:
        return self.record.add(point, self.budget.elapsed)

    def _raise_bound(self, bound: float) -> None:
        self.bound = max(self.bound, bound)
        self.record.add_bound(self.bound, self.budget.elapsed)

    def _report(self, is_new: bool, points: int) -> bool:
        """Call the callback; whether it ends the solve."""
        best = self.record.incumbent
        bound = self.bound if best is None else min(self.bound, best.objective)
        progress = Progress(
            elapsed=self.budget.elapsed,
            points=points,
            iterations=self.budget.iterations,
            incumbent=self.record.best,
            is_new=is_new,
            bound=bound,
            nodes=self.nodes,
        )
        return self._callback is not None and bool(self._callback(progress))
