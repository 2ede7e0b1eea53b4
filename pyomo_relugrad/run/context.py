"""What a search method is given besides the problem."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Incumbent
from pyomo_relugrad.programs import LinearSolution
from pyomo_relugrad.run.budget import Budget
from pyomo_relugrad.run.past import Past


def _ignore(bound: float) -> None:
    """Take no note of a bound."""


@dataclass(frozen=True, eq=False)
class SearchContext:
    """What a method is given besides the problem.

    Parameters
    ----------
    budget : Budget
    random : numpy.random.Generator
        The only source of randomness.
    start : (n,) array, optional
        The user's warm start, completed.
    relaxation : LinearSolution, optional
        The linear surroundings solved without the networks; None for a box around networks.
    known : tuple of Incumbent, optional
        Feasible points that were found before the method began.
    is_first : bool, optional
        Whether no search of the problem came before. Where one did, methods leave out what begins from nothing.
    beside : bool, optional
        Whether another search is under way that begins at the start and at the relaxation's point.
    solves_whole : bool, optional
        Whether programs over the whole problem are of use: not where a proof solves one beside the search.
    given : (n,) array, optional
        The start as it was given, also of what functions write; NaN where there is no value.
    near : tuple of Incumbent, optional
        Where none was found: points that only networks keep from being feasible.
    take_bound : callable, optional
        Told of a number that no feasible point's objective is below, where a method comes to one.
    solutions : int, optional
        Distinct feasible points that are wanted.
    device : str, optional
        Where points move that descend together; None for this machine's processor.
    offered : deque of Incumbent, optional
        Better points that others find while the method runs.
    past : Past, optional
        Of earlier searches of the same model with other numbers.
    """

    budget: Budget
    random: np.random.Generator
    start: Array | None = None
    relaxation: LinearSolution | None = None
    known: tuple[Incumbent, ...] = ()
    is_first: bool = True
    beside: bool = False
    solves_whole: bool = True
    given: Array | None = None
    near: tuple[Incumbent, ...] = ()
    take_bound: Callable[[float], None] = _ignore
    solutions: int = 1
    device: str | None = None
    offered: deque[Incumbent] = field(default_factory=deque)
    past: Past = field(default_factory=Past)

    def take_offered(self) -> list[Incumbent]:
        """The points that others have found since the last time."""
        points = list(self.offered)
        self.offered.clear()
        return points

    @property
    def relaxed(self) -> Array | None:
        """The point (n,) of the relaxation, if there is one."""
        return None if self.relaxation is None else self.relaxation.values
