"""What a block of OMLT states now: a network between its variables, or something else."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.modeling.omlt.network import OmltNetwork
from pyomo_relugrad.modeling.omlt.relu_rows import Neurons
from pyomo_relugrad.modeling.variables import nearest_values
from pyomo_relugrad.network.building import Affine


@dataclass(frozen=True, eq=False)
class Level:
    """Variables that are the network's inputs once more, perhaps scaled, each tied to the level before by a row.

    Parameters
    ----------
    variables : list of VarData
    rows : sequence of ConstraintData
    is_scaled : bool
        Whether the variables are in scaled units.
    """

    variables: list[Any]
    rows: Sequence[Any]
    is_scaled: bool


@dataclass(frozen=True, eq=False)
class Hidden:
    """Variables that are values inside of the network.

    Parameters
    ----------
    variables : list of VarData
    layer : int
        Position among OMLT's layers.
    kind : {'zhat', 'z', 'slack'}
        Pre-activations, activations, or how much larger an activation is than the pre-activation.
    tensor : Affine
        The same as a function of the scaled input and the activations of the network.
    lower, upper : (n,) arrays
        What the network's values lie between.
    """

    variables: list[Any]
    layer: int
    kind: str
    tensor: Affine
    lower: Array
    upper: Array


@dataclass(eq=False)
class Statement:
    """A block whose rows state a network.

    Parameters
    ----------
    name : str
    read : OmltNetwork
    inputs, outputs : lists of VarData
        Between which the network stands.
    levels : list of Level
    hidden : list of Hidden
    neurons : list of (int, Neurons)
        With the position of their layer.
    definitions : list of ConstraintData
        Rows that hold whatever the network's values are, by the definition of the hidden variables.
    unused : list of (int, list of VarData)
        Pre-activations, with the position of their layer, that are in no row.
    rounding : float
        How far bounds may be from the network's, relative to their size.
    """

    name: str
    read: OmltNetwork
    inputs: list[Any]
    outputs: list[Any]
    rounding: float
    levels: list[Level] = field(default_factory=list)
    hidden: list[Hidden] = field(default_factory=list)
    neurons: list[tuple[int, Neurons]] = field(default_factory=list)
    definitions: list[Any] = field(default_factory=list)
    unused: list[tuple[int, list[Any]]] = field(default_factory=list)

    def values(self, point: Array) -> Iterator[tuple[Any, float]]:
        """The block's variables, each with the value that follows from the values (n_inputs,) of the inputs."""
        zhat, z = self.read.layer_values(point)
        kinds = {"zhat": zhat, "z": z, "slack": [after - before for before, after in zip(zhat, z, strict=True)]}
        pairs = [(level.variables, z[0] if level.is_scaled else point) for level in self.levels]
        pairs += [(hidden.variables, kinds[hidden.kind][hidden.layer]) for hidden in self.hidden]
        pairs += [(variables, nearest_values(variables, zhat[layer])) for layer, variables in self.unused]
        for layer, neurons in self.neurons:
            sources = np.concatenate([z[source] for source in self.read.steps[layer - 1].sources])
            values = neurons.values(zhat[layer], sources)
            pairs += [(own.variables, found) for own, found in zip(neurons.auxiliaries, values, strict=True)]
        pairs.append((self.outputs, self.read.unscaled_output(z[-1])))
        for variables, found in pairs:
            yield from zip(variables, found.tolist(), strict=True)
