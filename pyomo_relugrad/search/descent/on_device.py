"""The objective and the box of a descent whose points lie on a device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pyomo_relugrad.arrays import Array, DTypeLike
from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.network import Device, sweeps, weights_on
from pyomo_relugrad.problem import NetworkStage, Problem, ReducedObjective, Shape
from pyomo_relugrad.run import Method
from pyomo_relugrad.search.domains.box import Box
from pyomo_relugrad.search.domains.domain import Domain

#: Multiplications per batched step that fill a large device, and the most points and entries that this may come to:
#: starts are drawn on the host.
WORK_PER_STEP, MAX_BATCH, MAX_ENTRIES = 3e10, 4096, 1e7
#: Share of a device's free memory that a batch may take, and arrays of its size that a step holds.
MEMORY_SHARE, ARRAYS_PER_STEP = 0.5, 8


class StageOnDevice:
    """Embeddings of one network that read decision columns, on a device.

    Parameters
    ----------
    stage : NetworkStage
    objective : ReducedObjective
    device : Device
    dtype : floating-point type
    """

    def __init__(self, stage: NetworkStage, objective: ReducedObjective, device: Device, dtype: DTypeLike) -> None:
        self._stage, self._device, self._dtype = stage, device, dtype
        self._layers = weights_on(stage.network, device, dtype)
        self._weights = [device.array(own[None, :], dtype) for own in objective.problem.cost[stage.outputs]]
        self._columns = [_Columns.of(own, objective, device) for own in stage.inputs]

    def value(self, U: Any) -> Any:
        """What the outputs add to the objective (B,)."""
        total = 0.0
        for weights, columns in zip(self._weights, self._columns, strict=True):
            total = total + sweeps.evaluate(self._layers, columns.gather(U))[-1] @ weights[0, :]
        return total

    def value_and_gradient(self, U: Any) -> tuple[Any, Any]:
        """The same, and its derivatives (B, d) in the decision columns."""
        value, gradient = 0.0, 0.0
        for weights, columns in zip(self._weights, self._columns, strict=True):
            outputs, slopes = sweeps.evaluate_with_slopes(self._layers, columns.gather(U))
            value = value + outputs @ weights[0, :]
            gradient = gradient + columns.scatter(self._pull_back(weights, slopes))
        return value, gradient

    def gradient_under(self, state: Array) -> Any:
        """The derivatives (B, d) under activation patterns (B * k, n_neurons)."""
        gradient, split = 0.0, self._stage.network.split_pattern
        for index, (weights, columns) in enumerate(zip(self._weights, self._columns, strict=True)):
            gates = [self._device.array(part, self._dtype) for part in split(state[index :: len(self._columns)])]
            gradient = gradient + columns.scatter(self._pull_back(weights, gates))
        return gradient

    def directions(self, random: np.random.Generator, count: int) -> Any:
        """Directions (count, d) in which the first layer grows."""
        weights, total = self._stage.random_neurons(random, count), 0.0
        for index, columns in enumerate(self._columns):
            own = self._device.array(weights[index :: len(self._columns)], self._dtype)
            total = total + columns.scatter(sweeps.coefficients_of(self._layers[0], own).get(0))
        return total

    def _pull_back(self, weights: Any, gates: Any) -> Any:
        """Derivatives (B, n_inputs) of the weighted outputs; None where they do not depend on the inputs."""
        return sweeps.adjoint(self._layers, sweeps.coefficients_of(self._layers[-1], weights), gates).get(0)


class _Columns:
    """The decision columns that an embedding reads.

    Parameters
    ----------
    device : Device
    read : (n_inputs,) int array there, or None
        Their places among the decision columns; None where it reads all in order.
    places : sequence of (d,) int arrays there
        Where each decision column stands among the inputs, after the last one where it is not read; a second array for
        those that are read twice, and so on.
    """

    def __init__(self, device: Device, read: Any = None, places: Sequence[Any] = ()) -> None:
        self._xp, self._read, self._places = device.xp, read, places

    @classmethod
    def of(cls, inputs: Array, objective: ReducedObjective, device: Device) -> _Columns:
        read = np.searchsorted(objective.columns, inputs)
        if np.array_equal(read, np.arange(objective.size)):
            return cls(device)
        places, left = list[Any](), np.arange(read.size)
        while left.size:
            columns, first = np.unique(read[left], return_index=True)
            own = np.full(objective.size, read.size)
            own[columns] = left[first]
            places.append(device.array(own, np.int64))
            left = np.delete(left, first)
        return cls(device, device.array(read, np.int64), places)

    def gather(self, U: Any) -> Any:
        """The inputs (B, n_inputs) at points (B, d)."""
        return U if self._read is None else self._xp.take(U, self._read, axis=1)

    def scatter(self, parts: Any) -> Any:
        """Numbers for the inputs (B, n_inputs), or none, as numbers for the decision columns (B, d)."""
        if parts is None or self._read is None:
            return 0.0 if parts is None else parts
        padded = self._xp.concat([parts, self._xp.zeros_like(parts[:, :1])], axis=1)
        return sum(self._xp.take(padded, places, axis=1) for places in self._places)


class DeviceObjective:
    """The objective of networks over decision columns, evaluated on a device; it looks like `ReducedObjective`.

    Parameters
    ----------
    objective : ReducedObjective
        Of a problem that `refuse_device` does not refuse.
    device : Device
    dtype : floating-point type, optional
    """

    def __init__(self, objective: ReducedObjective, device: Device, dtype: DTypeLike = np.float32) -> None:
        problem = objective.problem
        self.problem, self.stages, self.device, self.dtype = problem, objective.stages, device, np.dtype(dtype)
        self.n_weights = objective.n_weights
        self._parts = [StageOnDevice(stage, objective, device, dtype) for stage in objective.network_stages]
        costs = problem.cost[objective.columns]
        self._costs = device.array(costs, dtype) if costs.any() else None
        self._constant = problem.constant
        self._size = objective.size
        self._entries = self._size + max(sum(stage.network.widths) for stage in objective.network_stages)

    def batch_size(self, least: int) -> int:
        """Points that fill the device, as far as its memory goes; the least where it has none of its own."""
        free = self.device.free_bytes
        if free is None:
            return least
        filling = max(min(WORK_PER_STEP / max(self.n_weights, 1), MAX_ENTRIES / self._size, MAX_BATCH), least)
        return int(min(filling, MEMORY_SHARE * free / (ARRAYS_PER_STEP * self.dtype.itemsize * self._entries) + 1))

    def cast(self, U: Any) -> Any:
        """Points on the device."""
        return self.device.array(U, self.dtype) if isinstance(U, np.ndarray) else U

    def value(self, U: Any) -> Any:
        """Values (B,) at the rows of `U`."""
        return self._with_costs(U, sum(part.value(U) for part in self._parts))

    def value_and_gradient(self, U: Any) -> tuple[Any, Any]:
        """Values (B,) and gradients (B, d) at the rows of `U`."""
        found = [part.value_and_gradient(U) for part in self._parts]
        value, gradient = (sum(own) for own in zip(*found, strict=True))
        return self._with_costs(U, value), self._as_gradient(gradient, U.shape[0])

    def gradient_under(self, U: Any, states: tuple[Array | None, ...]) -> Any:
        """Gradients (B, d) under given states of the stages; those of ReLUs do not depend on the rows of `U`."""
        given = zip(self._parts, states, strict=True)
        found = (part.gradient_under(state) for part, state in given if state is not None)
        return self._as_gradient(sum(found), len(U))

    def row_space_directions(self, random: np.random.Generator, count: int) -> Any:
        """Directions (count, d) in which the first layers grow."""
        return sum(part.directions(random, count) for part in self._parts) + self._zeros(count)

    def _as_gradient(self, gradient: Any, count: int) -> Any:
        if self._costs is not None:
            gradient = gradient + self._costs
        return gradient if getattr(gradient, "shape", ())[:1] == (count,) else gradient + self._zeros(count)

    def _zeros(self, count: int) -> Any:
        return self.device.array(np.zeros((count, self._size)), self.dtype)

    def _with_costs(self, U: Any, values: Any) -> Any:
        values = values + self._constant
        return values if self._costs is None else values + U @ self._costs


class DeviceBox(Box):
    """A box whose bounds lie on a device.

    Parameters
    ----------
    domain : Domain
        The box on the host.
    device : Device
    dtype : floating-point type, optional
    """

    def __init__(self, domain: Domain, device: Device, dtype: DTypeLike = np.float32) -> None:
        super().__init__(device.array(domain.lower, dtype), device.array(domain.upper, dtype))
        self._domain, self._xp = domain, device.xp

    def project(self, U: Any) -> Any:
        """Clip the rows of `U` to the box."""
        return self._xp.minimum(self._xp.maximum(U, self.lower), self.upper)

    def sample(self, random: np.random.Generator, count: int) -> Array:
        """Uniform points, drawn on the host."""
        return self._domain.sample(random, count)


def refuse_device(problem: Problem, method: Method, name: str) -> None:
    """Refuse what nothing of runs on a device, and names of devices that are not there.

    Raises
    ------
    ModelError
        If the problem is more than networks over a box, or the method moves no points there.
    """
    if not method.moves_on_devices:
        raise ModelError(f"method '{method.name}' moves no points on a device: leave device out, or use method 'auto'")
    if problem.shape is not Shape.BOX or problem.quadratic is not None or problem.expressions or not problem.networks:
        raise ModelError(
            f"device='{name}' is for networks over bounds on their inputs, and this problem has more: leave device out"
        )
    if any(problem.is_output[embedded.inputs].any() for embedded in problem.networks):
        raise ModelError(
            f"device='{name}' is for networks that read variables, and here one reads another's outputs: join them to "
            "one network, or leave device out"
        )
    Device.named(name)


def on_device(
    objective: ReducedObjective, domain: Domain, name: str, dtype: DTypeLike = np.float32
) -> tuple[DeviceObjective, DeviceBox]:
    """An objective and its box on a device."""
    device = Device.named(name)
    return DeviceObjective(objective, device, dtype), DeviceBox(domain, device, dtype)
