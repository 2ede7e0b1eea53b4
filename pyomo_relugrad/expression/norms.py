"""Lengths of vectors, ``sqrt(constant + sum of squares)``, over the rows of an array of (nodes, B).

They are convex, which a root of a sum is not to whoever looks at its parts: the root alone is concave.
"""

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.expression.envelope import downward, outward
from pyomo_relugrad.expression.steps import Planes, Slopes, TermGroups, Times


class Norms(TermGroups):
    """Norms of the terms, their components; to the squares the constants are added, which are not negative."""

    def evaluate(self, values: Array) -> None:
        """Write the norms, given their components."""
        values[self.rows] = self._norm(self.terms.take(values))

    def pull_back(self, values: Array, gradient: Array, times: Times) -> None:
        """Add to the gradient of the components what that of the norms says."""
        slopes = self.terms.take(values) / values[self.rows][self.owners]
        self.terms.add(gradient, times(gradient[self.rows][self.owners], slopes[:, None]))

    def enclose(self, lower: Array, upper: Array) -> None:
        """Write the ranges of the norms, given those of their components."""
        low, high = self.terms.take(lower), self.terms.take(upper)
        least, greatest = np.maximum(np.maximum(low, -high), 0.0), np.maximum(np.abs(low), np.abs(high))
        found = outward(self._norm(least), self._norm(greatest))
        crossed = np.add.reduceat(low > high, self.starts, axis=0) > 0
        lower[self.rows] = np.where(crossed, np.inf, np.maximum(found[0], 0.0))
        upper[self.rows] = np.where(crossed, -np.inf, found[1])

    def contract(self, lower: Array, upper: Array) -> None:
        """Narrow the ranges of the components: none is longer than its vector."""
        _, longest = outward(upper[self.rows], upper[self.rows])
        self.terms.narrow(lower, upper, (-longest[self.owners], longest[self.owners]))

    def relax(self, lower: Array, upper: Array, at: Array) -> Planes:
        """Tangents at the given components below, and above the root's tangent of the squares' chords."""
        low, high = self.terms.take(lower), self.terms.take(upper)
        below, below_offset = self._tangents(self.terms.take(at), np.maximum(np.abs(low), np.abs(high)))
        above, above_offset = self._chords(low, high, self.terms.take(at))
        flat = ~np.isfinite(above_offset)
        above_offset = np.where(flat, upper[self.rows], above_offset)
        slopes = Slopes(self.terms, self.owners, below, np.where(flat[self.owners], 0.0, above))
        return Planes((slopes,), below_offset, above_offset)

    def _tangents(self, point: Array, far: Array) -> tuple[Array, Array]:
        """Slopes (t, B) and offsets (norms, B) of the tangents at components."""
        norm = self._norm(point)
        is_smooth = np.isfinite(norm) & (norm > 0)
        slopes = np.where(is_smooth[self.owners], point / norm[self.owners], 0.0)
        offset = np.where(is_smooth, self.constants / norm, 0.0)
        size = self._sum(np.abs(slopes) * np.where(np.isfinite(far), far, 0.0))
        return slopes, downward(offset, size + offset)

    def _chords(self, low: Array, high: Array, point: Array) -> tuple[Array, Array]:
        """Slopes (t, B) and offsets (norms, B) above; the offset is infinite where there are none."""
        point = np.where(np.isnan(point), low + (high - low) / 2, point).clip(low, high)
        root = np.sqrt(np.maximum(self.constants + self._sum((low + high) * point - low * high), 0.0))
        slopes = (low + high) / (2 * root[self.owners])
        offset = root / 2 + (self.constants - self._sum(low * high)) / (2 * root)
        sizes = np.abs(low * high) + np.abs(low + high) * np.maximum(-low, high)
        size = root + (self.constants + self._sum(sizes)) / (2 * root)
        return slopes, -downward(-offset, size)

    def _norm(self, terms: Array) -> Array:
        return np.sqrt(self.constants + self._sum(terms * terms))
