"""The objective and the box of a descent whose points lie on a device."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.network import sweeps
from pyomo_relugrad.network.device import Device, weights_on
from pyomo_relugrad.problem import Problem, ReducedObjective, Shape
from pyomo_relugrad.search.domains.box import Box
from pyomo_relugrad.search.domains.domain import Domain


class DeviceObjective:
    """The objective of one network over all inputs, evaluated on a device in float32; it looks like `ReducedObjective`.

    Parameters
    ----------
    objective : ReducedObjective
        Of a problem that `refuse_device` does not refuse.
    device : Device
    """

    def __init__(self, objective: ReducedObjective, device: Device) -> None:
        problem = objective.problem
        embedded = problem.networks[0]
        self.device, self.dtype = device, np.dtype(np.float32)
        self._layers = weights_on(embedded.network, device)
        self._costs = device.array(problem.cost[embedded.inputs])
        self._has_costs = bool(problem.cost[embedded.inputs].any())
        self._weights = device.array(problem.cost[embedded.outputs])
        self._constant = problem.constant

    def cast(self, U: Any) -> Any:
        """Points on the device."""
        return self.device.array(U) if isinstance(U, np.ndarray) else U

    def value(self, U: Any) -> Any:
        """Values (B,) at the rows of `U`."""
        return self._with_costs(U, sweeps.evaluate(self._layers, U)[-1])

    def value_and_gradient(self, U: Any) -> tuple[Any, Any]:
        """Values (B,) and gradients (B, n_inputs) at the rows of `U`."""
        outputs, slopes = sweeps.evaluate_with_slopes(self._layers, U)
        seeds = self._weights[None, :] + self.device.xp.zeros_like(outputs)
        gradient = sweeps.adjoint(self._layers, sweeps.coefficients_of(self._layers[-1], seeds), slopes)[0]
        return self._with_costs(U, outputs), gradient + self._costs if self._has_costs else gradient

    def _with_costs(self, U: Any, outputs: Any) -> Any:
        values = outputs @ self._weights + self._constant
        return values + U @ self._costs if self._has_costs else values


class DeviceBox(Box):
    """A box whose bounds lie on a device."""

    def __init__(self, domain: Domain, device: Device) -> None:
        super().__init__(device.array(domain.lower), device.array(domain.upper))
        self._xp = device.xp

    def project(self, U: Any) -> Any:
        """Clip the rows of `U` to the box."""
        return self._xp.minimum(self._xp.maximum(U, self.lower), self.upper)


def refuse_device(problem: Problem, device: str) -> None:
    """Refuse problems for which nothing runs on a device.

    Raises
    ------
    ModelError
        If the problem is more than one network over a box.
    """
    fits = problem.shape is Shape.BOX and len(problem.networks) == 1 and problem.quadratic is None
    if fits and not problem.expressions:
        inputs = np.sort(problem.networks[0].inputs)
        if np.array_equal(inputs, np.flatnonzero(~problem.is_output)) and problem.networks[0].network.layers:
            weights_on(problem.networks[0].network, Device.named(device))
            return
    raise ModelError(
        f"device='{device}' is for one network over bounds on its inputs, and this problem has more: leave device out"
    )


def on_device(objective: ReducedObjective, domain: Domain, name: str) -> tuple[DeviceObjective, DeviceBox]:
    """An objective and its box on a device."""
    device = Device.named(name)
    return DeviceObjective(objective, device), DeviceBox(domain, device)
