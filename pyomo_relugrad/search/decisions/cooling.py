"""How far something that cools has come."""

from __future__ import annotations

from collections.abc import Iterator

from pyomo_relugrad.run import Budget


def progress(length: float, budget: Budget) -> Iterator[float]:
    """From 0 to 1 in a length of time, or of iterations; asked for before each iteration.

    It cools by work: what interrupts the search takes steps at all temperatures, not at one.
    """
    begin, end, done, iterations = budget.spent, budget.passed + length, 0.0, 0
    while done < 1.0 and not budget.is_exhausted():
        yield done
        spent, left, iterations = budget.spent - begin, max(end - budget.passed, 0.0), iterations + 1
        done += (1.0 - done) * spent / (spent + iterations * left)
