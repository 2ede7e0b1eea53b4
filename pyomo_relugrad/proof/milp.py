"""HiGHS on the mixed-integer formulation, started, watched and stopped by us."""

from __future__ import annotations

import atexit
import time
from collections.abc import Callable, Generator
from functools import cached_property
from threading import Event, Lock, Thread, current_thread
from typing import Any
from weakref import WeakSet

import highspy
import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.problem import Incumbent, Problem, bound_problem, epigraph_relus
from pyomo_relugrad.programs import (
    HIGHS_THREAD,
    LOWEST_PRIORITY,
    BigMModel,
    build_big_m,
    confirm_infeasible,
    highs_with_model,
    lower_priority,
    solver_threads,
    tighten_by_programs,
    with_relu_cuts,
)
from pyomo_relugrad.run import Callback, Options, Prover, SearchResult, run_proof

# Seconds between two reports, and seconds that HiGHS is given to stop when told to, and before Python ends.
REPORT_INTERVAL, STOP_PATIENCE, EXIT_PATIENCE = 0.1, 0.1, 10.0
# Seconds after which HiGHS's thread looks, while it stands still, whether the one that waits for it has ended.
LOOK_SECONDS = 1.0
# Seconds, and share of the time limit, for tightening by linear programs.
MAX_TIGHTENING_SECONDS, TIGHTENING_SHARE = 10.0, 0.2
# Share of the time limit for the programs of cuts, which mostly take hundredths of a second, and its least and most
# seconds.
CUT_SHARE, CUT_SECONDS = 0.02, (0.1, 2.0)
#: Coefficients of rows and networks above which HiGHS proves too little in seconds.
MAX_ENTRIES = 50_000
# Options of HiGHS where there are networks. Its heuristics cost more than they bring there, and local searches work
# beside it; what its other threads do is waited for.
PROOF_OPTIONS = {
    "mip_heuristic_run_feasibility_jump": False,
    "mip_heuristic_run_rins": False,
    "mip_heuristic_run_rens": False,
    "mip_heuristic_run_root_reduced_cost": False,
    "mip_allow_cut_separation_at_nodes": False,
}
HIGHS_OPTIONS = {**PROOF_OPTIONS, "mip_pscost_minreliable": 4, "threads": 1, "mip_allow_restart": False}
# Options by which HiGHS tells its bound in its log, which nobody prints. It also offers to be watched at each of its
# steps, thousands of times a second; but each of these calls waits for Python's lock, up to 5 ms while searches work.
LOG_OPTIONS = {"log_to_console": False, "mip_min_logging_interval": REPORT_INTERVAL, "output_flag": True}
# Seconds after which HiGHS lets others go first that work beside it: a short run delays them little, and one with few
# integers is likely to end.
EQUAL_SECONDS, FEW_INTEGERS = 2.0, 64
# Seconds after which HiGHS may begin again with what it has learnt: long proofs end sooner by that, short ones later.
RESTART_SECONDS = 1.0


@solver_threads()
def prove_by_milp(
    problem: Problem,
    *,
    start: Incumbent | None = None,
    bounds: str = Options.bounds,
    time_limit: float = np.inf,
    relative_gap: float = Options.relative_gap,
    absolute_gap: float = Options.absolute_gap,
    options: dict[str, Any] | None = None,
    callback: Callback | None = None,
) -> SearchResult:
    """Search for the optimum and prove it by HiGHS on the big-M formulation.

    Parameters
    ----------
    problem : Problem
        With a linear objective; the networks' inputs need finite bounds.
    start : Incumbent, optional
        Every integer variable of the formulation is started from it; ignored where it is not feasible.
    bounds : {"crown", "interval", "lp"}, optional
        How pre-activations are bounded; ReLUs that the bounds decide get no binary. ``"lp"`` tightens those of CROWN by
        linear programs, for up to a fifth of the time limit and no more than ten seconds.
    time_limit : float, optional
        Seconds, on our clock, building included.
    relative_gap, absolute_gap : float, optional
        The proof ends when incumbent minus bound is at most ``max(absolute_gap, relative_gap * |incumbent|)``.
    options : dict, optional
        HiGHS options.
    callback : callable, optional
        Called with a `Progress` every tenth of a second; the proof ends when it returns True.

    Returns
    -------
    SearchResult
        Ctrl-C ends the proof and returns incumbent and bound. Bounds hold to the tolerances of HiGHS.

    Raises
    ------
    ModelError
        If an input has no finite bounds, the objective is quadratic, or HiGHS refuses an option.

    Examples
    --------
    >>> from pyomo_relugrad.network import Network
    >>> from pyomo_relugrad.problem import EmbeddedNetwork
    >>> network = Network.from_layers([[[1.0], [-1.0]], [[1.0, 0.5]]], [[-0.5, 0.2], [0.0]])
    >>> problem = Problem(
    ...     cost=np.array([0.0, -1.0]), lower=np.array([0.0, -np.inf]), upper=np.array([1.0, np.inf]),
    ...     networks=(EmbeddedNetwork(network, [0], [1]),), maximize=True)
    >>> result = prove_by_milp(problem)
    >>> result.stop.value, round(problem.reported(result.incumbent.objective), 4)
    ('optimal', 0.5)
    """
    asked = Options(
        time_limit=time_limit, relative_gap=relative_gap, absolute_gap=absolute_gap, bounds=bounds,
        highs_options=options or {},
    )  # fmt: skip
    return run_proof(MilpProof(problem, asked, start), time_limit=time_limit, callback=callback)


class MilpProof(Prover):
    """The state of one run of HiGHS.

    The formulation is built by the first step. HiGHS runs in a thread of its own; its callbacks leave bounds and points
    here, and `steps` takes them.

    Parameters
    ----------
    problem : Problem
    options : Options
        Gaps, bounds, options of HiGHS, and the time that the whole proof will have.
    start : Incumbent, optional
        As in `prove_by_milp`.
    gives_way : bool, optional
        Whether HiGHS lets other threads go first where cores are short: after `EQUAL_SECONDS`, or at once and for all
        of their work on a single core.
    """

    works_beside = True

    def __init__(
        self,
        problem: Problem,
        options: Options,
        start: Incumbent | None = None,
        gives_way: bool = False,
        report_interval: float = REPORT_INTERVAL,
    ) -> None:
        super().__init__(problem, options, start)
        if problem.quadratic is not None:
            raise ModelError("HiGHS solves no mixed-integer models with quadratic objectives; use branch and bound")
        self._gives_way, self._report_interval = gives_way, report_interval
        self._dual_bound = -np.inf
        self._lock, self._found = Lock(), list[Array]()
        self._to_feed: Incumbent | None = None
        #: HiGHS's last point (n,) as it gave it: within its own tolerances.
        self.last_point: Array | None = None
        self._thread: Thread | None = None
        self._owner = current_thread()
        self._may_work = Event()
        self._may_work.set()
        self._error: Exception | None = None

    @property
    def bound(self) -> float:
        """No feasible point has a smaller objective."""
        return -np.inf if self._is_refuted else min(self._dual_bound, self.incumbent_value)

    @property
    def _is_refuted(self) -> bool:
        """Whether a feasible point lies below HiGHS's bound: its presolve has cut off optima before."""
        return self.incumbent is not None and self.incumbent.refutes(self._dual_bound)

    @property
    def has_news(self) -> bool:
        """Whether HiGHS has ended."""
        return self._thread is not None and not self.is_running

    def offer(self, point: Incumbent) -> bool:
        """Take a feasible point as incumbent if it is better, and hand it to HiGHS; return whether it was."""
        if not super().offer(point):
            return False
        if self._thread is not None:  # before, it is what HiGHS will start from
            with self._lock:
                self._to_feed = point
                self._highs.cbMipUserSolution.subscribe(self._on_question)
        return True

    def pause(self) -> None:
        """Let HiGHS stand still from its next line of log on."""
        self._may_work.clear()

    def resume(self) -> None:
        """Let it go on."""
        self._may_work.set()

    def steps(self) -> Generator[None, None, None]:
        """Run HiGHS and take what it found now and then, until it ends; leaving early stops it."""
        if self.model is None:
            self._dual_bound = self.bound_if_empty
            return
        highs = self._highs
        begin = last_report = time.perf_counter()
        done, has_few = False, self.model.integers.sum() <= FEW_INTEGERS
        # A thread of our own: `startSolve` of highspy allows one run in the whole process.
        self._thread = thread = Thread(target=self._run_to_end, args=(highs,), name=HIGHS_THREAD)
        _begun.add(self)
        thread.start()
        if self._gives_way and self.options.cores == 1:  # it has the core while others wait for it
            lower_priority(thread, LOWEST_PRIORITY)
            self._gives_way = False
        try:
            yield
            while not done:
                # Whoever comes late is not kept waiting: HiGHS has worked meanwhile.
                thread.join(max(last_report + self._report_interval - time.perf_counter(), 0.0))
                last_report, done = time.perf_counter(), not thread.is_alive()
                if last_report - begin >= RESTART_SECONDS:
                    highs.setOptionValue("mip_allow_restart", self.options.highs_options.get("mip_allow_restart", True))
                if self._gives_way and not done and not has_few and last_report - begin >= EQUAL_SECONDS:
                    lower_priority(thread)
                    self._gives_way = False
                if self._error is not None:
                    raise self._error
                if done:
                    self._finish()
                self._take_points()
                yield
        finally:
            if not done:
                self._stop()

    # --- HiGHS ---------------------------------------------------------------------------------------------------

    @cached_property
    def model(self) -> BigMModel | None:
        """The formulation; None where bounds show that there is no feasible point."""
        found = bound_problem(self.problem, self.options.bounds)
        epigraphs = epigraph_relus(self.problem, found)
        if self.options.bounds == "lp" and found.possible:
            seconds = min(MAX_TIGHTENING_SECONDS, TIGHTENING_SHARE * self.options.time_limit)
            found = tighten_by_programs(self.problem, found, seconds)
        if not found.possible:
            return None
        seconds = float(np.clip(CUT_SHARE * self.options.time_limit, *CUT_SECONDS))
        return with_relu_cuts(build_big_m(self.problem, found, epigraphs), found, seconds)

    @cached_property
    def _highs(self) -> Any:
        """HiGHS with the model, options, callbacks and start."""
        options, model = self.options, self.model
        assert model is not None
        gaps = {"mip_rel_gap": options.relative_gap, "mip_abs_gap": options.absolute_gap}
        highs = highs_with_model(
            model.cost,
            model.lower,
            model.upper,
            model.rows,
            model.row_lower,
            model.row_upper,
            model.integers,
            {**(HIGHS_OPTIONS if self.problem.networks else {}), **gaps, **_with_log(options.highs_options)},
        )
        highs.HandleUserInterrupt = not self._is_mip
        highs.cbMipImprovingSolution.subscribe(self._kept(self._on_point))
        highs.cbMipLogging.subscribe(self._kept(self._on_progress))
        if self.incumbent is not None:
            values = model.start(self.incumbent.values)
            columns = np.arange(values.size, dtype=np.int32)
            highs.setSolution(columns.size, columns, values)
        return highs

    def _run_to_end(self, highs: Any) -> None:
        try:
            highs.run()
            confirm_infeasible(highs, highs.run)
            self._confirm_bound(highs)
        except Exception as error:
            self._error = self._error or error
        finally:
            highspy.Highs.resetGlobalScheduler(False)

    def _confirm_bound(self, highs: Any) -> None:
        """Take HiGHS's last bound; run it again without presolve where a feasible point refutes it."""
        self._take_bound(highs)
        if self._is_refuted and highs.getOptionValue("presolve")[1] != "off":
            self._dual_bound = -np.inf
            highs.setOptionValue("presolve", "off")
            highs.clearSolver()
            highs.run()
            self._take_bound(highs)

    def _take_bound(self, highs: Any) -> None:
        info = highs.getInfo()
        is_infeasible = highs.getModelStatus() == highspy.HighsModelStatus.kInfeasible
        if self._is_mip and info.valid and not is_infeasible:  # where HiGHS has failed its bound reads 0
            self._dual_bound = max(self._dual_bound, info.mip_dual_bound + self.problem.constant)

    def _kept(self, callback: Callable[[Any], None]) -> Callable[[Any], None]:
        """A callback whose exception is kept for `steps` to raise: HiGHS would lose it."""

        def keeping(event: Any) -> None:
            try:
                callback(event)
            except Exception as error:
                self._error = self._error or error

        return keeping

    def _on_point(self, event: Any) -> None:
        with self._lock:
            self._found.append(np.array(event.data_out.mip_solution)[: self.problem.n_columns])

    def _on_progress(self, event: Any) -> None:
        bound = event.data_out.mip_dual_bound
        if bound < np.inf:  # else HiGHS takes the model for infeasible, which `_finish` judges
            self._dual_bound = max(self._dual_bound, bound + self.problem.constant)
        self.nodes = int(event.data_out.mip_node_count)
        while self._owner.is_alive() and not self._may_work.wait(LOOK_SECONDS):
            pass
        if not self._owner.is_alive():  # it was interrupted before it could stop HiGHS
            self._highs.setOptionValue("time_limit", 0.0)

    @cached_property
    def _on_question(self) -> Callable[[Any], None]:
        """What HiGHS asks for points at certain moments: it is handed what was offered, and asks no more till then."""

        def feed(event: Any) -> None:
            with self._lock:
                point, self._to_feed = self._to_feed, None
                self._highs.cbMipUserSolution.unsubscribe(self._on_question)
            if point is not None and self.model is not None:
                event.data_in.setSolution(self.model.start(point.values))

        return self._kept(feed)

    def _take_points(self) -> None:
        """Verify HiGHS's points."""
        with self._lock:
            points, self._found = self._found, []
        self.last_point = points[-1] if points else self.last_point
        for v in points:  # HiGHS knows them, so they are not handed to it
            super().offer(self.problem.incumbent(v))

    def _finish(self) -> None:
        """Read the final bound and point."""
        highs = self._highs
        status, info = highs.getModelStatus(), highs.getInfo()
        if status == highspy.HighsModelStatus.kInfeasible:
            if self._may_be_infeasible:
                self._dual_bound = max(self._dual_bound, self.bound_if_empty)
            return
        if not info.valid:
            return
        if self._is_mip:
            self.nodes = int(info.mip_node_count)
        elif status == highspy.HighsModelStatus.kOptimal and self.model is not None:
            proven = self.model.proven_by(np.array(highs.getSolution().row_dual))
            self._dual_bound = max(self._dual_bound, proven + self.problem.constant)
        if info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible:
            with self._lock:
                self._found.append(np.array(highs.getSolution().col_value)[: self.problem.n_columns])

    @property
    def _is_mip(self) -> bool:
        return self.model is not None and bool(self.model.integers.any())

    @property
    def _may_be_infeasible(self) -> bool:
        """Whether anything restricts outputs or other columns together: else HiGHS has lost its way in huge weights."""
        problem = self.problem
        is_bounded = problem.is_output & (np.isfinite(problem.lower) | np.isfinite(problem.upper))
        return bool(problem.n_rows or is_bounded.any() or problem.operations or problem.ordered_sets)

    @property
    def is_running(self) -> bool:
        """Whether HiGHS works, or has not yet noticed that it is to stop."""
        return self._thread is not None and self._thread.is_alive()

    def _stop(self, patience: float = STOP_PATIENCE) -> None:
        """Tell HiGHS to stop and wait for it a little; it looks up only between some of its steps."""
        self.resume()
        if self._is_mip:
            self._highs.setOptionValue("time_limit", 0.0)
        else:
            self._highs.cancelSolve()
        if self._thread is not None:
            self._thread.join(patience)
        self._take_points()


_begun: WeakSet[MilpProof] = WeakSet()


@atexit.register
def _stop_before_exit() -> None:
    """End what still runs in daemon threads: Python would break it off in the midst of HiGHS, which aborts all."""
    for proof in [each for each in _begun if each.is_running]:
        proof._stop(EXIT_PATIENCE)


def _with_log(options: dict[str, Any]) -> dict[str, Any]:
    """The user's options of HiGHS, and those by which it tells its bound, once a second where its log is asked for."""
    if options.get("output_flag"):
        return {"mip_min_logging_interval": 1.0, **options}
    return {**options, **LOG_OPTIONS}
