"""What the searches of one model leave to the next search of it."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from pyomo_relugrad.arrays import Array

#: Answers that are remembered.
MAX_ANSWERS = 32


@dataclass
class Past:
    """How soon the searches of one model came to their best points, where these lay, and what may be used again.

    A model that is solved again and again with other numbers is about as hard each time. Where its searches never found
    anything better after the first round, the next one need not go on in vain for long. Its best points often lie in
    the same corner of what is feasible.

    Parameters
    ----------
    solves : int, optional
        Searches that have begun.
    radius : float, optional
        Trust region, relative to the columns' ranges, of the last step that was accepted.
    barren : set of str, optional
        Names of methods for problems of a special structure, which the model lacks: they had nothing to yield.
    answers : deque of (d,) arrays, optional
        Where best points lay in the ranges of the decision columns: 0 at the lower bounds, 1 at the upper ones.
    starts : (m, d) array, optional
        Where in these ranges descents began that began from nothing.
    region_program : RegionProgram, optional
        Of the last search, with its HiGHS model.
    chains : dict of Chain, optional
        The model's networks as a chain, by how far their kinks are rounded off.
    seconds_of_work : float, optional
        What a unit of work of the chain's wide descents took.
    multipliers : (m,) array, optional
        Of the rows that link blocks, where a search priced them: those of the lowest relaxation.
    ran_out : bool, optional
        Whether the last search had no time left.
    had_core : bool, optional
        Whether the last search hardly ever waited for a core.
    companionship : Companionship, optional
        With a process that searches beside short solves.
    """

    solves: int = 0
    radius: float = 1.0
    barren: set[str] = field(default_factory=set)
    answers: deque[Array] = field(default_factory=lambda: deque(maxlen=MAX_ANSWERS))
    starts: Array | None = None
    region_program: Any = None
    chains: dict[float, Any] = field(default_factory=dict)
    seconds_of_work: float = 0.0
    multipliers: Array | None = None
    ran_out: bool = False
    had_core: bool = True
    companionship: Any = None
    _rounds: dict[str, list[int]] = field(default_factory=dict)

    def begin(self, method: str, patience: int) -> int:
        """Open the record of a search; return after how many rounds in vain it is done.

        Parameters
        ----------
        method : str
            Its name.
        patience : int
            Rounds in vain where nothing is known, and at most.
        """
        rounds = self._rounds.setdefault(method, [])
        mean = sum(rounds) / len(rounds) if rounds else patience
        rounds.append(0)
        return min(round(mean), patience)

    def note(self, method: str, rounds: int) -> None:
        """Note that the present search came to a better point after so many rounds."""
        self._rounds[method][-1] = rounds
