"""Linear functions around the pre-activations of a second layer, over many boxes by two matrix products."""

from collections.abc import Sequence

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.network.activations import Lines
from pyomo_relugrad.network.bounds.boxes import Boxes
from pyomo_relugrad.network.layer import Layer

# What passes over a row of a substitution take, and passes over an entry of the products, in multiplications per
# entry, measured with NumPy.
PASSES, ENTRY_PASSES = 45, 1.5


def suits(layers: Sequence[Layer], lines: Lines, rows: int, wanted: float) -> bool:
    """Whether `second_layer_bounds` is right for a second layer, and faster than a substitution of single functions.

    Parameters
    ----------
    layers : sequence of Layer
    lines : Lines
        Of the first layer.
    rows : int
        Neurons of the second layer that are bounded.
    wanted : float
        The share of their pairs with boxes whose bounds are wanted.
    """
    first, second = layers[:2]
    if first.sources != (0,) or second.sources != (1,) or lines.unbounded is not None:
        return False
    # Half sums and half differences of slopes in [0, 1] round no worse than the slopes themselves.
    is_relu = first.activation.is_piecewise_linear
    is_dense = isinstance(first.weights[0], np.ndarray) and isinstance(second.weights[0], np.ndarray)
    columns = first.weights[0].shape[1] + 1
    return is_relu and is_dense and rows > 0 and ENTRY_PASSES * columns <= wanted * (columns + PASSES)


def second_layer_bounds(layers: Sequence[Layer], lines: Lines, rows: Array, boxes: Boxes) -> tuple[Array, Array]:
    """Bounds (m, B) of the pre-activations of some neurons of the second layer.

    With ``A`` the first layer times its lower lines' slopes and ``C`` times its upper lines', the functions below are
    ``(W @ (A + C) - |W| @ (C - A)) / 2``, those above have the other sign: the weights are the same for all boxes.

    Parameters
    ----------
    layers : sequence of Layer
    lines : Lines
        Of the first layer, over the boxes.
    rows : (m,) int array
    boxes : Boxes
    """
    first, second = layers[:2]
    weight, affine = second.weights[0][rows], np.column_stack([first.weights[0], first.bias])
    middle = _scaled(affine, lines.lower_slope + lines.upper_slope, lines.lower_intercept + lines.upper_intercept)
    half = _scaled(affine, lines.upper_slope - lines.lower_slope, lines.upper_intercept - lines.lower_intercept)
    shape = (len(rows), boxes.count, affine.shape[1])
    centre, radius = ((own @ part).reshape(shape) for own, part in ((weight, middle), (np.abs(weight), half)))
    below = centre - radius
    above = np.negative(np.add(centre, radius, out=centre), out=centre)
    bias = second.bias[rows, None]
    minima, negative = (boxes.minima(side[..., :-1]) + side[..., -1] for side in (below, above))
    return minima + bias, bias - negative


def _scaled(affine: Array, slopes: Array, intercepts: Array) -> Array:
    """Half of ``slopes * affine``, the intercepts added to its last column: (n_1, B * (n_inputs + 1))."""
    scaled = np.multiply(0.5 * slopes.T[:, :, None], affine[:, None], order="C")
    scaled[..., -1] += 0.5 * intercepts.T
    return scaled.reshape(len(affine), -1)
