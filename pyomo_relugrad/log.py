"""The log of a search, line by line, as a MIP solver writes it: at most 100 columns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from io import StringIO
from typing import Protocol

from pyomo_relugrad.problem import Problem
from pyomo_relugrad.search.driver import Progress, SearchResult
from pyomo_relugrad.version import __version__

#: Seconds between two lines where nothing new was found.
INTERVAL = 2.0

#: New incumbents that are logged at once whenever they come, and how many per second after that.
BURST, RATE = 20, 5

_COLUMNS = f"{'Time':>9} {'Points':>12} {'Steps':>10}   {'Incumbent':>15} {'Bound':>15} {'Gap':>8}   {'Violation':>9}"


class Stream(Protocol):
    """What the log needs of a place to write to."""

    def write(self, text: str, /) -> object:
        """Take the text."""

    def flush(self) -> object:
        """Make it visible."""


class SearchLog:
    """Writes the log of one search to any number of streams, and keeps its text.

    Parameters
    ----------
    streams : sequence of text streams
    proves : bool, optional
        Whether there is a proof, whose nodes are counted in place of the steps.
    """

    def __init__(self, streams: Sequence[Stream] = (), proves: bool = False) -> None:
        self._proves = proves
        self._text = StringIO()
        self._streams = (self._text, *streams)
        self._lines = 0
        self._last = 0.0
        self._skipped: Progress | None = None
        self._problem: Problem | None = None

    @property
    def text(self) -> str:
        """Everything written so far."""
        return self._text.getvalue()

    def write(self, line: str = "") -> None:
        """Write one line, visible at once."""
        for stream in self._streams:
            stream.write(line + "\n")
            stream.flush()

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
        quiet = progress.elapsed - self._last >= INTERVAL
        if progress.is_new and self._lines > BURST + RATE * progress.elapsed:
            self._skipped = progress
        elif progress.is_new or quiet:
            self._line(progress)

    def summary(self, result: SearchResult) -> None:
        """Write how the search ended."""
        if self._skipped is not None:
            self._line(self._skipped)
        self.write()
        work = f"{_count(result.points, 'point')} evaluated in {_count(result.iterations, 'step')}"
        if self._proves:
            work = f"{work}, {_count(result.nodes, 'node')} bounded"
        self.write(f"Ended    {result.stop.value} after {result.elapsed:.2f} s")
        self.write(f"Work     {work}")
        if result.incumbent is not None and self._problem is not None:
            best = result.incumbent
            objective = self._problem.reported(best.objective)
            self.write(f"Found    {_count(len(result.pool), 'feasible point')}, best objective {objective:.10g}")
            if math.isfinite(result.bound):
                bound = self._problem.reported(result.bound)
                self.write(f"Bound    {bound:.10g}, gap {_gap(objective, bound)}")
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
            objective = f"{self._problem.reported(point.objective):.8g}"
            gap = _gap(self._problem.reported(point.objective), bound)
        best_bound = f"{bound:.8g}" if math.isfinite(bound) else "-"
        self.write(
            f"{marker}{progress.elapsed:8.2f} {progress.points:12d} {steps:10d}   "
            f"{objective:>15} {best_bound:>15} {gap:>8}   {violation:>9}"
        )


def _gap(objective: float, bound: float) -> str:
    """The relative gap as MIP solvers print it."""
    if not math.isfinite(bound):
        return "-"
    return f"{100 * abs(objective - bound) / max(abs(objective), 1e-10):.2f}%"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _model_size(problem: Problem) -> str:
    sense = "maximise" if problem.maximise else "minimise"
    kind = "quadratic" if problem.quadratic is not None else "linear"
    return (
        f"{_count(problem.n_columns, 'variable')} ({int(problem.integers.sum())} integer), "
        f"{_count(problem.n_rows, 'row')}, {_count(problem.rows.nnz, 'nonzero')}; {sense} ({kind})"
    )


def _network_size(problem: Problem) -> str:
    distinct = {id(embedded.network): embedded.network for embedded in problem.networks}
    if not distinct:
        return "none"
    relus = sum(embedded.network.n_relus for embedded in problem.networks)
    weights = sum(network.n_weights for network in distinct.values())
    blocks = _count(len(problem.networks), "block")
    if len(distinct) < len(problem.networks):
        blocks += f" of {_count(len(distinct), 'network')}"
    return f"{blocks}; {_count(relus, 'ReLU')}, {_count(weights, 'weight')}"
