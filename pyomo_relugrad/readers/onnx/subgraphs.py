"""Operators with a graph inside: If by the branch that is taken, Loop and Scan by unrolling them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from onnx import GraphProto

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.errors import NetworkFileError
from pyomo_relugrad.network.building import Affine
from pyomo_relugrad.network.linear_maps import check_entries
from pyomo_relugrad.readers.onnx.evaluate import MAX_ELEMENTS
from pyomo_relugrad.readers.onnx.node import Node, Value, finite

MAX_UNROLLED = 5_000
"""Most nodes that one loop may run in all its trips, those of loops inside it not counted."""

Run: TypeAlias = Callable[[GraphProto, dict[str, Value]], list[Value]]
"""Values of a graph's outputs, given those of its inputs; what it reads from outside is known already."""


def branch(node: Node, run: Run) -> list[Value]:
    """If, whose condition must be constant: the branch that is taken."""
    condition = node.constant(0, "condition")
    return run(node.attribute("then_branch" if finite(condition).any() else "else_branch"), {})


def loop(node: Node, run: Run) -> list[Value]:
    """Loop, whose number of trips must not depend on the network's input.

    Raises
    ------
    UnsupportedOperatorError
        If the number of trips depends on the network's input, or is too large.
    """
    body = _Body(node)
    limit, goes_on = node.optional_constant(0, "number of trips"), _truth(node, node.inputs[1:2])
    carried = list(node.inputs[2:])
    collected: list[list[Value]] = []
    trip = 0
    while goes_on and (limit is None or trip < int(limit.reshape(()))):
        body.check_trips(trip + 1)
        outputs = run(body.graph, body.named([np.array(trip), np.array(True), *carried]))
        goes_on = _truth(node, outputs[:1])
        carried = list(outputs[1 : len(carried) + 1])
        collected.append(outputs[len(carried) + 1 :])
        trip += 1
    return [*_present(carried), *_stacks(node, collected, len(body.graph.output) - 1 - len(carried))]


def scan(node: Node, run: Run) -> list[Value]:
    """Scan, which runs once for every slice of its inputs."""
    if node.opset < 9:
        raise node.unsupported("of operator set 8 cannot be read: export the network with operator set 9 or later")
    body = _Body(node)
    count = node.attribute("num_scan_inputs")
    states, scanned = list(node.inputs[:-count]), _present(node.inputs[-count:])
    axes = node.attribute("scan_input_axes") or [0] * count
    backwards = node.attribute("scan_input_directions") or [0] * count
    lengths = {value.shape[axis] for value, axis in zip(scanned, axes, strict=True)}
    if len(lengths) != 1:
        raise NetworkFileError(f"its inputs have {sorted(lengths)} slices, which must be equally many")
    (length,) = lengths
    body.check_trips(length)
    collected = []
    for trip in range(length):
        places = [length - 1 - trip if back else trip for back in backwards]
        slices = [_slice(value, *place) for value, *place in zip(scanned, axes, places, strict=True)]
        outputs = run(body.graph, body.named([*states, *slices]))
        states = list(outputs[: len(states)])
        collected.append(outputs[len(states) :])
    kept = len(body.graph.output) - len(states)
    return [
        *_present(states),
        *_stacks(
            node,
            collected,
            kept,
            node.attribute("scan_output_axes") or [0] * kept,
            node.attribute("scan_output_directions") or [0] * kept,
        ),
    ]


UNROLLED: dict[str, Callable[[Node, Run], list[Value]]] = {"If": branch, "Loop": loop, "Scan": scan}


@dataclass(frozen=True, eq=False)
class _Body:
    """The graph that a loop runs."""

    node: Node

    @property
    def graph(self) -> GraphProto:
        body: GraphProto = self.node.attribute("body")
        return body

    def named(self, values: Sequence[Value | None]) -> dict[str, Value]:
        """The values under the names of the graph's inputs."""
        if len(values) != len(self.graph.input):
            raise NetworkFileError(f"its body takes {len(self.graph.input)} tensors, and is given {len(values)}")
        given = zip(self.graph.input, values, strict=True)
        return {entry.name: value for entry, value in given if value is not None}

    def check_trips(self, trips: int) -> None:
        """Refuse a loop that would take too long."""
        if trips * max(1, len(self.graph.node)) > MAX_UNROLLED:
            raise self.node.unsupported(
                f"runs more than {MAX_UNROLLED} nodes when it is unrolled, or never ends: export the network without it"
            )


def _truth(node: Node, values: Sequence[Value | None]) -> bool:
    """The condition of a loop, true where it is left out."""
    if not values or values[0] is None:
        return True
    if not isinstance(values[0], np.ndarray):
        raise node.unsupported("ends where a value that depends on the network's input says so: not piecewise linear")
    return bool(values[0].any())


def _present(values: Sequence[Value | None]) -> list[Value]:
    present = [value for value in values if value is not None]
    if len(present) < len(values):
        raise NetworkFileError("an input of the loop is missing")
    return present


def _slice(value: Value, axis: int, place: int) -> Value:
    if isinstance(value, np.ndarray):
        return np.take(value, place, axis=axis)
    positions = np.take(np.arange(int(np.prod(value.shape))).reshape(value.shape), place, axis=axis)
    return value.taken(positions)


def _stacks(
    node: Node,
    collected: Sequence[Sequence[Value]],
    count: int,
    axes: Sequence[int] | None = None,
    backwards: Sequence[int] | None = None,
) -> list[Value]:
    """What the trips put out, each tensor stacked along a new dimension."""
    if count and not collected:
        raise node.unsupported("makes no trip, so the shape of what it collects is not known: export without it")
    rows = [list(values) for values in zip(*collected, strict=True)]
    for own, back in zip(rows, backwards or [0] * count, strict=True):
        if back:
            own.reverse()
    return [_stack(node, own, axis) for own, axis in zip(rows, axes or [0] * count, strict=True)]


def _stack(node: Node, values: Sequence[Value], axis: int) -> Value:
    if all(isinstance(value, np.ndarray) for value in values):
        arrays: list[Array] = [value for value in values if isinstance(value, np.ndarray)]
        if sum(array.size for array in arrays) > MAX_ELEMENTS:
            raise NetworkFileError("what the loop collects is too large")
        return np.stack(arrays, axis=axis)
    holder = replace(node, inputs=tuple(values))
    tensors = [holder.affine(position) for position in range(len(values))]
    check_entries(sum(tensor.entry_count for tensor in tensors))
    stacked: Affine = tensors[0].stacked(tensors[1:])
    order = np.arange(stacked.size).reshape(len(tensors), *tensors[0].shape)
    return stacked.taken(np.moveaxis(order, 0, axis))
