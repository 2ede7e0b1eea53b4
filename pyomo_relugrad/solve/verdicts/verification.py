"""Whether a property holds: a counterexample, or a proof that there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from os import PathLike
from typing import Any

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.checks import named_arguments
from pyomo_relugrad.network.bounds import Relaxation, optimize_lower_slopes
from pyomo_relugrad.notebook import html_table
from pyomo_relugrad.problem import Incumbent
from pyomo_relugrad.programs import solver_threads
from pyomo_relugrad.readers.vnnlib import Property
from pyomo_relugrad.run import Clock, Method, Options, Stop
from pyomo_relugrad.solve.exact import solve_exactly
from pyomo_relugrad.solve.portfolio import Portfolio
from pyomo_relugrad.solve.verdicts.counterexample import search_cases, violation_problem
from pyomo_relugrad.solve.verdicts.query import Counterexample, Query, query_of
from pyomo_relugrad.solve.verdicts.question import Question
from pyomo_relugrad.words import counted

# A case is impossible where its largest violation is proven to be above this everywhere: linear programs hold to
# tolerances.
PROVEN = 1e-6
# Steps of the slopes for the first bounds of all cases, and entries of the coefficients that are bounded at once.
SCREENING_STEPS, SCREENED_ENTRIES = 20, 1 << 20
# Points decide nothing here unless they are counterexamples: searches in vain leave most of the time to the proofs.
PORTFOLIO = Portfolio(open_share=0.1)
# Where several cases are left, a search for a counterexample comes first: seconds for each, and its share of the time.
SEARCH_SECONDS, SEARCH_SHARE = 0.1, 0.1


class Answer(Enum):
    """What is known of a property."""

    HOLDS = "holds"
    VIOLATED = "violated"
    UNKNOWN = "unknown"


@dataclass(frozen=True, eq=False)
class OpenCase:
    """A case of which it is not known whether an input satisfies it.

    Parameters
    ----------
    index : int
        Its number among the property's cases.
    bound : float
        Whatever the input, the largest violation of the case's rows is not below this.
    violation : float
        The smallest one of an input that was found; infinite where none was.
    """

    index: int
    bound: float
    violation: float


@dataclass(frozen=True, eq=False)
class Verdict:
    """The answer to a property.

    Parameters
    ----------
    answer : Answer
    counterexample : Counterexample or None
        Where the property is violated.
    open_cases : tuple of OpenCase
        What is left where the answer is unknown.
    seconds : float
    """

    answer: Answer
    counterexample: Counterexample | None
    open_cases: tuple[OpenCase, ...]
    seconds: float

    def __repr__(self) -> str:
        left = f", {counted(len(self.open_cases), 'case')} undecided" if self.open_cases else ""
        return f"<Verdict: {self.answer.value} after {self.seconds:.2f} s{left}>"

    def _repr_html_(self) -> str:
        rows: list[tuple[Any, ...]] = [(f"case {case.index}", case.bound, case.violation) for case in self.open_cases]
        header: tuple[str, ...] = ("undecided", "bound of its violation", "smallest violation found")
        if self.counterexample is not None:
            header, found = ("counterexample", "value"), self.counterexample
            rows = [(f"X_{position}", value) for position, value in enumerate(found.x.tolist())]
            rows += [(f"Y_{position}", value) for position, value in enumerate(found.y.tolist())]
        return html_table(f"{self.answer.value} after {self.seconds:.2f} s", rows, header if rows else ())


@dataclass(frozen=True)
class _Options(Options):
    """Objectives above what counts as proven do not matter: a proof that has shown them to be ends."""

    def cutoff(self, objective: float) -> float:
        return min(super().cutoff(objective), PROVEN)

    def conclusion(self, incumbent: Incumbent | None, bound: float) -> Stop | None:
        return Stop.FINISHED if bound >= PROVEN else super().conclusion(incumbent, bound)


@named_arguments
@solver_threads()
def verify(
    network: Any,
    property_: Property | str | PathLike[str],
    *,
    time_limit: float = 60.0,
    seed: int = 0,
    method: str | Method = "auto",
    threads: int | None = None,
) -> Verdict:
    """Say whether a property holds.

    It holds where no input satisfies any of its cases. Cases are excluded by bounds over their boxes, all at once.
    Those that are left are searched for a counterexample, then each is an exact solve: its largest violation is
    minimized until it is no longer positive at some input, or proven to be positive at all of them.

    Parameters
    ----------
    network, property_, time_limit, seed, method
        As `find_counterexample` takes them.
    threads : int, optional
        Processor cores that may be used; all that this process may use where it is not given.

    Returns
    -------
    Verdict
        A counterexample satisfies its case in float64 without any tolerance. A proof is one of the network in exact
        arithmetic, by bounds that are rounded outward or by HiGHS to its tolerances.

    Raises
    ------
    ModelError
        As `find_counterexample`.

    Examples
    --------
    >>> from pyomo_relugrad.network import Network
    >>> from pyomo_relugrad.readers.vnnlib import parse_vnnlib
    >>> network = Network.from_layers([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])  # |x|
    >>> text = "(declare-const X_0 Real) (declare-const Y_0 Real) (assert (>= X_0 -1)) (assert (<= X_0 2))"
    >>> verify(network, parse_vnnlib(text + "(assert (<= Y_0 -0.5))")).answer
    <Answer.HOLDS: 'holds'>
    >>> verify(network, parse_vnnlib(text + "(assert (>= Y_0 1.5))")).answer
    <Answer.VIOLATED: 'violated'>
    """
    clock, options = Clock(time_limit), Options(time_limit, None, seed, method, threads=threads)
    query = query_of(network, property_)
    bounds = screen(query.questions)
    order = [place for place in np.argsort(-bounds).tolist() if not bounds[place] > PROVEN]
    questions = [query.questions[place] for place in order]  # what is nearly proven first: others get what it leaves
    if len(questions) > 1:
        seconds = min(SEARCH_SECONDS * len(questions), SEARCH_SHARE * clock.remaining)
        found = search_cases(query, questions, replace(options, time_limit=seconds, threads=1))
        if found is not None:
            return Verdict(Answer.VIOLATED, found, (), clock.elapsed)
    left: list[OpenCase] = []
    for position, (question, known) in enumerate(zip(questions, bounds[order].tolist(), strict=True)):
        share = replace(options, time_limit=clock.remaining / (len(questions) - position))
        decided = _decide(query, question, share)
        if isinstance(decided, Counterexample):
            return Verdict(Answer.VIOLATED, decided, (), clock.elapsed)
        bound, violation = decided
        if not bound >= PROVEN:
            left.append(OpenCase(question.index, question.unscaled(max(bound, known)), violation))
    return Verdict(Answer.UNKNOWN if left else Answer.HOLDS, None, tuple(left), clock.elapsed)


def screen(questions: Sequence[Question]) -> Array:
    """Bounds (C,) below the largest violation of each case's rows, from each row alone; those over one box together."""
    bounds = np.full(len(questions), -np.inf)
    groups: dict[tuple[int, bytes, bytes], list[int]] = {}
    for place, question in enumerate(questions):
        box = question.case.lower.tobytes(), question.case.upper.tobytes()
        groups.setdefault((id(question.network), *box), []).append(place)
    for places in groups.values():
        network, cases = questions[places[0]].network, [questions[place].case for place in places]
        relaxation = Relaxation(network, cases[0].lower[None], cases[0].upper[None])
        owners = np.repeat(places, [case.limits.size for case in cases])
        parts = [(case.output_rows, case.input_rows, case.limits) for case in cases]
        outputs, inputs, limits = (np.concatenate(own) for own in zip(*parts, strict=True))
        size = max(SCREENED_ENTRIES // max(network.n_inputs, network.n_relus, 1), 1)
        for begin in range(0, len(limits), size):
            rows = slice(begin, begin + size)
            found = optimize_lower_slopes(
                relaxation, outputs[rows], np.zeros(len(limits[rows]), np.int64), steps=SCREENING_STEPS,
                input_costs=inputs[rows],
            )  # fmt: skip
            np.maximum.at(bounds, owners[rows], found.functions.minima - limits[rows])
    return bounds


def _decide(query: Query, question: Question, options: Options) -> Counterexample | tuple[float, float]:
    """A counterexample, or a bound of the scaled case's violation and the smallest violation that was found."""
    network, case = question.network, question.case
    if not case.limits.size:  # any input in the box
        found = query.counterexample(question, (case.lower + case.upper) / 2.0)
        return found or (-np.inf, np.inf)
    target = 0.0 if not case.strict.any() else -float(np.finfo(np.float64).tiny)
    result = solve_exactly(
        violation_problem(network, case), _Options(**vars(options)), portfolio=PORTFOLIO, target=target
    )
    points = [query.candidate(question, incumbent.values[: network.n_inputs]) for incumbent in result.pool]
    best = min(points, key=lambda point: point.violation, default=None)
    if best is not None and best.violation <= 0.0:
        return best
    if result.stop is Stop.INTERRUPTED:
        raise KeyboardInterrupt
    return result.bound, np.inf if best is None else best.violation
