"""Better multipliers of nodes: projected ascent of their bounds, all multipliers together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.deadline import checkpoint
from pyomo_relugrad.proof.relus.dual import Dual, DualPoint
from pyomo_relugrad.proof.relus.nodes import Multipliers

# Steps at the root, and at later nodes, which begin with their parent's multipliers.
ROOT_STEPS, STEPS = 100, 6
# Steps of the multipliers that may prove a node empty, which begin anew.
FEASIBILITY_STEPS = 20
# Length of the first step, of slopes in themselves and of other multipliers in their `Scales`, and its decay.
FIRST_STEP, STEP_DECAY = 0.25, 0.97
MOMENTUM, SQUARE_MOMENTUM = 0.9, 0.999


@dataclass(frozen=True, eq=False)
class Scales:
    """Sizes of multipliers that matter.

    Parameters
    ----------
    beta : (n_relus,) array
    gamma : (m,) array
    objective : float, optional
        The range of the objective that they belong to.
    """

    beta: Array
    gamma: Array
    objective: float = 1.0

    @property
    def relative(self) -> Scales:
        """Those of a problem without an objective: only proportions matter."""
        return Scales(self.beta / self.objective, self.gamma / self.objective)


@dataclass(frozen=True, eq=False)
class Ascended:
    """The best multipliers that were found, and what the last ones gave.

    Parameters
    ----------
    multipliers : Multipliers
    bound : (N,) array
        Theirs, in the type of the dual function.
    last : DualPoint
    columns : (N, n) array
        The minimizers of all steps, averaged with growing weights: near a solution of the relaxation.
    """

    multipliers: Multipliers
    bound: Array
    last: DualPoint
    columns: Array


def ascend(
    dual: Dual, splits: Array, start: Multipliers, scales: Scales, target: float, steps: int = STEPS
) -> Ascended:
    """Maximize the bounds of nodes by projected Adam; each keeps the best of its steps.

    Parameters
    ----------
    dual : Dual
    splits : (N, n_relus) int8 array
    start : Multipliers
    scales : Scales
    target : float
        Bounds from this on are good enough.
    steps : int, optional
    """
    weights = Multipliers(*(size.astype(dual.dtype) for size in (np.ones(1), scales.beta, scales.gamma)))
    current = start.astype(dual.dtype)
    best, best_bound = current, np.full(len(splits), -np.inf)
    moments = _Moments(current)
    columns, total = np.zeros(1, dual.dtype), 0.0
    for step in range(1, steps + 1):
        checkpoint()
        point = dual(splits, current)
        better = point.bound > best_bound
        best, best_bound = current.where(better, best), np.where(better, point.bound, best_bound)
        columns, total = columns + step * point.columns, total + step
        if (best_bound >= target).all():
            break
        current = moments.moved(current, point.gradient, weights, FIRST_STEP * STEP_DECAY ** (step - 1))
        current = Multipliers(current.alpha, current.beta, current.gamma.clip(*dual.gamma_range).astype(dual.dtype))
    return Ascended(best, best_bound, point, columns / total)


class _Moments:
    """Adam's averages of gradients and of their squares, for each kind of multipliers."""

    def __init__(self, start: Multipliers) -> None:
        self._first = [np.zeros_like(part) for part in start.parts]
        self._second = [np.zeros_like(part) for part in start.parts]
        self._steps = 0

    def moved(self, current: Multipliers, gradient: Multipliers, weights: Multipliers, length: float) -> Multipliers:
        """The multipliers after a step of so many of their sizes, back in their ranges."""
        self._steps += 1
        moved = []
        for place, (part, slope, size) in enumerate(zip(current.parts, gradient.parts, weights.parts, strict=True)):
            own = slope * size
            self._first[place] = MOMENTUM * self._first[place] + (1 - MOMENTUM) * own
            self._second[place] = SQUARE_MOMENTUM * self._second[place] + (1 - SQUARE_MOMENTUM) * own**2
            root = np.sqrt(self._second[place] / (1 - SQUARE_MOMENTUM**self._steps))
            direction = self._first[place] / (1 - MOMENTUM**self._steps) / (root + np.finfo(own.dtype).tiny)
            moved.append(part + length * size * direction)
        alpha, beta, gamma = moved
        gamma = np.where(current.gamma * gamma < 0, 0, gamma)  # zero before a change to the other side of a row
        return Multipliers(alpha.clip(0, 1), np.maximum(beta, 0), gamma)
