"""What a rule gets to see of a node, and the kinds of values that flow along a graph's edges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from onnx import NodeProto

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.errors import NetworkFileError, NetworkValueError, UnsupportedOperatorError
from pyomo_relugrad.network.building import Affine, HiddenLayers
from pyomo_relugrad.readers.onnx.one_variable import OneVariable


@dataclass(frozen=True, eq=False)
class Integers:
    """A tensor of whole numbers, elements of the network's input: not to be computed with before it is cast."""

    tensor: Affine

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the tensor."""
        return self.tensor.shape

    def reshaped(self, shape: Sequence[int]) -> Integers:
        """The same elements under another shape."""
        return Integers(self.tensor.reshaped(shape))

    def taken(self, indices: Array) -> Integers:
        """Elements at the given positions, see `Affine.taken`."""
        return Integers(self.tensor.taken(indices))


Value: TypeAlias = Array | Affine | OneVariable | Integers


@dataclass(frozen=True, eq=False)
class Node:
    """A node of the graph with the values of its inputs.

    Parameters
    ----------
    proto : NodeProto
    opset : int
        Version of the operator set that the node's operator belongs to.
    attributes : dict
        The attributes that the node carries, as Python values.
    inputs : tuple
        Values in order; None where an optional input is left out.
    """

    proto: NodeProto
    opset: int
    attributes: dict[str, Any]
    inputs: tuple[Value | None, ...]

    @property
    def operator(self) -> str:
        """The operator's name."""
        return self.proto.op_type

    def attribute(self, name: str, default: Any = None) -> Any:
        """Value of an attribute, or the default where the node does not carry it: in float32, as all attributes are."""
        rounded = float(np.float32(default)) if isinstance(default, float) else default
        return self.attributes.get(name, rounded)

    def has_input(self, position: int) -> bool:
        """Whether the (optional) input is there."""
        return position < len(self.inputs) and self.inputs[position] is not None

    def value(self, position: int) -> Array | Affine:
        """An input that is a tensor of numbers.

        Raises
        ------
        NetworkFileError, UnsupportedOperatorError
            If the input is missing or is the outcome of a comparison.
        """
        value = self.inputs[position] if position < len(self.inputs) else None
        if value is None:
            raise NetworkFileError(f"input {position} is missing")
        if isinstance(value, Integers):
            raise self.unsupported("computes with whole numbers; only Cast and what moves elements can be read")
        if isinstance(value, OneVariable):
            raise self.unsupported("computes with the outcome of a comparison; only Where can be read after one")
        return value

    def affine(self, position: int) -> Affine:
        """An input as an affine tensor, a constant included."""
        value = self.value(position)
        return value if isinstance(value, Affine) else Affine.constant(finite(value))

    def masked(self, position: int) -> Affine:
        """As `affine`, but a constant may hold infinite numbers: what is masked out of a maximum or a minimum."""
        value = self.value(position)
        return value if isinstance(value, Affine) else Affine.constant(real(value))

    def constant(self, position: int, what: str) -> Array:
        """An input that must not depend on the network's input.

        Raises
        ------
        UnsupportedOperatorError
            If it does.
        """
        value = self.value(position)
        if isinstance(value, Affine):
            raise self.unsupported(f"takes its {what} from the network's input, which is not piecewise linear")
        return value

    def settled(self, hidden: HiddenLayers) -> Node:
        """The node with ReLUs in place of inputs that are functions of one variable.

        Raises
        ------
        UnsupportedOperatorError
            If one is not continuous.
        """
        inputs = tuple(
            value.settled(hidden) if isinstance(value, OneVariable) and not value.is_truth else value
            for value in self.inputs
        )
        return replace(self, inputs=inputs)

    def optional_constant(self, position: int, what: str) -> Array | None:
        """As `constant`, or None where the input is left out."""
        return self.constant(position, what) if self.has_input(position) else None

    def unsupported(self, reason: str) -> UnsupportedOperatorError:
        """The error that this node cannot be read."""
        return UnsupportedOperatorError(f"{self.operator} {reason}", operator=self.operator)


Rule: TypeAlias = Callable[[Node, HiddenLayers], Value | list[Value]]
"""How one operator acts on values that are not all constant: its outputs (or its only output)."""


def real(constant: Array) -> Array:
    """The constant as float64.

    Raises
    ------
    NetworkValueError
        If it is not numeric, or an entry is NaN.
    """
    if constant.dtype.kind not in "fiub":
        raise NetworkValueError(f"a constant of type {constant.dtype} is not numeric")
    result = np.asarray(constant, dtype=np.float64)
    if np.isnan(result).any():
        raise NetworkValueError(_NOT_FINITE)
    return result


def finite(constant: Array) -> Array:
    """The constant as float64.

    Raises
    ------
    NetworkValueError
        If it is not numeric, or an entry is NaN or infinite.
    """
    result = real(constant)
    if not np.isfinite(result).all():
        raise NetworkValueError(_NOT_FINITE)
    return result


_NOT_FINITE = "a constant (a weight, a bias) holds NaN or infinite numbers: export the network again"
