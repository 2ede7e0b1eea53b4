"""Searches that take turns, step by step."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice

from pyomo_relugrad.problem import Incumbent
from pyomo_relugrad.run import Budget


def in_turn(searches: list[Iterator[Incumbent | None]]) -> Iterator[Incumbent | None]:
    """A step of each search after the other, until all are done."""
    while searches:
        for search in searches.copy():
            try:
                yield next(search)
            except StopIteration:
                searches.remove(search)


def beside(
    own: Iterator[Incumbent | None], others: Iterator[Incumbent | None], alone: float, share: float, budget: Budget
) -> Iterator[Incumbent | None]:
    """Steps of a search; once it has been alone for so long, others have a share of the time, and what it leaves."""
    begin, others_spent = budget.spent, 0.0
    for point in own:
        yield point
        while (spent := budget.spent - begin) > alone and others_spent < share * spent and not budget.is_exhausted():
            before = budget.spent
            try:
                found = next(others)
            except StopIteration:
                break
            others_spent += budget.spent - before
            yield found
    yield from others


def telling(
    points: Iterator[Incumbent | None], known: list[Incumbent], offered: deque[Incumbent]
) -> Iterator[Incumbent | None]:
    """The points of a search, of which those are noted and offered to another that are better than all known ones."""
    for point in points:
        if point is not None and point.is_feasible and all(point.objective < other.objective for other in known):
            known.append(point)
            offered.append(point)
        yield point


def overhearing(
    points: Iterator[Incumbent | None], waiting: deque[Incumbent], offered: deque[Incumbent]
) -> Iterator[Incumbent | None]:
    """The points of a search that is offered, before each step, what waits for another one, too."""
    last: Incumbent | None = None
    while True:
        heard = max((number for number, point in enumerate(waiting, start=1) if point is last), default=0)
        offered.extend(islice(waiting, heard, None))
        last = waiting[-1] if waiting else None
        try:
            yield next(points)
        except StopIteration:
            return
