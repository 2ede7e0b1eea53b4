"""Bounds through networks, both ways: of outputs from those of inputs, of inputs from what is asked of outputs."""

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.deadline import checkpoint
from pyomo_relugrad.network import crown_bounds
from pyomo_relugrad.problem.incumbent import FEASIBILITY_TOLERANCE
from pyomo_relugrad.problem.network_stage import NetworkStage
from pyomo_relugrad.problem.presolve.reduction import Reduced, with_bounds
from pyomo_relugrad.problem.presolve.row_tightening import RowTightening, shrinks
from pyomo_relugrad.problem.problem import Problem

# Slices of a network's inputs, all of them together, and at least so many of each: over a slice, CROWN is much closer
# to the network than over the whole range.
SLICES, MIN_SLICES = 64, 4
# Rounds over networks and rows; the last one where the rows shrink no range by more than this share.
MAX_ROUNDS, LEAST_SHRINKAGE = 2, 0.01
# Multiplications that a round may take, some hundredths of a second, and what a call counts besides.
MAX_WORK, WORK_PER_CALL = 2e7, 2e5


def tighten_through_networks(problem: Problem, max_work: float = MAX_WORK) -> Reduced | None:
    """Tighten columns by rows and by slices of the networks' inputs, in turn.

    Each input's range is cut into slices, and the outputs are bounded over each of them by CROWN. What remains are the
    slices on which every output can have a value within its bounds; the outputs have the union of their ranges there.

    Nothing is done where no outputs have constraints or are read by networks, where an input has no bounds, or where it
    takes too long.
    Where there is no feasible point, the problem is left to those who prove it.
    """
    matters = _constrained_outputs(problem) | problem.links_networks
    networks = [stage for stage in problem.stages if isinstance(stage, NetworkStage)]
    stages = [stage for stage in networks if matters[stage.outputs].any()]
    if not stages or sum(map(_work, stages)) > max_work:
        return None
    tighten = RowTightening(problem)
    lower, upper, possible = tighten(problem.lower[None], problem.upper[None])
    for _ in range(MAX_ROUNDS):
        box = _through_stages(stages, lower[0], upper[0]) if possible[0] else None
        if box is None:
            return None
        lower, upper, possible = tighten(box[0][None], box[1][None])
        if not shrinks(box, (lower[0], upper[0]), matters | problem.is_input, LEAST_SHRINKAGE):
            break
    if not possible[0]:
        return None
    # Other outputs keep their bounds: a bound makes an output one that is constrained.
    chosen = matters | ~problem.is_output
    lower, upper = np.where(chosen, lower[0], problem.lower), np.where(chosen, upper[0], problem.upper)
    return with_bounds(problem, lower, upper)


def _constrained_outputs(problem: Problem) -> Array:
    """(n,) booleans: outputs that occur in rows or have bounds of their own."""
    in_rows = np.zeros(problem.n_columns, bool)
    in_rows[problem.rows.indices] = True
    return problem.is_output & (in_rows | np.isfinite(problem.lower) | np.isfinite(problem.upper))


def _work(stage: NetworkStage) -> float:
    """Multiplications for the bounds over all slices."""
    return _slices(stage) * stage.inputs.size * stage.network.bounding_work + WORK_PER_CALL * stage.network.n_inputs


def _slices(stage: NetworkStage) -> int:
    """Slices of each input."""
    return max(SLICES // stage.network.n_inputs, MIN_SLICES)


def _through_stages(stages: list[NetworkStage], lower: Array, upper: Array) -> tuple[Array, Array] | None:
    """Smaller bounds (n,); None where no slice of an input is left."""
    lower, upper = lower.copy(), upper.copy()
    for stage in stages:
        for place in range(stage.network.n_inputs):
            checkpoint()
            if np.isinf(lower[stage.inputs]).any() or np.isinf(upper[stage.inputs]).any():
                break
            if not _through_slices(stage, place, lower, upper):
                return None
    return lower, upper


def _through_slices(stage: NetworkStage, place: int, lower: Array, upper: Array) -> bool:
    """Tighten the inputs at one place, and the outputs, of all embeddings in place; whether there are values left."""
    columns, outputs, slices = stage.inputs[:, place], stage.outputs, _slices(stage)
    edges = np.linspace(lower[columns], upper[columns], slices + 1, axis=1)
    low, high = (np.repeat(side[stage.inputs], slices, axis=0) for side in (lower, upper))
    low[:, place], high[:, place] = edges[:, :-1].ravel(), edges[:, 1:].ravel()
    bounds = crown_bounds(stage.network, low, high)
    shape = (len(outputs), slices, outputs.shape[1])
    below, above = bounds.output_lower.reshape(shape), bounds.output_upper.reshape(shape)
    allowed = FEASIBILITY_TOLERANCE * (1 + np.abs(below) + np.abs(above))
    meets = (below - allowed <= upper[outputs][:, None]) & (above + allowed >= lower[outputs][:, None])
    possible = np.asarray(meets.all(axis=2))
    if not possible.any(axis=1).all():
        return False
    rows = np.arange(len(columns))
    first, last = possible.argmax(axis=1), slices - possible[:, ::-1].argmax(axis=1)
    np.maximum.at(lower, columns, edges[rows, first])
    np.minimum.at(upper, columns, edges[rows, last])
    lower[outputs] = np.maximum(lower[outputs], np.where(possible[:, :, None], below, np.inf).min(axis=1))
    upper[outputs] = np.minimum(upper[outputs], np.where(possible[:, :, None], above, -np.inf).max(axis=1))
    # An output may miss its bound by what is allowed: both stay possible, for networks that read it.
    low, high = lower[outputs], upper[outputs]
    lower[outputs], upper[outputs] = np.minimum(low, high), np.maximum(low, high)
    return bool((lower[columns] <= upper[columns]).all())
