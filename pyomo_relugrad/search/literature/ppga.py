"""Perturbed projected gradient ascent, plain and with a linear-region valve (Tong et al., arXiv 2512.24295)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Incumbent, Problem, ReducedObjective
from pyomo_relugrad.run import SearchContext, between
from pyomo_relugrad.search.domains.domain import Domain
from pyomo_relugrad.search.domains.method import DomainMethod


@dataclass(frozen=True)
class Ppga(DomainMethod):
    """Perturbed projected gradient ascent (arXiv 2512.24295).

    ``x <- P(x - gamma g / |g|)`` against the gradient g of the objective, which is minimized; P is the projection onto
    the feasible set. Decided here, and perhaps unlike the authors' schedule: a point that has not gained for some steps
    returns to its best place, is perturbed by a random displacement, and its step gamma shrinks; when gamma is
    negligible the point starts anew at a uniform one. Some points move as one batch.

    Parameters
    ----------
    batch : int, optional
        Points that move side by side, each for itself (16).
    first_step, last_step : float, optional
        The step with which a point starts, and the one below which it starts anew, as shares of the domain's diameter
        (0.1 and 1e-6).
    shrinkage : float, optional
        Factor from one step length to the next (0.5).
    patience : int, optional
        Steps without a gain after which a point is perturbed and its step shrinks (5).
    perturbation : float, optional
        Length of a perturbation, in steps (0.5).
    """

    name = "ppga"

    batch: int = 16
    first_step: float = 0.1
    last_step: float = 1e-6
    shrinkage: float = between(0.5, 0, 1)
    patience: int = 5
    perturbation: float = 0.5

    def search(self, problem: Problem, domain: Domain, context: SearchContext) -> Iterator[Incumbent | None]:
        """Move the batch until the budget is spent."""
        budget, random, objective = context.budget, context.random, ReducedObjective(problem)
        diameter = float(np.linalg.norm(domain.upper - domain.lower))
        U = domain.sample(random, self.batch)
        best, values = U.copy(), np.full(self.batch, np.inf)
        steps, idle = np.full(self.batch, self.first_step * diameter), np.zeros(self.batch, int)
        record = np.inf
        while not budget.is_exhausted():
            reached, gradient = objective.value_and_gradient(U)
            budget.count(points=self.batch)
            better = reached < values
            best[better], values[better] = U[better], reached[better]
            idle = np.where(better, 0, idle + 1)
            if values.min() < record:
                record = values.min()
                yield problem.incumbent(objective.points(best[[values.argmin()]])[0])
            else:
                yield None
            stuck = idle >= self.patience
            steps[stuck] *= self.shrinkage
            idle[stuck] = 0
            spent = steps < self.last_step * diameter
            target = domain.project(self._moved(U, best, gradient, steps, stuck, random))
            U = self._stepped(objective, domain, U, target, stuck)
            if spent.any():
                U[spent] = domain.sample(random, int(spent.sum()))
                values[spent], steps[spent] = np.inf, self.first_step * diameter

    def _moved(
        self, U: Array, best: Array, gradient: Array, steps: Array, stuck: Array, random: np.random.Generator
    ) -> Array:
        """Gradient steps of the given lengths, perturbations of the best places for points that are stuck."""
        norms = np.linalg.norm(gradient, axis=1, keepdims=True)
        moved = U - steps[:, None] * np.divide(gradient, norms, out=np.zeros_like(gradient), where=norms > 0)
        noise = random.standard_normal(U.shape) / np.sqrt(U.shape[1])
        return np.where(stuck[:, None], best + self.perturbation * steps[:, None] * noise, moved)

    def _stepped(self, objective: ReducedObjective, domain: Domain, U: Array, target: Array, stuck: Array) -> Array:
        """Where steps from `U` to `target` end."""
        return target


@dataclass(frozen=True)
class PpgaLr(Ppga):
    """PPGA that crosses linear regions at once (arXiv 2512.24295).

    This is the linear-region valve. Decided here, and perhaps unlike the authors' rule: while steps change the
    activation pattern they are those of PPGA. Where one would not, the objective is linear as far as the region goes:
    the exact ratio test along the projected gradient finds the region's far end, and the step ends a little beyond it.
    The other parameters are those of `Ppga`.

    Parameters
    ----------
    overshoot : float, optional
        How far beyond the far end of its region such a step goes, as a share of the way there (0.05).
    """

    name = "ppga-lr"

    overshoot: float = 0.05

    def _stepped(self, objective: ReducedObjective, domain: Domain, U: Array, target: Array, stuck: Array) -> Array:
        """Let steps from `U` to `target` that would stay in their linear region end a little beyond it."""
        steps = target - U
        stays = ~stuck & (first_crossing(objective, U, steps) >= 1.0)
        if not stays.any():
            return target
        lengths = np.linalg.norm(steps[stays], axis=1, keepdims=True)
        diameter = float(np.linalg.norm(domain.upper - domain.lower))
        far = np.divide(steps[stays] * diameter, lengths, out=np.zeros_like(steps[stays]), where=lengths > 0)
        way = domain.project(U[stays] + far) - U[stays]
        shares = np.minimum((1.0 + self.overshoot) * first_crossing(objective, U[stays], way), 1.0)
        target[stays] = U[stays] + shares[:, None] * way
        return target


def first_crossing(objective: ReducedObjective, U: Array, D: Array) -> Array:
    """Share of each step ``D[i]`` from ``U[i]`` at which the activation pattern first changes: (B,), at most 1."""
    V = objective.points(U)
    directions = np.zeros_like(V)
    directions[:, objective.columns] = D
    shares = np.ones(len(U))
    for stage in objective.relu_stages:
        values, slopes = stage.network.linearize(stage.gather(V), stage.gather(directions))
        stage.set_outputs(directions, slopes[-1])
        for value, slope in zip(values[:-1], slopes[:-1], strict=True):
            crosses = (value * slope < 0) & (np.abs(slope) > np.abs(value))
            ratio = np.divide(-value, slope, out=np.ones_like(value), where=crosses)
            shares = np.minimum(shares, ratio.min(axis=1, initial=1.0).reshape(len(U), -1).min(axis=1))
    return shares
