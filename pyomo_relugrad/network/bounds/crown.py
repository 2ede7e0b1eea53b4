"""CROWN bounds of a whole network over boxes: numbers for every neuron, linear functions for the outputs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pyomo_relugrad.arrays import Array, ArrayLike
from pyomo_relugrad.network.bounds.intervals import PreactivationBounds
from pyomo_relugrad.network.bounds.lower_slopes import optimize_lower_slopes
from pyomo_relugrad.network.bounds.relaxation import Relaxation
from pyomo_relugrad.network.device import Device
from pyomo_relugrad.network.network import Network


@dataclass(frozen=True, eq=False)
class CrownBounds(PreactivationBounds):
    """Bounds over B boxes, and for every output a linear function of the input below it and one above it.

    Over box ``b``, ``lower_coefficients[b] @ x + lower_constants[b] <= y <= upper_coefficients[b] @ x +
    upper_constants[b]``, rounding included. The numbers `output_lower` and `output_upper` may be tighter than what the
    functions give, since interval arithmetic sometimes is.

    Parameters
    ----------
    lower_coefficients, upper_coefficients : (B, n_outputs, n_inputs) arrays
    lower_constants, upper_constants : (B, n_outputs) arrays
    """

    lower_coefficients: Array
    lower_constants: Array
    upper_coefficients: Array
    upper_constants: Array


def crown_bounds(
    network: Network, lower: ArrayLike, upper: ArrayLike, *, slope_steps: int = 0, device: str | None = None
) -> CrownBounds:
    """Bounds by backward linear relaxation (CROWN), each the better of it and of interval arithmetic.

    ReLUs that interval arithmetic decides are not bounded further. All bounds are rounded outward: no value computed
    in float64 leaves them, as long as the boxes are finite.

    Parameters
    ----------
    network : Network
    lower, upper : (B, n_inputs) arrays
        The boxes; infinite where an input has no bound.
    slope_steps : int, optional
        Steps by which the outputs' functions are improved (`lower_slopes`); 0, the default, takes the usual slopes.
    device : str, optional
        Where the neurons are bounded, in float64, by PyTorch's name: "cuda", for example.

    Returns
    -------
    CrownBounds
        Of all pre-activations and outputs, a row for each box, and linear functions of the inputs around the outputs.

    Raises
    ------
    NetworkValueError
        If shapes disagree, a bound is NaN, or a box is empty.

    Examples
    --------
    ``relu(x) - relu(x - 1)`` on [0, 2] is between 0 and 1:

    >>> from pyomo_relugrad.network import Network
    >>> network = Network.from_layers([[[1.0], [1.0]], [[1.0, -1.0]]], [[0.0, -1.0], [0.0]])
    >>> bounds = crown_bounds(network, [[0.0]], [[2.0]])
    >>> bounds.lower_coefficients.round(6), bounds.lower_constants.round(6) + 0.0
    (array([[[0.5]]]), array([[0.]]))
    >>> bounds.output_lower.round(6) + 0.0, bounds.output_upper.round(6)
    (array([[0.]]), array([[2.]]))
    >>> crown_bounds(network, [[0.0]], [[2.0]], slope_steps=20).output_upper.round(6)
    array([[1.]])
    """
    relaxation = Relaxation(network, lower, upper, device=None if device is None else Device.named(device))
    shape = (relaxation.n_boxes, network.n_outputs)
    identity = np.tile(np.eye(network.n_outputs, dtype=network.dtype), (shape[0], 1))
    boxes = np.repeat(np.arange(shape[0]), shape[1])
    below, above = (
        optimize_lower_slopes(relaxation, sign * identity, boxes, steps=slope_steps).functions for sign in (1, -1)
    )
    output_lower, output_upper = relaxation.output_range()
    return CrownBounds(
        tuple(relaxation.lower),
        tuple(relaxation.upper),
        np.maximum(output_lower, below.minima.reshape(shape)),
        np.minimum(output_upper, -above.minima.reshape(shape)),
        below.coefficients.reshape(*shape, -1),
        below.constants.reshape(shape),
        -above.coefficients.reshape(*shape, -1),
        -above.constants.reshape(shape),
        activations=network.hidden_activations,
    )
