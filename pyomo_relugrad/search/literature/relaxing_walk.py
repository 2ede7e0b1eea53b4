"""The Relaxing Walk: LP walks from points of the relaxation (Tong, Cai, Serra, arXiv 2401.03451)."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.run.context import SearchContext
from pyomo_relugrad.search.domains.polytope import domain_of
from pyomo_relugrad.search.literature.lp_walk import walk_from
from pyomo_relugrad.search.literature.relaxation import Relaxation
from pyomo_relugrad.search.regions.program import RegionProgram
from pyomo_relugrad.search.regions.region import Region

# Added to every neuron's weight in the draw (section 4 of the paper).
BASE_WEIGHT = 0.05
# Neurons fixed per layer before all are released again; later relaxations of a round hardly give new starts.
FIXINGS_PER_LAYER = 3


def relaxing_walk(problem: Problem, context: SearchContext) -> Iterator[Incumbent | None]:
    """Walk from the relaxation's optimum, then fix neurons against their state, relax again, walk again.

    A neuron is drawn with weight ``|true state - fractional binary| + 0.05``, layer after layer, and fixed to the
    opposite of its true state; fixings accumulate, those that leave the relaxation infeasible are dropped, and starts
    whose activation pattern was seen are skipped. Open in the paper, decided here: three fixings per layer and round;
    after a round without a new pattern the walk starts from a uniform point, so that the search never stands still.
    For a quadratic objective the relaxation takes its linear part.
    """
    program, domain = RegionProgram(problem), domain_of(problem, context.budget)
    yield program.incumbent(domain.sample(context.random, 1)[0])
    lower, upper = problem.lower.copy(), problem.upper.copy()
    lower[program.columns], upper[program.columns] = domain.lower, domain.upper
    relaxation = Relaxation(problem, lower, upper)
    seen: set[bytes] = set()
    while not context.budget.is_exhausted():
        before = len(seen)
        yield from _round(program, relaxation, seen, context)
        if len(seen) == before:
            yield from walk_from(program, domain.sample(context.random, 1)[0], context)


def _round(
    program: RegionProgram, relaxation: Relaxation, seen: set[bytes], context: SearchContext
) -> Generator[Incumbent | None, None, None]:
    """Root relaxation and walk, then fixings layer by layer, all released at the end."""
    fixed: list[int] = []
    values = _relax(relaxation, context)
    layers = np.unique(relaxation.layer_of)
    for layer in [None, *np.repeat(layers, FIXINGS_PER_LAYER).tolist()]:
        if values is None or context.budget.is_exhausted():
            break
        region = program.region_at(np.clip(values[program.columns], program.lower, program.upper))
        if layer is not None:
            neuron = _draw(relaxation, region, values, layer, fixed, context.random)
            if neuron is None:
                continue
            relaxation.fix(neuron, not region.signs[neuron] > 0)
            solved = _relax(relaxation, context)
            if solved is None:
                relaxation.release(neuron)
                continue
            fixed.append(neuron)
            values = solved
        yield from _walk_if_new(program, values, seen, context)
    for neuron in fixed:
        relaxation.release(neuron)


def _relax(relaxation: Relaxation, context: SearchContext) -> Array | None:
    context.budget.count()
    solution = relaxation.solve(context.budget.remaining)
    return solution.values if solution.is_optimal else None


def _walk_if_new(
    program: RegionProgram, values: Array, seen: set[bytes], context: SearchContext
) -> Generator[Incumbent | None, None, None]:
    u = np.clip(values[program.columns], program.lower, program.upper)
    pattern = np.packbits(program.region_at(u).signs > 0).tobytes()
    if pattern not in seen:
        seen.add(pattern)
        yield from walk_from(program, u, context)


def _draw(
    relaxation: Relaxation,
    region: Region,
    values: Array,
    layer: int,
    fixed: list[int],
    random: np.random.Generator,
) -> int | None:
    """A neuron of the layer, the likelier the more its binary differs from its state; None where all are decided."""
    candidates = np.flatnonzero(relaxation.free & (relaxation.layer_of == layer))
    candidates = candidates[~np.isin(candidates, fixed)]
    if candidates.size == 0:
        return None
    state = region.signs[candidates] > 0
    weights = np.abs(state - relaxation.binaries(values)[candidates]) + BASE_WEIGHT
    return int(random.choice(candidates, p=weights / weights.sum()))
