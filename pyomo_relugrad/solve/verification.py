"""Whether a property holds: a counterexample, or a proof that there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from os import PathLike
from typing import Any

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.network import Network
from pyomo_relugrad.network.lower_slopes import optimize_lower_slopes
from pyomo_relugrad.network.relaxation import Relaxation
from pyomo_relugrad.notebook import html_table
from pyomo_relugrad.problem import Incumbent
from pyomo_relugrad.programs.threads import solver_threads
from pyomo_relugrad.readers.vnnlib import Case, Property
from pyomo_relugrad.run import Clock, Method, Options, Stop
from pyomo_relugrad.solve.counterexample import Counterexample, checked_query, violation_problem
from pyomo_relugrad.solve.exact import solve_exactly
from pyomo_relugrad.solve.portfolio import Portfolio
from pyomo_relugrad.words import counted

# A case is impossible where its largest violation is proven to be above this everywhere: linear programs hold to
# tolerances.
PROVEN = 1e-6
# Steps of the slopes for the first bounds of all cases, and entries of the coefficients that are bounded at once.
SCREENING_STEPS, SCREENED_ENTRIES = 20, 1 << 20
# Points decide nothing here unless they are counterexamples: searches in vain leave most of the time to the proofs.
PORTFOLIO = Portfolio(open_share=0.1)
# Share of the time that the cases together have in the first round; those that it leaves have the rest.
FIRST_SHARE = 0.3


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


@solver_threads()
def verify(
    network: Any,
    property_: Property | str | PathLike[str],
    *,
    time_limit: float = 60.0,
    seed: int = 0,
    method: str | Method = "auto",
) -> Verdict:
    """Say whether a property holds.

    It holds where no input satisfies any of its cases. Cases are excluded by bounds over their boxes, all at once; each
    that is left is an exact solve: its largest violation is minimized until it is no longer positive at some input, or
    proven to be positive at all of them.

    Parameters
    ----------
    network : Network, or what `load_network` takes
    property_ : Property or path
        Of a file that `load_vnnlib` reads.
    time_limit : float, optional
        Seconds.
    seed : int, optional
        Of the searches for counterexamples.
    method : str or Method, optional
        Of these searches.

    Returns
    -------
    Verdict
        A counterexample satisfies its case in float64 without any tolerance. A proof is one of the network in exact
        arithmetic, by bounds that are rounded outward or by HiGHS to its tolerances.

    Raises
    ------
    ModelError
        If the property is not one of a network of this size, or an input has no finite bounds.

    Examples
    --------
    >>> from pyomo_relugrad.readers.vnnlib import parse_vnnlib
    >>> network = Network.from_layers([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])  # |x|
    >>> text = "(declare-const X_0 Real) (declare-const Y_0 Real) (assert (>= X_0 -1)) (assert (<= X_0 2))"
    >>> verify(network, parse_vnnlib(text + "(assert (<= Y_0 -0.5))")).answer
    <Answer.HOLDS: 'holds'>
    >>> verify(network, parse_vnnlib(text + "(assert (>= Y_0 1.5))")).answer
    <Answer.VIOLATED: 'violated'>
    """
    clock = Clock(time_limit)
    network, property_ = checked_query(network, property_)
    bounds = screen(network, property_.cases)
    left = [index for index in np.argsort(-bounds).tolist() if not bounds[index] > PROVEN]
    for is_last in (False, True):
        still: list[OpenCase] = []
        for position, index in enumerate(left):
            share = clock.remaining / (len(left) - position) * (1.0 if is_last else FIRST_SHARE)
            decided = _decide(network, property_.cases[index], Options(share, seed=seed + is_last, method=method))
            if isinstance(decided, Counterexample):
                return Verdict(Answer.VIOLATED, decided, (), clock.elapsed)
            bound, violation = decided
            if not bound >= PROVEN:
                still.append(OpenCase(index, max(bound, float(bounds[index])), violation))
        left = [case.index for case in still]
        if not left or clock.is_over:
            break
    return Verdict(Answer.UNKNOWN if left else Answer.HOLDS, None, tuple(still), clock.elapsed)


def screen(network: Network, cases: Sequence[Case]) -> Array:
    """Bounds (C,) below the largest violation of each case's rows, from each row alone; cases with one box together."""
    bounds = np.full(len(cases), -np.inf)
    groups: dict[tuple[bytes, bytes], list[int]] = {}
    for index, case in enumerate(cases):
        groups.setdefault((case.lower.tobytes(), case.upper.tobytes()), []).append(index)
    for indices in groups.values():
        box = cases[indices[0]]
        relaxation = Relaxation(network, box.lower[None], box.upper[None])
        owners = np.repeat(indices, [cases[index].limits.size for index in indices])
        parts = [(cases[i].output_rows, cases[i].input_rows, cases[i].limits) for i in indices]
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


def _decide(network: Network, case: Case, options: Options) -> Counterexample | tuple[float, float]:
    """A counterexample, or a bound of the case's violation and the smallest violation that was found."""
    if not case.limits.size:  # any input in the box
        x = (case.lower + case.upper) / 2.0
        return Counterexample(x, network.value(x[None])[0], case)
    asked = _Options(**vars(options))
    result = solve_exactly(violation_problem(network, case), asked, portfolio=PORTFOLIO, target=0.0)
    for incumbent in result.pool:
        x = np.clip(incumbent.values[: network.n_inputs], case.lower, case.upper)
        y = network.value(x[None])[0]
        if case.violation(x, y) <= 0.0:
            return Counterexample(x, y, case)
    if result.stop is Stop.INTERRUPTED:
        raise KeyboardInterrupt
    return result.bound, np.inf if result.incumbent is None else result.incumbent.objective
