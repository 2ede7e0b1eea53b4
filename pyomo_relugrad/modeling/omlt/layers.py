"""Canonical layers as layers of OMLT, and the constraints or expressions that each formulation makes of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyomo.environ as pyo
from omlt.neuralnet import NetworkDefinition
from omlt.neuralnet.activations import (
    ComplementarityReLUActivation,
    bigm_relu_activation_constraint,
    linear_activation_constraint,
)
from omlt.neuralnet.layer import InputLayer
from omlt.neuralnet.layer import Layer as OmltLayer
from pyomo.core.expr import LinearExpression, MonomialTermExpression, ProductExpression, SumExpression
from scipy import sparse

from pyomo_relugrad.arrays import Array, Weight
from pyomo_relugrad.modeling.omlt.smooth_rows import activation_expressions
from pyomo_relugrad.network import Layer

#: Parts into which the partition formulation splits the weights of a neuron, as in OMLT.
PARTS = 2


class BoundedInput(InputLayer):
    """An input layer that knows the bounds of its entries.

    Parameters
    ----------
    lower, upper : (n_inputs,) arrays
        Infinite where there are none.
    """

    def __init__(self, lower: Array, upper: Array) -> None:
        super().__init__([lower.size])
        self.z_lower = lower
        self.z_upper = upper


class AffineLayer(OmltLayer):
    """A canonical layer as a layer of OMLT: affine in several earlier layers, its weights dense or sparse.

    Parameters
    ----------
    affine : Layer
    sources : sequence of BoundedInput or AffineLayer
        The layers that ``affine.sources`` stands for.
    activation : str
        ``'relu'``, ``'linear'``, or the name of a smooth activation.
    lower, upper : (n_k,) arrays
        Bounds on the pre-activations, infinite where there are none.
    """

    def __init__(
        self, affine: Layer, sources: Sequence[BoundedInput | AffineLayer], activation: str, lower: Array, upper: Array
    ) -> None:
        width = sum(source.output_size[0] for source in sources)
        super().__init__([width], [affine.width], activation=activation)
        self.affine = affine
        self.sources = tuple(sources)
        self.lower = lower
        self.upper = upper

    @property
    def z_lower(self) -> Array:
        """(n_k,) lower bounds on the activations."""
        return self.lower if self.activation == "linear" else self.affine.activation.range(self.lower, self.upper)[0]

    @property
    def z_upper(self) -> Array:
        """(n_k,) upper bounds on the activations."""
        return self.upper if self.activation == "linear" else self.affine.activation.range(self.lower, self.upper)[1]

    @property
    def weight(self) -> Weight:
        """The weights of all sources side by side."""
        return joined_weight(self.affine)

    def __str__(self) -> str:
        return f"AffineLayer(input_size={self.input_size}, output_size={self.output_size})"

    def __deepcopy__(self, memo: dict[int, Any]) -> AffineLayer:
        return self

    def _eval(self, x: Array) -> Array:
        """Value at the concatenated sources `x`, for OMLT's ``eval_single_layer``."""
        return self.weight @ np.asarray(x) + self.affine.bias


def joined_weight(affine: Layer) -> Weight:
    """(n_k, sum of the sources' widths) array: the weights side by side, dense only if all of them are."""
    if len(affine.weights) == 1:
        return affine.weights[0] if sparse.issparse(affine.weights[0]) else np.asarray(affine.weights[0])
    if any(sparse.issparse(weight) for weight in affine.weights):
        return sparse.csr_array(sparse.hstack(affine.weights))
    return np.concatenate([np.zeros((affine.width, 0)), *affine.weights], axis=1)


# --- what the hooks of OMLT call for each layer ----------------------------------------------------------------------


def affine_constraints(net_block: Any, net: NetworkDefinition, layer_block: Any, layer: AffineLayer) -> None:
    """``zhat == weights @ z + bias``, and the layer's bounds on ``zhat`` and on ``relu(zhat)``."""
    variables = list(layer_block.zhat.values())
    set_bounds(layer_block.zhat, layer.lower, layer.upper)
    set_bounds(layer_block.z, layer.z_lower, layer.z_upper)
    layer_block.affine_layer = pyo.Constraint(range(len(variables)))
    rows = _weight_rows(layer.weight, _source_activations(net_block, layer))
    for index, (zhat, (coefficients, sources)) in enumerate(zip(variables, rows, strict=True)):
        body = LinearExpression(linear_coefs=[*coefficients, -1.0], linear_vars=[*sources, zhat])
        layer_block.affine_layer[index] = (body, -layer.affine.bias[index].item())


def bigm_relu(net_block: Any, net: NetworkDefinition, layer_block: Any, layer: AffineLayer) -> None:
    """OMLT's big-M constraints; the binaries of neurons that the bounds prove stable are fixed."""
    bigm_relu_activation_constraint(net_block, net, layer_block, layer)
    _fix_stable(layer_block.q_relu, layer, active=1)


def complementarity_relu(net_block: Any, net: NetworkDefinition, layer_block: Any, layer: AffineLayer) -> None:
    """OMLT's complementarity conditions; the slacks that Pyomo adds to them get the bounds that follow."""
    ComplementarityReLUActivation()(net_block, net, layer_block, layer)
    for condition, low in zip(layer_block.component("_complementarity").values(), layer.lower.tolist(), strict=True):
        condition.v.setub(max(0.0, -low))


def partition_constraints(net_block: Any, net: NetworkDefinition, layer_block: Any, layer: AffineLayer) -> None:
    """OMLT's partition formulation for all neurons of a layer at once; ``sig`` is 1 where a neuron is inactive.

    The names follow Tsay, Kronqvist, Thebelt and Misener, "Partition-based formulations for mixed-integer optimization
    of trained ReLU neural networks" (2021): part ``k`` of neuron ``j``'s weighted sum is ``z1[j, k]`` while the neuron
    is inactive and ``z2[j, k]`` while it is active. OMLT states ``z1`` as what ``z2`` leaves of the sum; here it is a
    variable, so that every weight occurs in one row instead of three. The rows ``bound_z`` and ``bound_zhat`` bring in
    bounds of ``zhat`` that are tighter than those of its parts.
    """
    if layer.activation == "linear":
        affine_constraints(net_block, net, layer_block, layer)
        return
    set_bounds(layer_block.zhat, layer.lower, layer.upper)
    set_bounds(layer_block.z, layer.z_lower, layer.z_upper)
    neurons, parts = range(layer.affine.width), range(PARTS)
    layer_block.sig = pyo.Var(neurons, within=pyo.Binary)
    layer_block.z1 = pyo.Var(neurons, parts)
    layer_block.z2 = pyo.Var(neurons, parts)
    for name in ("parts", "eq_16_lb", "eq_16_ub", "eq_17_lb", "eq_17_ub"):
        layer_block.add_component(name, pyo.Constraint(neurons, parts))
    for name in ("sum_of_parts", "eq_13", "eq_14", "eq_15", "bound_z", "bound_zhat"):
        layer_block.add_component(name, pyo.Constraint(neurons))
    sources = _source_activations(net_block, layer)
    lower = np.concatenate([np.zeros(0), *(source.z_lower for source in layer.sources)])
    upper = np.concatenate([np.zeros(0), *(source.z_upper for source in layer.sources)])
    for j, row in enumerate(split_rows(layer.weight)):
        for k, (coefficients, columns) in enumerate(row):
            ends = coefficients * lower[columns], coefficients * upper[columns]
            range_of_part = float(np.minimum(*ends).sum()), float(np.maximum(*ends).sum())
            _state_part(layer_block, (j, k), coefficients, [sources[column] for column in columns], range_of_part)
        _state_neuron(layer_block, j, layer)


def _state_part(
    layer_block: Any, index: tuple[int, int], coefficients: Array, sources: list[Any], bounds: tuple[float, float]
) -> None:
    """One part of a neuron's sum is ``z1`` or ``z2``, and the other is zero."""
    sig, z1, z2 = layer_block.sig[index[0]], layer_block.z1[index], layer_block.z2[index]
    low, high = bounds
    for variable in (z1, z2):
        variable.setlb(min(0.0, low))
        variable.setub(max(0.0, high))
    total = LinearExpression(linear_coefs=[*coefficients.tolist(), -1.0, -1.0], linear_vars=[*sources, z1, z2])
    layer_block.parts[index] = (total, 0)
    layer_block.eq_16_lb[index] = z1 >= low * sig
    layer_block.eq_16_ub[index] = z1 <= high * sig
    layer_block.eq_17_lb[index] = z2 >= low * (1 - sig)
    layer_block.eq_17_ub[index] = z2 <= high * (1 - sig)


def _state_neuron(layer_block: Any, j: int, layer: AffineLayer) -> None:
    """The parts add up to ``zhat``, and those of an active neuron to ``z``."""
    sig, z, zhat = layer_block.sig[j], layer_block.z[j], layer_block.zhat[j]
    bias, low, high = (array[j].item() for array in (layer.affine.bias, layer.lower, layer.upper))
    inactive = pyo.quicksum(layer_block.z1[j, k] for k in range(PARTS)) + bias * sig
    active = pyo.quicksum(layer_block.z2[j, k] for k in range(PARTS)) + bias * (1 - sig)
    layer_block.sum_of_parts[j] = zhat == inactive + active
    layer_block.eq_13[j] = inactive <= 0
    layer_block.eq_14[j] = active >= 0
    layer_block.eq_15[j] = z == active
    layer_block.bound_z[j] = z <= max(0.0, high) * (1 - sig)
    layer_block.bound_zhat[j] = z - zhat <= max(0.0, -low) * sig


def partition_relu(net_block: Any, net: NetworkDefinition, layer_block: Any, layer: AffineLayer) -> None:
    """Fix the binaries of stable neurons; `partition_constraints` has stated the rest."""
    _fix_stable(layer_block.sig, layer, active=0)


def affine_expressions(net_block: Any, net: NetworkDefinition, layer_block: Any, layer: AffineLayer) -> None:
    """``zhat`` as expressions of the sources' instead of variables."""
    rows = _weight_rows(layer.weight, _source_activations(net_block, layer))
    layer_block.del_component("zhat")
    layer_block.zhat = pyo.Expression(range(layer.affine.width))
    for index, (bias, (coefficients, sources)) in enumerate(zip(layer.affine.bias.tolist(), rows, strict=True)):
        layer_block.zhat[index] = SumExpression([*map(_term, coefficients, sources), bias])


def _term(coefficient: float, source: Any) -> Any:
    """Coefficient times variable or expression, made as Pyomo's own operators do, without asking for types."""
    return (MonomialTermExpression if source.is_variable_type() else ProductExpression)((coefficient, source))


def _source_activations(net_block: Any, layer: AffineLayer) -> list[Any]:
    """The variables or expressions that the columns of ``layer.weight`` stand for."""
    return [z for source in layer.sources for z in net_block.layer[id(source)].z.values()]


def _weight_rows(weight: Weight, columns: Sequence[Any]) -> Iterator[tuple[list[float], Sequence[Any]]]:
    """(coefficients, their columns) of each row, zeros left out."""
    if not sparse.issparse(weight) and weight.all():
        return ((row, columns) for row in weight.tolist())
    matrix = sparse.csr_array(weight)
    coefficients, indices, ends = matrix.data.tolist(), matrix.indices.tolist(), matrix.indptr.tolist()
    return (
        (coefficients[start:end], [columns[index] for index in indices[start:end]]) for start, end in pairwise(ends)
    )


def split_rows(weight: Weight) -> Iterator[list[tuple[Array, Array]]]:
    """Each neuron's weights in OMLT's partition, equally many of similar size: (coefficients, their columns)."""
    for coefficients, columns in _weight_rows(weight, range(weight.shape[1])):
        values, places = np.array(coefficients), np.array(columns, dtype=np.int64)
        yield [(values[part], places[part]) for part in np.array_split(np.argsort(values), PARTS)]


def _fix_stable(binaries: Any, layer: AffineLayer, active: int) -> None:
    """Fix the binaries of ReLUs that are always active, or always inactive."""
    for index in np.flatnonzero((layer.lower >= 0) | (layer.upper <= 0)).tolist():
        binaries[index].fix(active if layer.lower[index] >= 0 else 1 - active)


def set_bounds(component: Any, lower: Array, upper: Array) -> None:
    """Set the bounds of an indexed variable; infinite ones are none."""
    for variable, low, high in zip(component.values(), lower.tolist(), upper.tolist(), strict=True):
        variable.setlb(low)
        variable.setub(high)


#: formulation -> the functions that build affine maps, ReLUs, and the last layer's identity
CONSTRAINTS = {
    "bigm": (affine_constraints, bigm_relu, linear_activation_constraint),
    "partition": (partition_constraints, partition_relu, linear_activation_constraint),
    "complementarity": (affine_constraints, complementarity_relu, linear_activation_constraint),
    "full-space": (affine_constraints, bigm_relu, linear_activation_constraint),
    "reduced-space": (affine_expressions, activation_expressions, activation_expressions),
}
