"""A network between variables of a Pyomo model, whatever component states it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.network import Network


@dataclass(frozen=True, eq=False)
class Embedding:
    """A network between variables of a model, and the components that it replaces.

    Parameters
    ----------
    network : Network
        In the units of the variables.
    inputs, outputs : sequences of VarData
    name : str
        Of its block, for messages.
    replaced : sequence of components and constraints, optional
        What states the network in another way, and is left out: whole components of a `ReluNetworkBlock`, single
        constraints of a block of OMLT.
    input_lower, input_upper : (n_inputs,) arrays, optional
        Bounds that hold besides those of the variables.
    derived_outputs : (n_outputs, 2) booleans, optional
        Which lower and upper bounds of the outputs' variables merely follow from bounds of the inputs.
    replaced_values : function, optional
        Takes the values (n_inputs,) of the inputs, and returns the variables of the replaced constraints with theirs.
    """

    network: Network
    inputs: Sequence[Any]
    outputs: Sequence[Any]
    name: str
    replaced: Sequence[Any] = ()
    input_lower: Array | None = None
    input_upper: Array | None = None
    derived_outputs: Sequence[tuple[bool, bool]] = ()
    replaced_values: Callable[[Array], Iterable[tuple[Any, float]]] | None = None
