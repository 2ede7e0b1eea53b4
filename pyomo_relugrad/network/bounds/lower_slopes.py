"""Better CROWN bounds by choosing the slopes of the ReLUs' lower lines (alpha-CROWN). Smooth neurons keep theirs.

Any slope between 0 and 1 gives a valid bound; ascent over the slopes looks for the best (Xu et al., Fast and Complete:
Enabling Complete Neural Network Verification with Rapid and Massively Parallel Incomplete Verifiers, 2021,
arXiv 2011.13824). Here the ranges of the pre-activations stay as they are and the slopes belong to one function each,
so a step costs one substitution of that function and one forward pass: little beside the ranges themselves.
"""

from dataclasses import dataclass, replace

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.deadline import checkpoint
from pyomo_relugrad.network.bounds.relaxation import Relaxation
from pyomo_relugrad.network.bounds.substitution import LinearFunctions
from pyomo_relugrad.network.sweeps import forward

# Measured on control and ACAS Xu networks: eight steps close 30 to 50 % of the gap, thirty steps 5 % more of it.
STEPS = 8
# Slopes of a larger box are near the best ones of a part of it: longer steps lose them.
FIRST_STEP, FIRST_STEP_FROM_START, STEP_DECAY = 0.3, 0.1, 0.85
MOMENTUM, SQUARE_MOMENTUM = 0.9, 0.99


@dataclass(frozen=True, eq=False)
class SlopedFunctions:
    """Linear functions below functions of the output, with the slopes that gave them.

    Parameters
    ----------
    functions : LinearFunctions
        With adjoints.
    lower_slopes : (R, n_neurons) array
    """

    functions: LinearFunctions
    lower_slopes: Array


def optimize_lower_slopes(
    relaxation: Relaxation,
    weights: Array,
    boxes: Array | None,
    *,
    steps: int = STEPS,
    start: Array | None = None,
    input_costs: Array | None = None,
) -> SlopedFunctions:
    """Functions below ``weights[i] @ y + input_costs[i] @ x``, their lower slopes chosen for large minima.

    Parameters
    ----------
    relaxation : Relaxation
    weights : (R, n_outputs) array
    boxes : (R,) int array or None
        The box of each function; None where function ``i`` is over box ``i``.
    steps : int, optional
        Steps of projected Adam; each function keeps the best of its steps, so the bound never gets worse.
    start : (R, n_neurons) array, optional
        Slopes to begin with, as from a larger box.
    input_costs : (R, n_inputs) array, optional
        A linear function of the input to add; it is part of the result.
    """
    lines = relaxation.lines
    default = _concatenate([relaxation.boxes.pick(line.lower_slope, boxes) for line in lines], len(weights))
    unstable = _concatenate([relaxation.boxes.pick(line.unstable, boxes) for line in lines], len(weights))
    slopes = default if start is None else np.where(unstable, start, default)
    functions = _bound(relaxation, weights, boxes, slopes, input_costs)
    best, best_slopes = functions, slopes
    first_step = FIRST_STEP if start is None else FIRST_STEP_FROM_START
    moment, square = np.zeros_like(slopes), np.zeros_like(slopes)
    for step in range(1, steps + 1 if weights.any() else 1):  # without weights, slopes do not matter
        checkpoint()
        gradient = _slope_gradient(relaxation, functions, boxes, slopes) * unstable
        moment = MOMENTUM * moment + (1 - MOMENTUM) * gradient
        square = SQUARE_MOMENTUM * square + (1 - SQUARE_MOMENTUM) * gradient**2
        scale = np.sqrt(square / (1 - SQUARE_MOMENTUM**step)) + np.finfo(slopes.dtype).tiny
        direction = moment / (1 - MOMENTUM**step) / scale
        moved = (slopes + first_step * STEP_DECAY ** (step - 1) * direction).clip(0, 1)
        slopes = np.where(unstable, moved, slopes)
        functions = _bound(relaxation, weights, boxes, slopes, input_costs)
        better = functions.minima > best.minima
        best = _merge(better, functions, best)
        best_slopes = np.where(better[:, None], slopes, best_slopes)
    return SlopedFunctions(best, best_slopes)


def _bound(
    relaxation: Relaxation, weights: Array, boxes: Array | None, slopes: Array, input_costs: Array | None
) -> LinearFunctions:
    functions = relaxation.substitute(weights, boxes, slopes, keep_adjoints=True)
    if input_costs is None:
        return functions
    coefficients = functions.coefficients + input_costs
    return replace(
        functions,
        coefficients=coefficients,
        minima=relaxation.boxes.minima(coefficients, boxes) + functions.constants,
    )


def _slope_gradient(relaxation: Relaxation, functions: LinearFunctions, boxes: Array | None, slopes: Array) -> Array:
    """Derivatives (R, n_neurons) of the minima in the lower slopes.

    At the corner where a function is smallest, a slope ``s`` of a neuron with coefficient ``a > 0`` enters as
    ``a * s * z``, with ``z`` computed forward through the chosen lines.
    """
    network, pick = relaxation.network, relaxation.boxes.pick
    lower_slopes = network.split_pattern(slopes)
    adjoints = [np.zeros(1) if own is None else own for own in functions.adjoints]
    gates, intercepts = [], []
    for lines, adjoint, lower_slope in zip(relaxation.lines, adjoints, lower_slopes, strict=True):
        below = adjoint > 0
        gates.append(np.where(below, lower_slope, pick(lines.upper_slope, boxes)))
        intercepts.append(np.where(below, pick(lines.lower_intercept, boxes), pick(lines.upper_intercept, boxes)))
    corners = relaxation.boxes.minimizers(functions.coefficients, boxes)
    sweep = forward(network.layers, corners, gates, intercepts)
    parts = [np.maximum(adjoint, 0) * values for adjoint, (values, _) in zip(adjoints, sweep, strict=False)]
    return _concatenate(parts, len(functions.minima))


def _merge(better: Array, new: LinearFunctions, old: LinearFunctions) -> LinearFunctions:
    """The functions of `new` where it is better, of `old` elsewhere; the adjoints stay those of `old`."""
    return LinearFunctions(
        np.where(better[:, None], new.coefficients, old.coefficients),
        np.where(better, new.constants, old.constants),
        np.where(better, new.minima, old.minima),
        old.adjoints,
    )


def _concatenate(parts: list[Array], rows: int) -> Array:
    """Arrays (R, n_k) or (1, n_k) of the hidden layers side by side: (R, n_neurons)."""
    wide = [np.broadcast_to(part, (rows, part.shape[1])) for part in parts]
    return np.concatenate([np.zeros((rows, 0), bool if wide and wide[0].dtype == bool else np.float64), *wide], axis=1)
