"""``SolverFactory('relugrad')``: local search over a Pyomo model with trained ReLU networks."""

from __future__ import annotations

import datetime
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from pyomo.common.config import document_class_CONFIG
from pyomo.common.gc_manager import PauseGC
from pyomo.common.log import LogStream
from pyomo.common.timing import HierarchicalTimer
from pyomo.contrib.solver.common.base import Availability, SolverBase
from pyomo.contrib.solver.common.results import Results, TerminationCondition
from pyomo.contrib.solver.common.util import NoFeasibleSolutionError, NoOptimalSolutionError
from pyomo.core.base.block import BlockData
from pyomo.core.base.var import Var
from pyomo.core.staleflag import StaleFlagManager

from pyomo_relugrad import deadline
from pyomo_relugrad.arrays import Array
from pyomo_relugrad.deadline import OutOfTime
from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.modeling.compile import CompiledModel, KeptModel, KeptModels
from pyomo_relugrad.modeling.errors import InfeasibleModel
from pyomo_relugrad.modeling.solver.config import RelugradConfig, configure
from pyomo_relugrad.modeling.solver.progress import SolveProgress
from pyomo_relugrad.modeling.solver.results import results_of_search, results_without_solution
from pyomo_relugrad.modeling.solver.rounding import settled
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.problem.presolve import presolve
from pyomo_relugrad.programs import solver_threads
from pyomo_relugrad.run import INFINITE, Clock, Options, Progress, SearchLog, SearchResult, Stop
from pyomo_relugrad.search.boundedness import columns_without_end
from pyomo_relugrad.search.domains.feasible_set import columns_without_bounds
from pyomo_relugrad.search.infeasibility import violated_rows
from pyomo_relugrad.solve import solve_locally
from pyomo_relugrad.version import __version__
from pyomo_relugrad.words import counted, listed, shown

logger = logging.getLogger(__name__)

#: At most this share of the time is kept for loading values into a model: as long as that took the last time, or, at
#: first, as reading the model did.
MAX_LOADING_SHARE = 0.15
#: Solves this short are not interrupted by the garbage collector, which needs 50 ms and more for a few models.
MAX_PAUSED_SECONDS = 1.0
#: A first solve that took so many times as long as reading the model prepares the next one.
LONG = 10.0
#: Seconds for advice about a missing bound, beside as many as the solve took.
ADVICE_SECONDS = 1.0
#: Seconds for other last digits where Pyomo refutes all points by rounding: a share of the search, and at most.
SETTLING_SHARE, SETTLING_SECONDS = 0.25, 1.0


@document_class_CONFIG(methods=["solve"])
class Relugrad(SolverBase):
    """Local search for good feasible points of models with trained ReLU networks, linear or not, with integers or not.

    What it returns is feasible to 1e-6, measured in float64 on the original networks; it proves neither optimality nor,
    beyond the model's linear part, infeasibility. The networks are the model's active `ReluNetworkBlock` components.

    Examples
    --------
    >>> import pyomo.environ as pyo
    >>> import pyomo_relugrad
    >>> model = pyo.ConcreteModel()
    >>> model.x = pyo.Var(bounds=(0, 2))
    >>> model.n = pyo.Var(domain=pyo.Integers, bounds=(0, 9))
    >>> model.capacity = pyo.Constraint(expr=2 * model.x + model.n <= 7.5)
    >>> model.profit = pyo.Objective(expr=model.x + model.n, sense=pyo.maximize)
    >>> results = pyo.SolverFactory("relugrad").solve(model, time_limit=10)
    >>> str(results.solver.termination_condition), round(pyo.value(model.profit), 6)
    ('feasible', 7.25)
    """

    #: In Pyomo's factories, and in results and messages.
    name = "relugrad"
    CONFIG = RelugradConfig()
    config: RelugradConfig
    #: Whether a proof follows the search.
    proves = False
    #: What runs on the compiled problem.
    _find: ClassVar[Callable[..., SearchResult]] = staticmethod(solve_locally)

    def __init__(self, **kwds: Any) -> None:
        # An error here would make Pyomo's legacy factory return an unknown solver: `solve` refuses what is not known.
        unknown = [name for name in kwds if name not in self.CONFIG and name != "name"]
        later = {name: kwds.pop(name) for name in unknown}
        super().__init__(**kwds)
        self._kept = KeptModels()
        for name, value in later.items():
            self.config.solver_options[name] = value

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles have the options, and read models anew: Pyomo's options cannot be pickled themselves."""
        values = {name: self.config.get(name).value() for name in self.config}
        return _with_options, (
            type(self),
            {name: value for name, value in values.items() if value != self.CONFIG[name]},
        )

    def available(self) -> Availability:
        """Return that the solver is there: it needs no license and no executable."""
        return Availability.FullLicense

    def version(self) -> tuple[int, ...]:
        """Return the version of pyomo_relugrad."""
        return tuple(int(part) for part in __version__.split(".") if part.isdigit())

    def solve(self, model: BlockData, **kwds: Any) -> Results:
        """Search for a good feasible point of the model and load it.

        Parameters
        ----------
        model : BlockData
            With linear or smooth constraints and objective, and any number of `ReluNetworkBlock`.

        Returns
        -------
        Results
            With ``SolutionStatus.feasible`` where a point was found, whatever ended the search. The distinct good
            points are in ``results.solution_loader``, best first; ``results.extra_info`` has what was done.

        Raises
        ------
        ModelError
            If an option is unknown, or the model has parts that cannot be handled. The model is as it was.
        NoOptimalSolutionError, NoFeasibleSolutionError
            If there is no feasible point and ``raise_exception_on_nonoptimal_result``, or else ``load_solutions``,
            is set. The model is as it was.
        """
        config = configure(self.config, kwds)
        results = self._run(model, config)
        if results.solution_loader.get_number_of_solutions() == 0:
            outcome = f"{self.name} found no feasible point: {results.termination_condition.name}"
            if config.raise_exception_on_nonoptimal_result:
                raise NoOptimalSolutionError(f"{outcome}. Set raise_exception_on_nonoptimal_result=False to go on.")
            if config.load_solutions:
                raise NoFeasibleSolutionError(f"{outcome}. Set load_solutions=False to look at the results.")
        return results

    def _run(self, model: BlockData, config: RelugradConfig) -> Results:
        """Compile, search and load; a model that has no solution keeps its values."""
        is_short = config.time_limit is not None and config.time_limit <= MAX_PAUSED_SECONDS
        with PauseGC() if is_short else nullcontext():
            return self._run_at_once(model, config)

    def _run_at_once(self, model: BlockData, config: RelugradConfig) -> Results:
        clock = _Timing()
        if not isinstance(model, BlockData):
            raise ModelError(
                f"{self.name} solves Pyomo models and blocks, and was given {shown(model)}: give a ConcreteModel"
            )
        if not model.is_constructed():
            raise ModelError(f"model '{model.name}' is abstract: solve what its create_instance() returns")
        if config.timer is None:
            config.timer = HierarchicalTimer()
        StaleFlagManager.mark_all_as_stale()
        with _log_of(config, self.proves) as log, solver_threads():
            results = self._compile_and_search(model, config, log, clock)
        if config.load_solutions and results.solution_loader.get_number_of_solutions():
            with _timed(config.timer, "load"):
                results.solution_loader.load_solution()
            self._kept.of(model).end_solve()

        results.solver_name, results.solver_version = self.name, self.version()
        results.solver_config, results.solver_log = config, log.text
        info, timing = results.extra_info, results.timing_info
        info.method, info.seed = config.method, config.seed
        timing.start_timestamp, timing.wall_time = clock.timestamp, clock.elapsed
        timing.user_time, timing.system_time = clock.processor_times()
        timing.timer = config.timer
        if config.report_timing:
            print(config.timer)
        return results

    def _compile_and_search(self, model: BlockData, config: RelugradConfig, log: SearchLog, clock: _Timing) -> Results:
        options = config.options()
        try:
            with _timed(config.timer, "compile"):
                kept = self._kept.of(model)
                compiled = kept.compiled(model)
        except InfeasibleModel as error:
            return self._infeasible(model, str(error), log)
        reading = clock.elapsed
        for note in compiled.notes:
            log.write(f"Note     {note}")
        if not compiled.columns and next(model.component_data_objects(Var), None) is None:
            log.write("The model has no variables.")
            return results_without_solution(model, TerminationCondition.emptyModel)
        with _timed(config.timer, "search"):
            found = _confirmed(compiled, self._search(compiled, kept, config, options, log, clock), log)
        if found.stop is Stop.INFEASIBLE and found.reason:
            return self._infeasible(model, found.reason, log)
        advice = _advice(compiled.problem, found) if kept.times == 1 else ""
        if advice:
            log.write(f"Advice   {advice}")
            logger.warning("%s: %s", self.name, advice)
        results = results_of_search(model, compiled, found)
        if kept.times == 1 and clock.elapsed > LONG * reading and config.callback is None:  # which might change it
            kept.watch(model, compiled)
        return results

    def _infeasible(self, model: BlockData, reason: str, log: SearchLog) -> Results:
        log.write(f"Infeasible: {reason}")
        logger.warning("%s: the model is infeasible: %s", self.name, reason)
        return results_without_solution(model, TerminationCondition.provenInfeasible, reason)

    def _search(
        self,
        compiled: CompiledModel,
        kept: KeptModel,
        config: RelugradConfig,
        options: Options,
        log: SearchLog,
        clock: _Timing,
    ) -> SearchResult:
        """Search within what is left of the time; times in what is reported count from the solve's beginning."""
        before = clock.elapsed
        words = options.in_words(self.proves) + (", warm start" if config.warmstart else "")
        log.header(compiled.problem, words, before)

        def report(progress: Progress) -> bool:
            progress = replace(progress, elapsed=progress.elapsed + before)
            log.progress(progress)
            return config.callback is not None and bool(config.callback(SolveProgress.of(compiled, progress)))

        left = max(options.time_limit - before, 0.0)
        loading = before if kept.loading is None else kept.loading
        options = replace(options, time_limit=left - min(loading, MAX_LOADING_SHARE * left))
        values = compiled.values()
        has_answer = kept.times > 1 and not np.isnan(values).any()
        # Values that a modeller gives the variables of a smooth model are near what is meant; around networks they led
        # to worse optima.
        is_guessed = bool(compiled.problem.expressions) and not compiled.problem.networks
        is_guessed = is_guessed and not np.isnan(values).all()
        start = values if config.warmstart or has_answer or is_guessed else None
        with log.ticking(lambda: clock.elapsed):
            found = self._find(compiled.problem, options, start=start, callback=report, past=kept.past)
        kept.end_search(max(found.elapsed - options.time_limit, 0.0))
        history, bound_history = (
            tuple((elapsed + before, value) for elapsed, value in pairs)
            for pairs in (found.history, found.bound_history)
        )
        found = replace(found, elapsed=found.elapsed + before, history=history, bound_history=bound_history)
        log.summary(found)
        return found


def _with_options(kind: type[Relugrad], options: dict[str, Any]) -> Relugrad:
    """A solver with other options than the default ones."""
    solver = kind()
    solver.config.set_value(options)
    return solver


def _confirmed(compiled: CompiledModel, found: SearchResult, log: SearchLog) -> SearchResult:
    """What was found, without the points that Pyomo's own evaluation of nonlinear constraints refutes.

    Where it refutes all, by rounding, the best one that gets last digits which it confirms.
    """
    refuted = {id(point): compiled.refuted(point) for point in found.pool}
    if found.pool and all(refuted.values()):
        point = _settled(compiled, found)
        if point is not None:
            return replace(found, pool=(point,))
    reasons = list(filter(None, refuted.values()))
    if not reasons:
        return found
    log.write(f"Note     {counted(len(reasons), 'point')} left out: as Pyomo evaluates it, {reasons[0]}")
    pool = tuple(point for point in found.pool if not refuted[id(point)])
    stop = Stop.FINISHED if found.stop is Stop.OPTIMAL and refuted[id(found.pool[0])] else found.stop
    least, reason = (None, found.reason) if pool else (found.pool[0], "")
    return replace(found, pool=pool, least_violated=least, stop=stop, reason=reason)


def _settled(compiled: CompiledModel, found: SearchResult) -> Incumbent | None:
    """The first point for which last digits are found that Pyomo confirms."""
    with suppress(OutOfTime), deadline.time_limit(min(SETTLING_SHARE * found.elapsed, SETTLING_SECONDS)):
        return next(filter(None, (settled(compiled, point) for point in found.pool)), None)
    return None


class _Timing(Clock):
    """When a solve began."""

    def __init__(self) -> None:
        super().__init__()
        self.timestamp = datetime.datetime.now(datetime.UTC)
        self._processor = os.times()

    def processor_times(self) -> tuple[float, float]:
        """Seconds since then that this process spent in itself and in the operating system."""
        now, then = os.times(), self._processor
        return now.user - then.user, now.system - then.system


@contextmanager
def _timed(timer: HierarchicalTimer, name: str) -> Iterator[None]:
    """Book the time spent inside under the name, also where an error ends it."""
    timer.start(name)
    try:
        yield
    finally:
        timer.stop(name)


@contextmanager
def _log_of(config: RelugradConfig, proves: bool) -> Iterator[SearchLog]:
    """The log that goes to the streams of ``tee`` and to the log file."""
    with ExitStack() as stack:
        streams = [stream for stream in config.tee or () if not _is_our_logger(stream)]
        if config.logfile is not None:
            try:
                streams.append(stack.enter_context(open(config.logfile, "w", encoding="utf-8")))
            except OSError as error:
                raise ModelError(
                    f"logfile {config.logfile!r} cannot be written ({error.strerror}): give another path"
                ) from error
        highs_options = config.highs_options if "highs_options" in config else None
        highs_writes = bool((highs_options or {}).get("output_flag"))
        yield SearchLog(streams, proves, alone=not highs_writes)


def _is_our_logger(stream: object) -> bool:
    """Whether ``tee`` names a logger of this package, which gets the lines in any case."""
    return isinstance(stream, LogStream) and stream._logger.name.partition(".")[0] == logger.name.partition(".")[0]


def _advice(problem: Problem, found: SearchResult) -> str:
    """What to do about rows that no point satisfied, or an objective that may improve without end; empty if neither."""
    if found.incumbent is None and found.least_violated is not None:
        rows = violated_rows(problem, found.least_violated.values)
        return f"no point that was tried satisfies all rows; the nearest one misses {rows}" if rows else ""
    if found.stop is not Stop.UNBOUNDED and np.isfinite(found.bound):
        return ""
    try:
        with deadline.time_limit(found.elapsed + ADVICE_SECONDS):
            problem = presolve(problem).problem
    except OutOfTime:
        return ""
    if found.stop is Stop.UNBOUNDED:
        columns = columns_without_bounds(problem)
        if columns.size:
            return f"the objective is unbounded: {_give_bounds(problem, columns)}"
        return f"the objective counts as unbounded beyond {INFINITE:.0e}, as in HiGHS: choose other units for it"
    columns = columns_without_end(problem)
    return f"the objective may be unbounded: {_give_bounds(problem, columns)}" if columns.size else ""


def _give_bounds(problem: Problem, columns: Array) -> str:
    names = listed(problem.column_names[column] for column in columns.tolist())
    return f"give both bounds to the variables that lack one: {names}"
