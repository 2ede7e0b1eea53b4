"""Descents of decisions that may be fractions at first, and become binaries by and by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.run import Budget, between, check_settings
from pyomo_relugrad.search.decisions.annealing import Height
from pyomo_relugrad.search.decisions.cooling import progress
from pyomo_relugrad.search.decisions.relaxed_rows import RelaxedRows

#: Random numbers that are drawn once, of which each step takes some.
NOISE = 2**18


@dataclass(frozen=True)
class RelaxedDescent:
    """Descents of many points between the binaries' values, along signs of slopes.

    Rows count more and more; so does what drives the decisions from the middle to their bounds, and into the middle in
    the beginning, as in Goto and others, "High-performance combinatorial optimization based on classical mechanics"
    (Science Advances 7, 2021). A step of annealing moves a few decisions of a point, one of these moves all.

    Parameters
    ----------
    points : int, optional
        Points that go down side by side (256).
    first_step, last_step : float, optional
        Shares of the range in the beginning and in the end (0.5, 0.005).
    momentum : float, optional
        Share of the last direction that is kept (0.8).
    penalty : float, optional
        Of a violation in the end, in units of the change of the objective by a move (5).
    noise : float, optional
        Of slopes in the beginning, in the same units (1).
    inwards, outwards : float, optional
        What drives into the middle in the beginning, and from it in the end, in the same units (1, 2).
    steps_at_once : int, optional
        Steps of an iteration (8).
    """

    points: int = between(256, 1)
    first_step: float = between(0.5, 1e-6)
    last_step: float = between(0.005, 1e-6)
    momentum: float = between(0.8, 0, 1)
    penalty: float = between(5.0, 0)
    noise: float = between(1.0, 0)
    inwards: float = between(1.0, 0)
    outwards: float = between(2.0, 0)
    steps_at_once: int = 8

    def __post_init__(self) -> None:
        check_settings(self, "relaxed descents")

    def run(
        self,
        rows: RelaxedRows,
        landscape: Height,
        unit: float,
        length: float,
        budget: Budget,
        random: np.random.Generator,
        starts: Array | None = None,
        begin: float = 0.0,
    ) -> Iterator[Array]:
        """Rounded decisions (B, d) after each iteration; the rows of the last ones are obeyed by most.

        With starts (k, d) the points begin there in turn, and as if a share of the descents had passed: they leave
        these more or less, like a quantum annealer that goes back from a state.
        """
        lower, upper = rows.lower[:, None], rows.upper[:, None]
        middle, kept = (lower + upper) / 2, np.float32(self.momentum)
        if starts is None:
            X = lower + (upper - lower) * random.random((lower.size, self.points), dtype=np.float32)
        else:
            X = np.ascontiguousarray(np.resize(starts, (self.points, lower.size)).T, np.float32)
        direction, noise = np.zeros_like(X), random.standard_normal(max(NOISE, 2 * X.size), dtype=np.float32)
        for passed in progress(length, budget):
            done = begin + (1.0 - begin) * passed
            step = np.float32(self.first_step * (self.last_step / self.first_step) ** done)
            penalty, heat = unit * self.penalty * done**2, np.float32(unit * self.noise * (1.0 - done))
            drive = np.float32(unit * ((1.0 - done) * self.inwards - done * self.outwards))
            for _ in range(self.steps_at_once):
                first = int(random.integers(noise.size - X.size))
                slopes = rows.slopes(X, penalty) + landscape.slopes(X.T).T + drive * (X - middle)
                slopes += heat * noise[first : first + X.size].reshape(X.shape)
                direction *= kept
                direction += np.sign(slopes)
                X = np.clip(X - step * np.sign(direction), lower, upper)
            budget.count(points=self.points * self.steps_at_once)
            yield np.round(X.T).astype(float)
