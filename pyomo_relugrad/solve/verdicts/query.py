"""A property together with its networks, which fit each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, pairwise
from os import PathLike
from typing import Any

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.network import Network, TensorSpec
from pyomo_relugrad.network.building import Affine, side_by_side
from pyomo_relugrad.readers.sources import load_network
from pyomo_relugrad.readers.vnnlib import Case, Declaration, Property, Tensor, load_vnnlib
from pyomo_relugrad.solve.verdicts.question import Question, Sizes, free_places, over_free_inputs, scaled
from pyomo_relugrad.words import counted


@dataclass(frozen=True, eq=False)
class Counterexample:
    """An input that satisfies a case of a property, checked in float64 without any tolerance.

    Parameters
    ----------
    x : (n_inputs,) array
        Of all networks, one after the other.
    y : (n_outputs,) array
        The networks' outputs at `x`.
    case : Case
        The case that they satisfy.
    """

    x: Array
    y: Array
    case: Case

    def __repr__(self) -> str:
        inputs, outputs = counted(self.x.size, "input"), counted(self.y.size, "output")
        return f"<Counterexample: x of {inputs}, y of {outputs}, violation {self.violation:.1e}>"

    @property
    def violation(self) -> float:
        """The largest amount by which it misses the case: 0 or less."""
        return self.case.violation(self.x, self.y)


@dataclass(frozen=True, eq=False)
class Query:
    """A property and its networks, which fit each other.

    Parameters
    ----------
    property_ : Property
    networks : tuple of Network
        In the order of the property's declarations.
    """

    property_: Property
    networks: tuple[Network, ...]

    def outputs(self, x: Array) -> Array:
        """The outputs (n_outputs,) of the networks, each by itself, at inputs (n_inputs,)."""
        begins = accumulate((network.n_inputs for network in self.networks), initial=0)
        parts = zip(self.networks, pairwise(begins), strict=True)
        return np.concatenate([network.value(x[None, begin:end])[0] for network, (begin, end) in parts])

    def candidate(self, question: Question, free: Array) -> Counterexample:
        """The point of free inputs: a counterexample if its violation is 0 or less."""
        x = np.clip(free, question.case.lower, question.case.upper)[question.places]
        return Counterexample(x, self.outputs(x), self.property_.cases[question.index])

    def counterexample(self, question: Question, free: Array) -> Counterexample | None:
        """The counterexample at free inputs, if it is one."""
        point = self.candidate(question, free)
        return point if point.violation <= 0.0 else None

    @cached_property
    def questions(self) -> tuple[Question, ...]:
        """One for each case whose links leave a box."""
        networks: dict[bytes, Network] = {}
        sizes: Sizes | None = None
        found = []
        for index, case in enumerate(self.property_.cases):
            places = free_places(case)
            key = places.tobytes()
            if key not in networks:
                networks[key] = self._joint(places)
            free = over_free_inputs(case, places)
            if not (free.lower <= free.upper).all():
                continue
            if sizes is None or not sizes.are_of(networks[key], free):
                sizes = Sizes.of(networks[key], free)
            scales = sizes.scales(free)
            found.append(Question(index, scaled(free, scales), networks[key], places, scales))
        return tuple(found)

    def _joint(self, places: Array) -> Network:
        """All networks as one, of the free inputs."""
        if len(self.networks) == 1 and np.array_equal(places, np.arange(places.size)):
            return self.networks[0]
        free = Affine.variable(0, (int(places.max()) + 1,))
        begins = accumulate((network.n_inputs for network in self.networks), initial=0)
        inputs = [free.taken(places[begin:end]) for begin, end in pairwise(begins)]
        hidden, outputs = side_by_side(self.networks, inputs)
        return Network(free.size, hidden.with_output(outputs[0].stacked(outputs[1:])), name=self.networks[0].name)


def query_of(networks: Any, property_: Property | str | PathLike[str]) -> Query:
    """The networks and the property, in whatever form they are given.

    Raises
    ------
    ModelError
        If the property is not one of such networks, or leaves an input without finite bounds.
    """
    networks = networks if isinstance(networks, Mapping) else _with_numbers_alone(load_network(networks))
    property_ = property_ if isinstance(property_, Property) else load_vnnlib(property_)
    loaded = _loaded(networks, property_.networks)
    sizes = sum(network.n_inputs for network in loaded), sum(network.n_outputs for network in loaded)
    if sizes != (property_.n_inputs, property_.n_outputs):
        owner = "network has" if len(loaded) == 1 else "networks have"
        raise ModelError(
            f"the property has {property_.n_inputs} inputs and {property_.n_outputs} outputs, but the {owner} "
            f"{sizes[0]} and {sizes[1]}: give the network that the property is about"
        )
    query = Query(property_, loaded)
    for question in query.questions:
        unbounded = ~(np.isfinite(question.case.lower) & np.isfinite(question.case.upper))
        if unbounded.any():
            name = input_name(property_, int(np.argmax(unbounded[question.places])))
            raise ModelError(f"the property sets no finite bounds on the input {name}: state both in its file")
    return query


def input_name(property_: Property, index: int) -> str:
    """The name of an input in the property's file."""
    if not property_.networks:
        return f"X_{index}"
    for tensor in (tensor for network in property_.networks for tensor in network.inputs):
        if index < tensor.size:
            places = ",".join(map(str, np.unravel_index(index, tensor.shape)))
            return f"{tensor.name}[{places}]" if tensor.shape else tensor.name
        index -= tensor.size
    raise IndexError(index)


# --- networks and their declarations --------------------------------------------------------------------------------


def _loaded(given: Network | Mapping[str, Any], declared: Sequence[Declaration]) -> tuple[Network, ...]:
    """A network for each declaration, with its inputs and outputs in the declared order."""
    if not declared:
        if isinstance(given, Mapping):
            raise ModelError("the property is in VNN-LIB 1.0, and so of one network: give that, without a name")
        return (given,)
    needed = [network.name for network in declared if not network.equal_to]
    by_name = given if isinstance(given, Mapping) else {needed[0]: given} if len(needed) == 1 else {}
    names = {network.name: network.equal_to for network in declared}
    strangers = [name for name in by_name if name not in names]
    if strangers or not set(needed) <= set(by_name):
        raise ModelError(
            f"the property is about the networks {', '.join(needed)}: give a dict with one network under each of these "
            "names" + (f", and none named {strangers[0]}" if strangers else "")
        )
    for name, other in names.items():
        if other and by_name.get(name, by_name[other]) != by_name[other]:
            raise ModelError(
                f"the property says that the network {name} is {other}: give the same for both, or {other}"
            )
    loaded = {name: _with_numbers_alone(load_network(by_name[name])) for name in needed}
    return tuple(_in_declared_order(loaded[network.equal_to or network.name], network) for network in declared)


def _with_numbers_alone(network: Network) -> Network:
    if network.choices:
        raise ModelError(
            f"the network has the categorical input {network.choices[0].name!r}, and properties know numbers alone: "
            "state the property in a Pyomo model"
        )
    return network


def declared_order(network: Network, declared: Declaration) -> tuple[Array, Array]:
    """The network's numbers of the inputs and the outputs that a property declares, in its order.

    Raises
    ------
    ModelError
        If the network's tensors are not those that are declared.
    """
    return (
        _order(declared.inputs, network.inputs, network.n_inputs, f"inputs of the network {declared.name}"),
        _order(declared.outputs, network.outputs, network.n_outputs, f"outputs of the network {declared.name}"),
    )


def _in_declared_order(network: Network, declared: Declaration) -> Network:
    """The network with its tensors in the order in which a property names them."""
    inputs, outputs = declared_order(network, declared)
    if np.array_equal(inputs, np.arange(inputs.size)) and np.array_equal(outputs, np.arange(outputs.size)):
        return network
    hidden, (values,) = side_by_side([network], [Affine.variable(0, inputs.shape).taken(np.argsort(inputs))])
    layers = hidden.with_output(values.taken(outputs), network.dtype)
    return replace(network, layers=layers, inputs=(), outputs=(), input_names=(), output_names=())


def _order(declared: Sequence[Tensor], own: Sequence[TensorSpec], size: int, what: str) -> Array:
    """The network's number of each declared entry."""
    named = [tensor.name_in_file for tensor in declared]
    by_name = {spec.name: place for place, spec in enumerate(own)}
    begins = np.cumsum([0, *(spec.size for spec in own)])
    chosen = [by_name.get(name, -1) for name in named] if named[0] else list(range(len(declared)))
    sizes = [own[place].size if 0 <= place < len(own) else -1 for place in chosen] if own else [size]
    if sizes != [tensor.size for tensor in declared] or len(set(chosen)) < max(len(own), 1):
        told = ", ".join(f"{spec.name} of {spec.size}" for spec in own) or f"one of {size}"
        asked = ", ".join(f"{tensor.name_in_file or tensor.name} of {tensor.size}" for tensor in declared)
        raise ModelError(
            f"the property declares the {what} as {asked} entries, but the network has {told}: give the network that "
            "the property is about"
        )
    if not own:
        return np.arange(size)
    return np.concatenate([np.arange(begins[place], begins[place + 1]) for place in chosen])
