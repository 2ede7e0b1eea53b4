"""What the searches of one model leave to the next search of it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Past:
    """How soon the searches of one model came to their best points, and by which steps.

    A model that is solved again and again with other numbers is about as hard each time. Where its searches never found
    anything better after the first round, the next one need not go on in vain for long.

    Parameters
    ----------
    solves : int, optional
        Searches that have begun.
    radius : float, optional
        Trust region, relative to the columns' ranges, of the last step that was accepted.
    barren : set of str, optional
        Names of methods for problems of a special structure, which the model lacks: they had nothing to yield.
    """

    solves: int = 0
    radius: float = 1.0
    barren: set[str] = field(default_factory=set)
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
