"""Who works next: what has paid most of late, and whoever has had too little time."""

from __future__ import annotations

from dataclasses import dataclass

#: How much of an arm's past counts after each of its turns.
MEMORY = 0.8

#: Gain per cost that counts as none.
LOWEST_RATE = 1e-3


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
    floors : dict of str to float
        For each arm the share of all cost that it has, whatever it gains.
    """

    def __init__(self, floors: dict[str, float]) -> None:
        self._floors = floors
        self._accounts = {name: Account() for name in floors}

    def choose(self) -> str:
        """The arm whose turn it is."""
        accounts = self._accounts
        rarest = min(accounts, key=lambda name: accounts[name].total_cost / self._floors[name])
        best = max(accounts, key=lambda name: accounts[name].rate)
        spent = sum(account.total_cost for account in accounts.values())
        is_short = accounts[rarest].total_cost <= self._floors[rarest] * spent
        return rarest if is_short or accounts[best].rate < LOWEST_RATE else best

    def book(self, name: str, cost: float, gain: float) -> None:
        """Note a turn of an arm."""
        self._accounts[name].book(cost, gain)

    def drop(self, name: str) -> None:
        """Let an arm go that has ended."""
        del self._accounts[name]
