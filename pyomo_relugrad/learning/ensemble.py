"""`Ensemble`: networks that were trained for the same outputs, as one network."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from pyomo_relugrad.arrays import Array, ArrayLike
from pyomo_relugrad.checks import as_list, check_number
from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.network import Network
from pyomo_relugrad.network.building import mean_of, ranked
from pyomo_relugrad.readers.sources import load_network


class Ensemble:
    """Networks that were trained for the same outputs of the same inputs, on other data or from other weights.

    Where they disagree, the data say little. Each method makes one network of them, for a block or a function.

    Parameters
    ----------
    members : iterable of networks, or of what `load_network` takes

    Raises
    ------
    ModelError
        If there is none, or they have other inputs or outputs.

    Examples
    --------
    >>> slopes = (1.0, 2.0, 6.0)
    >>> ensemble = Ensemble(Network.from_layers([[[slope]]], [[0.0]]) for slope in slopes)
    >>> ensemble.mean().value([[1.0]]).tolist(), ensemble.reached_by(0.6).value([[1.0]]).tolist()
    ([[3.0]], [[2.0]])
    """

    def __init__(self, members: Iterable[Any]) -> None:
        listed = as_list(members, "the members of the ensemble", "a list of networks")
        self.members: tuple[Network, ...] = tuple(load_network(member) for member in listed)
        if not self.members:
            raise ModelError("the list of the ensemble's members is empty: give one network or more")
        first = self.members[0]
        for place, network in enumerate(self.members):
            if (network.n_inputs, network.n_outputs) != (first.n_inputs, first.n_outputs):
                raise ModelError(
                    f"member {place} of the ensemble has {network.n_inputs} inputs and {network.n_outputs} outputs, "
                    f"and member 0 has {first.n_inputs} and {first.n_outputs}: give networks of the same sizes"
                )
            if (network.input_names, network.choices) != (first.input_names, first.choices):
                raise ModelError(
                    f"member {place} of the ensemble has other names or categories than member 0: fit all of them on "
                    "the same columns, or name them by Network.with_names"
                )

    def __len__(self) -> int:
        return len(self.members)

    def __iter__(self) -> Iterator[Network]:
        return iter(self.members)

    def __repr__(self) -> str:
        return f"<Ensemble of {len(self)}: {self.members[0]!r}>"

    def values(self, X: ArrayLike) -> Array:
        """Outputs of all members, (n_members, B, n_outputs), at the rows of `X`."""
        return np.stack([member.value(X) for member in self.members])

    def mean(self) -> Network:
        """The mean of the members."""
        return mean_of(self.members)

    def reached_by(self, share: float = 1.0) -> Network:
        """The value that at least this share of the members reaches, for rows ``output >= limit``.

        By default the worst of all. It takes one ReLU for each two values that are compared.
        """
        return ranked(self.members, len(self) - self._count(share))

    def kept_by(self, share: float = 1.0) -> Network:
        """The value that at least this share of the members does not exceed, for rows ``output <= limit``."""
        return ranked(self.members, self._count(share) - 1)

    def _count(self, share: float) -> int:
        """How many members a share is."""
        check_number(share, "the share of the members", "a number above 0, at most 1", lambda own: 0.0 < own <= 1.0)
        return max(math.ceil(share * len(self) - 1e-9), 1)
