"""Who works next: what has paid most of late, and now and then whoever had the least time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: How much of an arm's past counts after each of its turns.
MEMORY = 0.5
#: Share of the turns that go to the arm with the least time so far.
EXPLORATION = 0.3


@dataclass
class Account:
    """What an arm has cost in all, and of late, and what it has gained of late."""

    total_cost: float = 0.0
    cost: float = 0.0
    gain: float = 0.0

    def book(self, cost: float, gain: float) -> None:
        """Note a turn."""
        self.total_cost += cost
        self.cost = MEMORY * self.cost + cost
        self.gain = MEMORY * self.gain + gain

    @property
    def rate(self) -> float:
        """Gain per cost of late."""
        return self.gain / self.cost if self.cost > 0 else 0.0


class Bandit:
    """Chooses between arms by their gain per cost, with a floor for all of them.

    Parameters
    ----------
    names : iterable of str
    random : numpy.random.Generator
    """

    def __init__(self, names: list[str], random: np.random.Generator) -> None:
        self._accounts = {name: Account() for name in names}
        self._random = random

    def choose(self) -> str:
        """The arm whose turn it is."""
        accounts = self._accounts
        best = max(accounts, key=lambda name: accounts[name].rate)
        if any(account.total_cost == 0 for account in accounts.values()) or accounts[best].rate == 0 or self._random.random() < EXPLORATION:
            return min(accounts, key=lambda name: accounts[name].total_cost)
        return best

    def book(self, name: str, cost: float, gain: float) -> None:
        """Note a turn of an arm."""
        self._accounts[name].book(cost, gain)

    def drop(self, name: str) -> bool:
        """Let an arm go that has ended; return whether any is left."""
        del self._accounts[name]
        return bool(self._accounts)
