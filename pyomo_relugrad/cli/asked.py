"""What ``falsify`` and ``verify`` are asked: networks and a property, and points in words and in onnxruntime."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.cli.arguments import Arguments
from pyomo_relugrad.cli.values import shown
from pyomo_relugrad.network import Network
from pyomo_relugrad.readers.onnx.runtimes import values_in_onnxruntime
from pyomo_relugrad.readers.sources import load_network
from pyomo_relugrad.readers.vnnlib import Property, load_vnnlib
from pyomo_relugrad.solve import Counterexample, declared_order, linked_box


@dataclass(frozen=True, eq=False)
class Asked:
    """The networks and the property that a command line names."""

    arguments: Arguments

    @cached_property
    def property_(self) -> Property:
        """What is in the property's file."""
        return load_vnnlib(self.arguments.property)

    @cached_property
    def networks(self) -> Network | dict[str, Network]:
        """What is in the networks' files."""
        source = self.arguments.source
        if isinstance(source, Path):
            return load_network(source)
        return {name: load_network(file) for name, file in source.items()}

    @property
    def names(self) -> dict[str, Any]:
        """The files, for JSON."""
        source = self.arguments.source
        files = str(source) if isinstance(source, Path) else {name: str(file) for name, file in source.items()}
        return {"network": files, "property": str(self.arguments.property)}

    def in_words(self, point: Counterexample) -> list[str]:
        """A point in lines: a tensor of VNN-LIB 2.0 in each, or all inputs and all outputs."""
        if not self.property_.networks:
            return [shown("Inputs", point.x), shown("Outputs", point.y)]
        tensors = self.property_.tensors(point.x, point.y).items()
        return [shown(tensor.name, values.ravel()) for tensor, values in tensors]

    def as_json(self, point: Counterexample | None) -> dict[str, Any]:
        """A point's inputs and outputs, and the tensors of VNN-LIB 2.0."""
        if point is None:
            return {"inputs": None, "outputs": None}
        tensors = self.property_.tensors(point.x, point.y).items()
        named = {"tensors": {tensor.name: values.tolist() for tensor, values in tensors}} if tensors else {}
        return {"inputs": point.x.tolist(), "outputs": point.y.tolist(), **named}

    def in_onnxruntime(self, found: Counterexample) -> Counterexample:
        """The point as the files' types hold it, within its bounds if they can, with the outputs of onnxruntime."""
        inputs, outputs = zip(*self._replayed(_rounded(found)), strict=True)
        return Counterexample(np.concatenate(inputs), np.concatenate(outputs), found.case)

    def _replayed(self, x: Array) -> Iterator[tuple[Array, Array]]:
        """Inputs and outputs of each network in turn, in the declared order."""
        source = self.arguments.source
        if not self.property_.networks:
            assert isinstance(source, Path)
            yield _values(source, self.networks, x)
        for declared in self.property_.networks:
            name = declared.equal_to or declared.name
            file = source if isinstance(source, Path) else source[name]
            network = self.networks if isinstance(self.networks, Network) else self.networks[name]
            own, x = x[: declared.n_inputs], x[declared.n_inputs :]
            inputs, outputs = declared_order(network, declared)
            given, values = _values(file, network, own[np.argsort(inputs)])
            yield given[inputs], values[outputs]


def _values(file: Path, network: Any, x: Array) -> tuple[Array, Array]:
    """The inputs as onnxruntime takes them, and its outputs; files of other kinds were compared with their owners."""
    if file.suffix.lower() == ".onnx":
        return values_in_onnxruntime(file, x)
    return x, network.value(x[None])[0]


def _rounded(found: Counterexample) -> Array:
    """The inputs as numbers in single precision, those on the other side of a bound moved back by one step."""
    lower, upper = linked_box(found.case)
    nearest = found.x.astype(np.float32)
    with np.errstate(over="ignore"):
        nearest = np.where(nearest > upper, np.nextafter(nearest, np.float32(-np.inf)), nearest)
        nearest = np.where(nearest < lower, np.nextafter(nearest, np.float32(np.inf)), nearest)
    rounded = nearest.astype(np.float64)
    return np.where((rounded >= lower) & (rounded <= upper), rounded, found.x)
