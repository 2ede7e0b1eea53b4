"""Scaling between the units of the user and those of the network: of variables, and inside the network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.modeling.block.arguments import Scaling
from pyomo_relugrad.modeling.block.units import in_unit, unit_of
from pyomo_relugrad.network import Network
from pyomo_relugrad.network.building import fold_scaling

_FOLDED: WeakKeyDictionary[Network, dict[bytes, Network]] = WeakKeyDictionary()


def scaled(variables: Sequence[Any], offset: Array, factor: Array) -> list[Any]:
    """``(value - offset) / factor`` of each variable, in its unit."""
    parts = zip(variables, offset.tolist(), factor.tolist(), strict=True)
    result = []
    for variable, shift, scale in parts:
        unit = unit_of(variable)
        result.append((variable - in_unit(shift, unit)) / in_unit(scale, unit))
    return result


def folded(network: Network, scaling: Scaling | None) -> Network | None:
    """The network with the scaling inside: the same object for equal arguments, so that blocks share it."""
    if scaling is None:
        return None
    known = _FOLDED.setdefault(network, {})
    if scaling.key() not in known:
        known[scaling.key()] = fold_scaling(
            network, scaling.input_offset, scaling.input_factor, scaling.output_offset, scaling.output_factor
        )
    return known[scaling.key()]
