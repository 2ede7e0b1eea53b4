"""The log of a search, line by line, as a MIP solver writes it: at most 100 columns.

The lines go to the streams of ``tee``, to the log file, and at level INFO to the logger ``pyomo_relugrad``.
"""

import logging
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from io import StringIO
from threading import Event, RLock, Thread
from typing import Protocol

from pyomo_relugrad.notebook import replaces_lines
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.run.budget import Stop
from pyomo_relugrad.run.result import Progress, SearchResult, gap_in_words
from pyomo_relugrad.version import __version__
from pyomo_relugrad.words import counted, number

logger = logging.getLogger(__name__)

#: Seconds between two lines where nothing new was found.
INTERVAL = 1.0

#: The same as a share of the time that has passed, where that is more.
THINNING = 0.02

#: New incumbents that are logged at once whenever they come, and how many per second after that.
BURST, RATE = 20, 5

_COLUMNS = f" Time (s) {'Points':>12} {'Steps':>10}   {'Incumbent':>15} {'Bound':>15} {'Gap':>8}   {'Violation':>9}"


class Stream(Protocol):
    """What the log needs of a place to write to."""

    def write(self, text: str, /) -> object:
        """Take the text."""

    def flush(self) -> object:
        """Make it visible."""


class SearchLog:
    """Writes the log of one search to any number of streams and to the logger, and keeps its text.

    Parameters
    ----------
    streams : sequence of text streams
        A terminal on which a handler of the logger shows the lines already is left to the handler.
    proves : bool, optional
        Whether there is a proof, whose nodes are counted in place of the steps.
    interval : float, optional
        Seconds between two lines where nothing new is found.
    alone : bool, optional
        Whether nobody else writes to the streams meanwhile: only then lines replace each other in notebooks.
    """

    def __init__(
        self, streams: Sequence[Stream] = (), proves: bool = False, interval: float = INTERVAL, alone: bool = True
    ) -> None:
        self._proves, self._interval, self._alone = proves, interval, alone
        self._text = StringIO()
        self._streams = tuple(stream for stream in streams if not _is_shown_by_logging(stream))
        self._lock = RLock()
        self._lines = 0
        self._passing = ""
        self._last = 0.0
        self._latest = Progress(0.0, 0, 0, None, is_new=False)
        self._skipped: Progress | None = None
        self._problem: Problem | None = None

    @property
    def text(self) -> str:
        """Everything written so far."""
        return self._text.getvalue()

    def write(self, line: str = "", passing: bool = False) -> None:
        """Write one line, visible at once; in a notebook the next one takes the place of a passing one."""
        self._text.write(line + "\n")
        over = f"\r{line.ljust(len(self._passing))}" if self._passing else line
        for stream in self._streams:
            replaces = self._alone and replaces_lines(stream)
            stream.write(over + ("" if passing else "\n") if replaces else line + "\n")
            stream.flush()
        self._passing = line if passing else ""
        if line:
            logger.info("%s", line)

    def header(self, problem: Problem, search: str, compile_time: float) -> None:
        """Write what is to be searched and how.

        Parameters
        ----------
        problem : Problem
        search : str
            Method, seed and limits in words.
        compile_time : float
            Seconds spent on making the problem.
        """
        self._problem = problem
        kind = "search and proof" if self._proves else "local search"
        self.write(f"pyomo_relugrad {__version__}: {kind} over trained ReLU networks")
        self.write(f"Model    {_model_size(problem)}")
        self.write(f"Networks {_network_size(problem)}")
        self.write(f"Search   {search}")
        self.write(f"Compiled in {compile_time:.2f} s")
        self.write()
        self.write(_COLUMNS.replace("Steps", "Nodes") if self._proves else _COLUMNS)

    def progress(self, progress: Progress) -> None:
        """Write a line where there is a new incumbent, or nothing was written for a while."""
        with self._lock:
            self._latest = progress
            quiet = progress.elapsed - self._last >= self._interval_at(progress.elapsed)
            if progress.is_new and self._lines > BURST + RATE * progress.elapsed:
                self._skipped = progress
            elif progress.is_new or quiet:
                self._line(progress)

    def tick(self, elapsed: float) -> float:
        """Write a line where nothing was written for a while; return the seconds until the next one may be due."""
        with self._lock:
            interval = self._interval_at(elapsed)
            if elapsed - self._last >= interval:
                self._line(replace(self._latest, elapsed=elapsed, is_new=False))
            return self._last + interval - elapsed

    def _interval_at(self, elapsed: float) -> float:
        """Seconds between two lines where nothing new is found: more in a long run, as others log it."""
        return max(self._interval, THINNING * elapsed)

    @contextmanager
    def ticking(self, clock: Callable[[], float]) -> Iterator[None]:
        """Let a thread write the lines that are due while one long step keeps the search from reporting.

        Parameters
        ----------
        clock : callable
            Seconds since the solve began.
        """
        if not self._streams and not logger.isEnabledFor(logging.INFO):
            yield
            return
        ended = Event()

        def beat() -> None:
            wait = self._interval
            while not ended.wait(wait):
                wait = self.tick(clock())

        thread = Thread(target=beat, name="pyomo_relugrad.run.log", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def summary(self, result: SearchResult) -> None:
        """Write how the search ended."""
        if self._skipped is not None:
            self._line(self._skipped)
        self.write()
        work = f"{counted(result.points, 'point')} evaluated in {counted(result.iterations, 'step')}"
        if self._proves:
            by = ", ".join(route.value for route in result.routes) or "a relaxation"
            work = f"{work}, {counted(result.nodes, 'node')} bounded by {by}"
        reason = f": {result.reason}" if result.stop is Stop.FINISHED and result.reason else ""
        self.write(f"Ended    {result.stop.value} after {result.elapsed:.2f} s{reason}")
        self.write(f"Work     {work}")
        if result.incumbent is not None and self._problem is not None:
            best = result.incumbent
            objective = self._problem.reported(best.objective)
            self.write(f"Found    {counted(len(result.pool), 'feasible point')}, best objective {number(objective)}")
            if math.isfinite(result.bound):
                bound = self._problem.reported(result.bound)
                self.write(f"Bound    {number(bound)}, gap {gap_in_words(objective, bound)}")
            self.write(f"Checked  violation {best.violation:.1e}, network error {best.network_error:.1e}")
        elif result.least_violated is not None:
            self.write(f"Found    no feasible point, the best violates by {result.least_violated.violation:.3g}")
        else:
            self.write("Found    no point")

    def _line(self, progress: Progress) -> None:
        is_new = progress.is_new or self._skipped is not None
        self._last, self._skipped = progress.elapsed, None
        self._lines += 1
        steps = progress.nodes if self._proves else progress.iterations
        objective, gap, violation = "-", "-", "-"
        point = progress.incumbent
        bound = math.inf if self._problem is None else self._problem.reported(progress.bound)
        if point is not None:
            violation = f"{max(point.violation, point.network_error):.1e}"
        marker = " "
        if point is not None and point.is_feasible and self._problem is not None:
            marker = "*" if is_new else " "
            objective = number(self._problem.reported(point.objective))
            gap = gap_in_words(self._problem.reported(point.objective), bound)
        best_bound = number(bound) if math.isfinite(bound) else "-"
        self.write(
            f"{marker}{progress.elapsed:8.2f} {progress.points:12d} {steps:10d}   "
            f"{objective:>15} {best_bound:>15} {gap:>8}   {violation:>9}",
            passing=marker == " ",
        )


def _is_shown_by_logging(stream: Stream) -> bool:
    """Whether a handler that the user set up writes the log's lines to where the stream goes."""
    if not logger.isEnabledFor(logging.INFO):
        return False
    node: logging.Logger | None = logger
    while node is not None:
        for handler in node.handlers:
            if handler.level <= logging.INFO and _is_same_place(getattr(handler, "stream", None), stream):
                return True
        node = node.parent if node.propagate else None
    return False


def _is_same_place(one: object, other: Stream) -> bool:
    """Whether two streams are one, or both the user's terminal."""
    console = (sys.stdout, sys.stderr)
    return one is other or (one in console and other in console and sys.stdout.isatty() and sys.stderr.isatty())


def _model_size(problem: Problem) -> str:
    sense = "maximize" if problem.maximize else "minimize"
    kind = "quadratic" if problem.quadratic is not None else "linear"
    kind = "nonlinear" if any(problem.cost[each.outputs].any() for each in problem.expressions) else kind
    smooth = f", {counted(len(problem.expressions), 'expression')}" if problem.expressions else ""
    return (
        f"{counted(problem.n_columns, 'variable')} ({int(problem.integers.sum())} integer), "
        f"{counted(problem.n_rows, 'row')}, {counted(problem.rows.nnz, 'nonzero')}{smooth}; {sense} ({kind})"
    )


def _network_size(problem: Problem) -> str:
    distinct = {id(embedded.network): embedded.network for embedded in problem.networks}
    if not distinct:
        return "none"
    relus = sum(embedded.network.n_relus for embedded in problem.networks)
    smooth = sum(embedded.network.n_neurons for embedded in problem.networks) - relus
    weights = sum(network.n_weights for network in distinct.values())
    blocks = counted(len(problem.networks), "block")
    if len(distinct) < len(problem.networks):
        blocks += f" of {counted(len(distinct), 'network')}"
    neurons = [counted(relus, "ReLU")] if relus or not smooth else []
    neurons += [counted(smooth, "smooth neuron")] if smooth else []
    return f"{blocks}; {', '.join(neurons)}, {counted(weights, 'weight')}"
