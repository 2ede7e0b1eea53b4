"""Perturbed projected gradient ascent, plain and with a linear-region valve (Tong et al., arXiv 2512.24295)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Incumbent, Problem, ReducedObjective
from pyomo_relugrad.run.context import SearchContext
from pyomo_relugrad.search.domains.domain import Domain
from pyomo_relugrad.search.domains.feasible_set import domain_of

# Points that move side by side, each for itself.
BATCH = 16
# First step and last step of a point, as shares of the domain's diameter, and the factor between.
FIRST_STEP, SHRINK, LAST_STEP = 0.1, 0.5, 1e-6
# Steps without a gain after which a point is perturbed and its step shrinks.
PATIENCE = 5
# Length of a perturbation, in steps.
PERTURBATION = 0.5
# How far beyond the far end of its region a valved step goes, as a share of the way there.
OVERSHOOT = 0.05


def ppga(problem: Problem, context: SearchContext) -> Iterator[Incumbent | None]:
    """Step ``x <- P(x - gamma g / |g|)`` against the objective's gradient g, P the projection onto the feasible set.

    Decided here, and perhaps unlike the authors' schedule: the step gamma starts at a tenth of the domain's diameter; a
    point that has not gained for five steps returns to its best place, is perturbed by a random displacement of half
    a step, and its step halves; when the step is negligible it starts anew at a uniform point. Sixteen points move
    as one batch.
    """
    return _search(problem, context, has_valve=False)


def ppga_lr(problem: Problem, context: SearchContext) -> Iterator[Incumbent | None]:
    """PPGA that crosses a linear region at once where a step would stay in it (the linear-region valve).

    Decided here, and perhaps unlike the authors' rule: while steps change the activation pattern they are those of
    PPGA. Where one would not, the objective is linear as far as the region goes: the exact ratio test along the
    projected gradient finds the region's far end, and the step ends 5 % beyond it.
    """
    return _search(problem, context, has_valve=True)


def _search(problem: Problem, context: SearchContext, has_valve: bool) -> Iterator[Incumbent | None]:
    budget, random = context.budget, context.random
    objective, domain = ReducedObjective(problem), domain_of(problem, budget)
    diameter = float(np.linalg.norm(domain.upper - domain.lower))
    U = domain.sample(random, BATCH)
    best, values = U.copy(), np.full(BATCH, np.inf)
    steps, idle = np.full(BATCH, FIRST_STEP * diameter), np.zeros(BATCH, int)
    record = np.inf
    while not budget.is_exhausted():
        reached, gradient = objective.value_and_gradient(U)
        budget.count(points=BATCH)
        better = reached < values
        best[better], values[better] = U[better], reached[better]
        idle = np.where(better, 0, idle + 1)
        if values.min() < record:
            record = values.min()
            yield problem.incumbent(objective.points(best[[values.argmin()]])[0])
        else:
            yield None
        stuck = idle >= PATIENCE
        steps[stuck] *= SHRINK
        idle[stuck] = 0
        spent = steps < LAST_STEP * diameter
        target = domain.project(_moves(U, best, gradient, steps, stuck, random))
        U = _valved(objective, domain, U, target, stuck) if has_valve else target
        if spent.any():
            U[spent] = domain.sample(random, int(spent.sum()))
            values[spent], steps[spent] = np.inf, FIRST_STEP * diameter


def _moves(U: Array, best: Array, gradient: Array, steps: Array, stuck: Array, random: np.random.Generator) -> Array:
    """Gradient steps of the given lengths, perturbations of the best places for points that are stuck."""
    norms = np.linalg.norm(gradient, axis=1, keepdims=True)
    moved = U - steps[:, None] * np.divide(gradient, norms, out=np.zeros_like(gradient), where=norms > 0)
    noise = random.standard_normal(U.shape) / np.sqrt(U.shape[1])
    return np.where(stuck[:, None], best + PERTURBATION * steps[:, None] * noise, moved)


def _valved(objective: ReducedObjective, domain: Domain, U: Array, target: Array, stuck: Array) -> Array:
    """Let steps from `U` to `target` that would stay in their linear region end a little beyond it."""
    steps = target - U
    stays = ~stuck & (first_crossing(objective, U, steps) >= 1.0)
    if not stays.any():
        return target
    lengths = np.linalg.norm(steps[stays], axis=1, keepdims=True)
    diameter = float(np.linalg.norm(domain.upper - domain.lower))
    far = np.divide(steps[stays] * diameter, lengths, out=np.zeros_like(steps[stays]), where=lengths > 0)
    way = domain.project(U[stays] + far) - U[stays]
    shares = np.minimum((1.0 + OVERSHOOT) * first_crossing(objective, U[stays], way), 1.0)
    target[stays] = U[stays] + shares[:, None] * way
    return target


def first_crossing(objective: ReducedObjective, U: Array, D: Array) -> Array:
    """Share of each step ``D[i]`` from ``U[i]`` at which the activation pattern first changes: (B,), at most 1."""
    V = objective.points(U)
    directions = np.zeros_like(V)
    directions[:, objective.columns] = D
    shares = np.ones(len(U))
    for stage in objective.stages:
        values, slopes = stage.network.linearize(stage.gather(V), stage.gather(directions))
        stage.set_outputs(directions, slopes[-1])
        for value, slope in zip(values[:-1], slopes[:-1], strict=True):
            crosses = (value * slope < 0) & (np.abs(slope) > np.abs(value))
            ratio = np.divide(-value, slope, out=np.ones_like(value), where=crosses)
            shares = np.minimum(shares, ratio.min(axis=1, initial=1.0).reshape(len(U), -1).min(axis=1))
    return shares
