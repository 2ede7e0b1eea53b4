"""What a property asks: cases, any one of which makes a counterexample, and the tensors that they are about."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.readers.vnnlib.formula import Comparison, Conjunction

# The excess of a strict comparison whose sides are equal.
_LEAST = float(np.nextafter(0.0, 1.0))


@dataclass(frozen=True, eq=False)
class Case:
    """One way to a counterexample: an input in a box, with rows that hold for it and its outputs.

    Parameters
    ----------
    lower, upper : (n_inputs,) arrays
        Infinite where the file sets no bound.
    input_rows : (m, n_inputs) array
    output_rows : (m, n_outputs) array
    limits : (m,) array
        ``input_rows @ x + output_rows @ y <= limits``.
    strict : (m,) bool array, optional
        The rows whose sides must differ; none by default.
    links : (k, 2) int array, optional
        Pairs of inputs that are equal.
    """

    lower: Array
    upper: Array
    input_rows: Array
    output_rows: Array
    limits: Array
    strict: Array = None  # type: ignore[assignment]  # set on creation
    links: Array = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.strict is None:
            object.__setattr__(self, "strict", np.zeros(len(self.limits), bool))
        if self.links is None:
            object.__setattr__(self, "links", np.zeros((0, 2), np.int64))

    def violation(self, x: Array, y: Array) -> float:
        """The largest amount by which the point misses a bound or a row; at most 0 if it satisfies all."""
        excess = self.input_rows @ x + self.output_rows @ y - self.limits
        excess = np.where(self.strict & (excess == 0.0), _LEAST, excess)
        apart = abs(x[self.links[:, 0]] - x[self.links[:, 1]])
        return float(np.max(np.concatenate([self.lower - x, x - self.upper, excess, apart])))


@dataclass(frozen=True)
class Tensor:
    """An input or output tensor of a network in VNN-LIB 2.0.

    Parameters
    ----------
    name : str
        In the property.
    type : str
        As the file has it, such as float32 or real.
    shape : tuple of int
    name_in_file : str, optional
        In the network's ONNX file; where there is none, the order counts.
    """

    name: str
    type: str
    shape: tuple[int, ...]
    name_in_file: str = ""

    @property
    def size(self) -> int:
        """Number of entries."""
        return prod(self.shape)


@dataclass(frozen=True)
class Declaration:
    """A network that a property in VNN-LIB 2.0 is about.

    Parameters
    ----------
    name : str
    inputs, outputs : tuple of Tensor
    equal_to : str, optional
        The network that this one is.
    isomorphic_to : str, optional
        A network of the same structure with other weights.
    """

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    equal_to: str = ""
    isomorphic_to: str = ""

    @property
    def n_inputs(self) -> int:
        """Entries of all inputs."""
        return sum(tensor.size for tensor in self.inputs)

    @property
    def n_outputs(self) -> int:
        """Entries of all outputs."""
        return sum(tensor.size for tensor in self.outputs)


@dataclass(frozen=True, eq=False)
class Property:
    """What a counterexample satisfies: any one of the cases.

    Parameters
    ----------
    n_inputs, n_outputs : int
        Of all networks together, one after the other.
    cases : tuple of Case
        None if the file contradicts itself.
    name : str, optional
    networks : tuple of Declaration, optional
        The networks that a file in VNN-LIB 2.0 declares; in VNN-LIB 1.0 there is one without a name.
    """

    n_inputs: int
    n_outputs: int
    cases: tuple[Case, ...]
    name: str = ""
    networks: tuple[Declaration, ...] = ()

    def tensors(self, x: Array, y: Array) -> dict[Tensor, Array]:
        """The declared tensors in their order, with their values at inputs and outputs of all networks."""
        values: dict[Tensor, Array] = {}
        begins = [0, 0]
        for network in self.networks:
            for side, (tensors, vector) in enumerate(((network.inputs, x), (network.outputs, y))):
                for tensor in tensors:
                    begin, begins[side] = begins[side], begins[side] + tensor.size
                    values[tensor] = vector[begin : begins[side]].reshape(tensor.shape)
        return values


def cases_of(conjunctions: Iterable[Conjunction], n_inputs: int, n_outputs: int) -> tuple[Case, ...]:
    """The cases whose boxes are not empty."""
    found = (_case(own, n_inputs, n_outputs) for own in conjunctions)
    return tuple(case for case in found if case is not None)


def _case(conjunction: Conjunction, n_inputs: int, n_outputs: int) -> Case | None:
    """A box from rows on one input, links from equations of two, and the other rows; None where the box is empty."""
    lower, upper = np.full(n_inputs, -np.inf), np.full(n_inputs, np.inf)
    open_sides: list[tuple[int, float]] = []
    links, conjunction = _links(conjunction)
    others: list[Comparison] = []
    for row in conjunction:
        used = [(variable, value) for variable, value in row.expression.coefficients.items() if value != 0.0]
        is_bound = len(used) == 1 and used[0][0][0] == "X"
        if is_bound:
            ((_, index), value), bound = used[0], 0.0 - row.expression.constant / used[0][1]
            if value > 0.0:
                upper[index] = min(upper[index], bound)
            else:
                lower[index] = max(lower[index], bound)
            if row.is_strict:
                open_sides.append((index, bound))
        if not is_bound or row.is_strict:
            others.append(row)
    if (lower > upper).any() or any(lower[index] == bound == upper[index] for index, bound in open_sides):
        return None
    rows = {"X": np.zeros((len(others), n_inputs)), "Y": np.zeros((len(others), n_outputs))}
    for i, row in enumerate(others):
        for (kind, index), value in row.expression.coefficients.items():
            rows[kind][i, index] = value
    limits = np.array([0.0 - row.expression.constant for row in others])
    return Case(lower, upper, rows["X"], rows["Y"], limits, np.array([row.is_strict for row in others], bool), links)


def _links(conjunction: Conjunction) -> tuple[Array, Conjunction]:
    """Pairs of inputs of which neither is larger than the other, and the comparisons that do not say so."""
    smaller = [_ordered_inputs(row) for row in conjunction]
    known = {pair for pair in smaller if pair is not None}
    linked = {(i, j) for i, j in known if (j, i) in known}
    rest = tuple(row for row, pair in zip(conjunction, smaller, strict=True) if pair not in linked)
    return np.array(sorted(pair for pair in linked if pair[0] < pair[1]), np.int64).reshape(-1, 2), rest


def _ordered_inputs(row: Comparison) -> tuple[int, int] | None:
    """The inputs i and j of a comparison that says ``x_i <= x_j``."""
    if row.is_strict or row.expression.constant != 0.0 or len(row.expression.coefficients) != 2:
        return None
    (first, value), (second, opposite) = row.expression.coefficients.items()
    if value != -opposite or value == 0.0 or first[0] != "X" or second[0] != "X":
        return None
    return (first[1], second[1]) if value > 0.0 else (second[1], first[1])
