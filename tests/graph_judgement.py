"""What the reader makes of an ONNX model, judged by onnxruntime: it agrees, refuses justly, or is at fault."""

import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from google.protobuf.message import DecodeError
from graph_oracle import Oracle, OracleError, Rounding, numbers_of, oracle
from judgement import Judgement, reason
from onnx import ModelProto, TensorProto, checker, helper

from pyomo_relugrad.errors import RelugradError
from pyomo_relugrad.network import Network
from pyomo_relugrad.readers.onnx import load_onnx

#: Processor seconds in which a file is refused.
REFUSAL_SECONDS = 2.0

#: Processor seconds after which reading is given up.
MAX_SECONDS = 8.0

MAX_INPUTS = 10_000

#: Relative rounding of a few sums in double.
DOUBLE_ROUNDING = 2e-15

#: Numbers up to this times the input are ordinary in a network.
ORDINARY = 1e6

CALLED_INVALID = re.compile(
    r"not valid|corrupt|neither computed by a node|two nodes|do not fit|does not fit|not numeric"
)


class _TooLongError(BaseException):
    """Reading took longer than `MAX_SECONDS`."""


@dataclass(frozen=True)
class Reading:
    """How the reader ended with a model: a network or an error, and processor seconds."""

    content: bytes
    network: Network | None
    error: BaseException | None
    seconds: float

    def judged(self, seed: int = 0) -> Judgement:
        """Compare with onnxruntime, at random, large, tiny and boundary points."""
        if isinstance(self.error, RelugradError):
            return _refusal(self.content, self.error, self.seconds)
        if isinstance(self.error, _TooLongError):
            if _input_size(self.content) > MAX_INPUTS:
                return Judgement("given up, a large graph", seconds=self.seconds)
            return Judgement("FAULT: slow", f"neither read nor refused in {MAX_SECONDS} s", self.seconds)
        if self.error is not None:
            return Judgement("FAULT: raw error", f"{type(self.error).__name__}: {self.error}", self.seconds)
        assert self.network is not None
        if self.network.n_inputs > MAX_INPUTS:
            return Judgement("read, too large to compare", seconds=self.seconds)
        try:
            fault = _difference(self.content, self.network, oracle(self.content), np.random.default_rng(seed))
        except OracleError:
            return Judgement("read, not run by onnxruntime", seconds=self.seconds)
        return Judgement("FAULT: wrong value" if fault else "read, agrees", fault, self.seconds)


def read(content: bytes) -> Reading:
    """Read a model, whatever comes of it."""
    network, failure, start = None, None, time.process_time()
    try:
        with _given_up_after(MAX_SECONDS):
            network = load_onnx(content)
    except (Exception, _TooLongError) as error:
        failure = error
    return Reading(content, network, failure, time.process_time() - start)


@contextmanager
def _given_up_after(seconds: float) -> Iterator[None]:
    def give_up(*_: object) -> None:
        raise _TooLongError

    before = signal.signal(signal.SIGPROF, give_up)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _refusal(content: bytes, error: RelugradError, seconds: float) -> Judgement:
    if seconds > REFUSAL_SECONDS and _input_size(content) <= MAX_INPUTS:
        return Judgement("FAULT: slow", f"refused after {seconds:.1f} s of processor time: {error}", seconds)
    message = str(error)
    if CALLED_INVALID.search(message) and _is_valid(content):
        return Judgement("FAULT: called invalid", f"onnxruntime runs it, but: {message}", seconds)
    return Judgement(f"refused: {_reason(message)}", seconds=seconds)


def _reason(message: str) -> str:
    """The message without the name of file and node."""
    return reason(
        re.sub(r"^.*?(node '[^']*'|the unnamed node that computes '[^']*')( \(\w+\))?: |^model: ", "", message)
    )


def _input_size(content: bytes) -> float:
    model = ModelProto()
    model.ParseFromString(content)
    shapes = [value.type.tensor_type.shape.dim for value in model.graph.input]
    return sum(np.prod([max(float(dimension.dim_value), 1.0) for dimension in shape]) for shape in shapes)


def _is_valid(content: bytes) -> bool:
    """Whether ONNX's checker and onnxruntime take the model with all that it stores, and onnxruntime runs it."""
    model = ModelProto()
    try:
        model.ParseFromString(content)
    except DecodeError:
        return False
    outputs = {output.name for output in model.graph.output}
    stored = {tensor.name for tensor in model.graph.initializer} - outputs
    named = {*outputs, *stored, *(value.name for value in model.graph.input)}
    if any(isinstance(name, bytes) for name in named):  # not UTF-8
        return False
    model.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in sorted(stored))
    try:
        session = Oracle(model.SerializeToString())
        session(np.ones((1, session.size)))
        for output in model.graph.output:  # the checker asks for types and shapes, and nobody needs them
            output.type.tensor_type.elem_type = output.type.tensor_type.elem_type or TensorProto.FLOAT
            output.type.tensor_type.shape.SetInParent()
        checker.check_model(model)
    except (OracleError, TypeError, ValueError, checker.ValidationError):
        return False
    return True


def _difference(content: bytes, network: Network, reference: Oracle, rng: np.random.Generator) -> str:
    """Where and how much the network differs from onnxruntime beyond rounding; empty if it does not."""
    if reference.size % network.n_inputs or reference.size < network.n_inputs:
        return f"the network has {network.n_inputs} inputs, the graph {reference.size}"
    points = reference.as_given(_points(network.n_inputs, numbers_of(content), reference, rng))
    gaps = _Gaps(content, network, reference)
    if gaps.expected(points).shape[1] != network.n_outputs:
        return f"the network has {network.n_outputs} outputs, the graph {gaps.expected(points).shape[1]}"
    wrong = gaps.at(points)
    for index in np.flatnonzero(wrong.any(axis=1)):
        point = points[index]
        around = reference.as_given(_neighbours(point, rng))
        if gaps.at(around).any():  # else it differs at this point alone, where the graph jumps
            output = int(np.argmax(wrong[index]))
            expected, found = gaps.expected(points)[index, output], network.value(point[None])[0, output]
            return f"output {output}: onnxruntime {expected:.9g}, network {found:.9g}, at {point.tolist()}"
    return ""


def _points(size: int, numbers: np.ndarray, reference: Oracle, rng: np.random.Generator) -> np.ndarray:
    """Random points, tiny and large ones, and points of numbers that stand in the file."""
    scales = np.array([1e-6, 0.3, 1.0, 1.0, 5.0, 30.0, 1e3, 1e3, 1e5])[:, None]
    scales = np.minimum(scales, 3e3) if reference.precision > 1e-4 else scales
    numbers = numbers[abs(numbers) < (3e3 if reference.precision > 1e-4 else np.inf)]
    mixed = rng.choice(np.concatenate([numbers, -numbers]), size=(4, size))
    near = rng.choice(numbers, size=(4, size)) + 1e-3 * rng.normal(size=(4, size))
    points = np.concatenate([np.zeros((1, size)), scales * rng.normal(size=(len(scales), size)), mixed, near])
    if reference.is_rounded:
        points = np.clip(np.round(points), -(2**31), 2**31 - 1)
    return points


def _neighbours(point: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    steps = 1e-3 * (abs(point) + 1e-3) * rng.choice([-1.0, 1.0], size=(4, point.size)) * rng.uniform(0.5, 1, (4, 1))
    return np.concatenate([point + steps, point - steps])


@dataclass(frozen=True)
class _Gaps:
    """Differences between a network and onnxruntime on its graph."""

    content: bytes
    network: Network
    reference: Oracle

    def expected(self, points: np.ndarray) -> np.ndarray:
        return self.reference(points)

    def at(self, points: np.ndarray) -> np.ndarray:
        """Whether each output (points, n_outputs) differs beyond rounding; where onnxruntime's is finite.

        What rounding does to the graph is seen by disturbing it; the network's own rounding in double is allowed for
        as far as its numbers are ordinary, since large ones in it would hide that they swallow the others.
        """
        expected = self.expected(points)
        with np.errstate(all="ignore"):
            gaps = abs(self.network.value(points) - expected)
        allowed = 16 * self.reference.precision * abs(expected) + 4 * self.reference.smallest
        allowed += DOUBLE_ROUNDING * np.fmin(self._sums(points), ORDINARY * (1.0 + abs(points).max(axis=1)))[:, None]
        suspected = np.isfinite(expected) & ~(gaps <= allowed)
        rows = np.flatnonzero(suspected.any(axis=1))
        if rows.size:
            deviations = Rounding(self.content).deviations(points[rows])
            allowed[rows] += np.where(np.isfinite(deviations), 8 * deviations, np.inf)
        return suspected & ~(gaps <= allowed)

    def _sums(self, points: np.ndarray) -> np.ndarray:
        """The largest sum of magnitudes that is added up anywhere in the network, at each point."""
        values = [points, *self.network.activations(points)[1:]]
        largest = np.zeros(len(points))
        for layer in self.network.layers:
            sums = abs(layer.bias) + sum(
                abs(values[source]) @ abs(weight).T for source, weight in zip(layer.sources, layer.weights, strict=True)
            )
            largest = np.maximum(largest, np.broadcast_to(sums, (len(points), layer.width)).max(axis=1, initial=0.0))
        return largest
