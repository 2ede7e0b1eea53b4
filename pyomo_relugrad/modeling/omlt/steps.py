"""What one layer of OMLT computes: its value, its bounds, and what it is as a function of the network's input."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.network import Activation, Layer
from pyomo_relugrad.network.bounds import affine_range
from pyomo_relugrad.network.building import Affine, HiddenLayers, largest, through


@dataclass(frozen=True, eq=False)
class AffineStep:
    """An affine layer: ``zhat = sum(weights[i] @ z[sources[i]]) + bias``, then the activation.

    Parameters
    ----------
    affine : Layer
        Its sources are positions of OMLT's layers, the input being 0.
    activation : Activation or None
        None where ``z = zhat``.
    """

    affine: Layer
    activation: Activation | None

    @property
    def sources(self) -> tuple[int, ...]:
        """Positions of the layers that it reads."""
        return self.affine.sources

    def preactivation(self, z: Sequence[Array]) -> Array:
        """``zhat`` (n,) at the earlier layers' ``z``."""
        return self.affine.apply([values[None, :] for values in z])[0]

    def range(self, lower: Sequence[Array], upper: Sequence[Array]) -> tuple[Array, Array]:
        """Bounds (n,) of ``zhat`` from those of the earlier layers' ``z``."""
        low, high, _ = affine_range(self.affine, [side[None, :] for side in lower], [side[None, :] for side in upper])
        return low[0], high[0]

    def symbolic(self, z: Sequence[Affine], hidden: HiddenLayers) -> Affine:
        """``zhat`` as a function of the network's input."""
        return through(self.affine, z)


@dataclass(frozen=True, eq=False)
class MaximumStep:
    """A pooling layer: ``zhat[i] = max(z[source][windows[i]])``, then the activation.

    Parameters
    ----------
    source : int
    windows : (n, k) int array
        Positions in the source of the kernel's elements, -1 for those that lie outside.
    activation : Activation or None
    """

    source: int
    windows: Array
    activation: Activation | None

    @property
    def sources(self) -> tuple[int, ...]:
        """Positions of the layers that it reads."""
        return (self.source,)

    def candidates(self, z: Array) -> Array:
        """What each window chooses from: (n, k), minus infinity where a window has no element."""
        return np.where(self.windows >= 0, z[self.windows], -np.inf)

    def preactivation(self, z: Sequence[Array]) -> Array:
        """``zhat`` (n,) at the earlier layers' ``z``."""
        return self.candidates(z[self.source]).max(axis=1)

    def range(self, lower: Sequence[Array], upper: Sequence[Array]) -> tuple[Array, Array]:
        """Bounds (n,) of ``zhat`` from those of the earlier layers' ``z``."""
        return self.preactivation(lower), self.preactivation(upper)

    def symbolic(self, z: Sequence[Affine], hidden: HiddenLayers) -> Affine:
        """``zhat`` as a function of the network's input."""
        return largest(z[self.source], self.windows, hidden)


Step = AffineStep | MaximumStep
