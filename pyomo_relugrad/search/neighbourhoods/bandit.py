"""Who works next: what has paid most of late, and whoever has had too little time."""

from dataclasses import dataclass

#: How much of an arm's past counts after each of its turns.
MEMORY = 0.5

#: Gain per cost that counts as none.
LOWEST_RATE = 0.3


@dataclass
class Account:
    """What an arm has cost and gained in all, and of late.

    Parameters
    ----------
    floor : float
        The share of all cost that it has, whatever it gains.
    """

    floor: float
    total_cost: float = 0.0
    total_gain: float = 0.0
    cost: float = 0.0
    gain: float = 0.0

    def book(self, cost: float, gain: float) -> None:
        """Note a turn."""
        self.total_cost += cost
        self.total_gain += gain
        self.cost = MEMORY * self.cost + cost
        self.gain = MEMORY * self.gain + gain

    @property
    def rate(self) -> float:
        """Gain per cost of late."""
        return self.gain / self.cost if self.cost > 0 else 0.0

    @property
    def use(self) -> float:
        """Cost in units of the floor."""
        return self.total_cost / self.floor

    @property
    def use_by_merit(self) -> float:
        """The same, less where much was gained in all."""
        return self.use / (1.0 + self.total_gain)


class Bandit:
    """Chooses between arms by their gain per cost, with a floor for each; while none gains, by what all have gained.

    Parameters
    ----------
    floors : dict of str to float
        For each arm the share of all cost that it has, whatever it gains.
    """

    def __init__(self, floors: dict[str, float]) -> None:
        self._accounts = {name: Account(floor) for name, floor in floors.items()}

    def choose(self) -> str:
        """The arm whose turn it is."""
        accounts = self._accounts
        rarest = min(accounts, key=lambda name: accounts[name].use)
        if accounts[rarest].use <= sum(account.total_cost for account in accounts.values()):
            return rarest
        best = max(accounts, key=lambda name: accounts[name].rate)
        if accounts[best].rate >= LOWEST_RATE:
            return best
        return min(accounts, key=lambda name: accounts[name].use_by_merit)

    def book(self, name: str, cost: float, gain: float) -> None:
        """Note a turn of an arm."""
        self._accounts[name].book(cost, gain)

    def drop(self, name: str) -> None:
        """Let an arm go that has ended."""
        del self._accounts[name]
