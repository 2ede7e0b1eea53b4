"""Whether a network that was read has the file's own values."""

import logging
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, ValueInfoProto, helper

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.errors import NetworkMismatchError
from pyomo_relugrad.network import Network
from pyomo_relugrad.readers.agreement import (
    COMPUTED_WEIGHTS,
    DOUBLE,
    HALF,
    SINGLE,
    Disagreement,
    Rounding,
    comparison_points,
    disagreement,
)
from pyomo_relugrad.readers.onnx.batch import has_symbolic_batch
from pyomo_relugrad.readers.onnx.model_file import ModelFile
from pyomo_relugrad.readers.onnx.old_operators import FIRST_MODERN
from pyomo_relugrad.readers.onnx.runtimes import OnnxRuntime, Reference, Runtime, element_types
from pyomo_relugrad.readers.onnx.traversal import all_nodes, nodes_in_order

logger = logging.getLogger(__name__)

_HALF_TYPES = frozenset({TensorProto.FLOAT16, TensorProto.BFLOAT16})
_COMPUTED_WEIGHTS = frozenset(
    {"AffineGrid", "DFT", "DeformConv", "GridSample", "Resize", "RoiAlign", "STFT", "Upsample"}
)
_SHARE, _SHRINKAGE = 2.0**-6, 2.0**-20
_FEW = 4
"""Points for the reference implementation, which is slow."""


@dataclass(frozen=True, eq=False)
class Original:
    """A model that can be run, to check the network that was read from it.

    Parameters
    ----------
    file : ModelFile
    inputs : sequence of ValueInfoProto
        Those that are not stored in the file.
    shapes : sequence of tuples of int
        Their shapes, with one row where the batch is symbolic.
    """

    file: ModelFile
    inputs: Sequence[ValueInfoProto]
    shapes: Sequence[tuple[int, ...]]

    def disagreement(self, network: Network, rows: int = 1) -> Disagreement | None:
        """Where a network differs from the model by more than rounding explains, or None.

        None also where nothing can run the model. `rows` is the size of the model's fixed batch where the network is
        that of one row.

        Raises
        ------
        NetworkMismatchError
            If the number of outputs differs.
        """
        points = self._representable(comparison_points(network), rows)
        for runtime, chosen in self._runtimes(points):
            expected = self._values(runtime, chosen, rows, network.n_outputs)
            if expected is None:
                continue
            if expected.shape[1] != network.n_outputs:
                raise NetworkMismatchError(
                    f"the network that was read has {network.n_outputs} outputs, and the file computes "
                    f"{expected.shape[1]}: export the network again, with fixed sizes"
                )
            found = disagreement(network, chosen, expected, self._rounding)
            return None if found is None or self._agrees_on_second_look(network, runtime, found.points, rows) else found
        logger.debug(f"{self.file.name} could not be run: its values were not compared with the network's")
        return None

    def agrees(self, network: Network, rows: int) -> bool:
        """Whether the network of one row has the values of the model with its `rows` rows."""
        try:
            return self.disagreement(network, rows) is None
        except NetworkMismatchError:
            return False

    def _agrees_on_second_look(self, network: Network, runtime: Runtime, points: Array, rows: int) -> bool:
        """Whether the model has the network's values row by row, or when it is computed in float64.

        The latter is by the reference implementation, which can share an error with the reader: it counts only if the
        implementation moves as far from the network's values when it computes in the file's types. What is rounding
        shrinks with the numbers' precision, even where terms cancel that the network does not add up.
        """
        points = points[:_FEW]
        found = network.value(points)
        expected, exact, rounded = (
            self._in_runs_of(careful, points, rows)
            for careful in (runtime, Reference(self._model, in_double=True), Reference(self._model))
        )
        if expected is not None and disagreement(network, points, expected, self._rounding) is None:
            return True
        if expected is None or exact is None or rounded is None or exact.shape != found.shape:
            return False
        gap = abs(expected - found).max()
        shrinks = abs(exact - found).max() <= _SHRINKAGE * gap or disagreement(network, points, exact, DOUBLE) is None
        return bool(shrinks and abs(rounded - found).max() >= _SHARE * gap)

    def _runtimes(self, points: Array) -> list[tuple[Runtime, Array]]:
        """What can run the model, and at which points. The reference passes over what is peculiar to old sets."""
        slow = [] if self.file.opsets[""] < FIRST_MODERN else [(Reference(self._model), points[:_FEW])]
        return [(self._onnxruntime, points), *slow]

    @cached_property
    def _model(self) -> ModelProto:
        """The model without the nodes that no output needs: the reference implementation would run them."""
        model = deepcopy(self.file.model)
        needed = nodes_in_order(model.graph)
        del model.graph.node[:]
        model.graph.node.extend(needed)
        return model

    @cached_property
    def _onnxruntime(self) -> Runtime:
        return OnnxRuntime(self.file.source)

    @cached_property
    def _rounding(self) -> Rounding:
        return rounding_of(self.file)

    def _values(self, runtime: Runtime, points: Array, rows: int, n_outputs: int) -> Array | None:
        """Outputs at points, all at once where the batch is free, else `rows` at a time; None if that fails.

        A model can be one of a single row in spite of its free batch: its number of outputs tells.
        """
        is_free = all(has_symbolic_batch(value) for value in self.inputs)
        together = self._in_runs_of(runtime, points, len(points)) if is_free else None
        is_by_row = together is not None and together.shape[1] == n_outputs
        return together if is_by_row else self._in_runs_of(runtime, points, rows)

    def _in_runs_of(self, runtime: Runtime, points: Array, rows: int) -> Array | None:
        padded = np.resize(points, (-(-len(points) // rows) * rows, points.shape[1]))
        try:
            parts = [_joined(runtime(self._feeds(part)), rows) for part in np.split(padded, len(padded) // rows)]
        except Exception as error:  # whatever a runtime raises about a model that it cannot run
            logger.debug(f"{self.file.name}: {type(error).__name__}: {error}")
            return None
        return np.concatenate(parts)[: len(points)]

    def _feeds(self, points: Array) -> dict[str, Array]:
        """The inputs by name, in the file's types, from rows."""
        rows, feeds = len(points), {}
        for value, shape, part in zip(self.inputs, self.shapes, self._split(points, rows), strict=True):
            feeds[value.name] = part.reshape((rows, *shape[1:]) if rows > 1 else shape).astype(_dtype(value))
        return feeds

    def _split(self, points: Array, rows: int) -> list[Array]:
        """The columns of each input, of points that are run `rows` at a time."""
        widths = [prod(shape[1:] if rows > 1 else shape) for shape in self.shapes]
        return np.split(points, np.cumsum(widths)[:-1], axis=1)

    def _representable(self, points: Array, rows: int) -> Array:
        """The points rounded to what the file's types hold."""
        parts = zip(self._split(points, rows), self.inputs, strict=True)
        return np.concatenate([_rounded(part, _dtype(value)) for part, value in parts], axis=1)


def rounding_of(file: ModelFile) -> Rounding:
    """How whatever runs a model rounds, by its types and operators."""
    graph = file.model.graph
    if _HALF_TYPES & set(element_types(graph)):
        return HALF
    operators = {node.op_type for node in all_nodes(graph.node)}
    return COMPUTED_WEIGHTS if operators & _COMPUTED_WEIGHTS else SINGLE


def _joined(outputs: Sequence[Array], rows: int) -> Array:
    """All outputs of one run, one row per point."""
    return np.concatenate([np.asarray(output, np.float64).reshape(rows, -1) for output in outputs], axis=1)


def _dtype(value: ValueInfoProto) -> np.dtype[Any]:
    return helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type or TensorProto.FLOAT)


def _rounded(points: Array, dtype: np.dtype[Any]) -> Array:
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return np.clip(np.rint(points), limits.min, limits.max)
    largest = np.finfo(np.float16).max if dtype.itemsize == 2 else np.inf
    return np.clip(points, -largest, largest).astype(dtype).astype(np.float64)
