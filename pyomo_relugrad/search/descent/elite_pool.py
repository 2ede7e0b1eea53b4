"""Distinct good points, and new starts made from them."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Incumbent
from pyomo_relugrad.search.domains.domain import Domain

# Relative difference of values below which two points count as the same.
SAME_VALUE = 1e-7


@dataclass(frozen=True, eq=False)
class PoolMember:
    """A good point.

    Parameters
    ----------
    u : (d,) array
    value : float
        Of the objective.
    is_polished : bool
        Whether it is a vertex that the region walk ended at.
    """

    u: Array
    value: float
    is_polished: bool = False


@dataclass
class ElitePool:
    """Distinct good points, best first.

    Parameters
    ----------
    size : int
        How many are kept.
    """

    size: int
    members: list[PoolMember] = field(default_factory=list)

    @property
    def best(self) -> float:
        """The smallest value, infinity where there is no point."""
        return self.members[0].value if self.members else np.inf

    def add(self, elite: PoolMember) -> None:
        """Take the point in if it is good enough, unless a point of the same value is there."""
        scale = SAME_VALUE * max(1e-3, abs(elite.value))
        if any(abs(elite.value - other.value) <= scale for other in self.members):
            return
        self.members = sorted([*self.members, elite], key=lambda member: member.value)[: self.size]

    def learn(self, points: Iterable[Incumbent], columns: Array) -> None:
        """Take in the decision columns of points that others found, and polished."""
        for point in points:
            self.add(PoolMember(point.values[columns], point.objective, is_polished=True))

    def unpolished(self) -> PoolMember | None:
        """The best point that has not been polished."""
        return next((member for member in self.members if not member.is_polished), None)

    def polished(self, elite: PoolMember, u: Array, value: float) -> PoolMember:
        """Replace a point by the one that polishing has come to from it, which is returned."""
        self.members = [member for member in self.members if member is not elite]
        moved = replace(elite, u=u, value=value, is_polished=True)
        self.add(moved)
        return moved

    def offspring(self, domain: Domain, random: np.random.Generator, count: int) -> Array:
        """Crossings (count, d) of two members each, column by column, a random share of the columns drawn anew.

        One of the two is one of the best rather than any.
        """
        points = np.stack([member.u for member in self.members])
        first = (len(points) * random.random(count) ** PREFERENCE).astype(int)
        second = random.integers(len(points), size=count)
        shape = (count, points.shape[1])
        children = np.where(random.random(shape) < random.random((count, 1)), points[first], points[second])
        redrawn = random.random(shape) < 10.0 ** random.uniform(*MUTATION, (count, 1))
        anywhere = domain.lower + random.random(shape) * (domain.upper - domain.lower)
        return domain.project(np.where(redrawn, anywhere, children))


# Decimal logarithms of the smallest and the largest share of the columns that a new start draws anew.
MUTATION = (-2.0, -0.3)
# Power of a uniform number that says at which share of the pool, best first, a parent stands.
PREFERENCE = 1.5
