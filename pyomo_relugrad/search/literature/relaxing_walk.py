"""The Relaxing Walk: LP walks from points of the relaxation (Tong, Cai, Serra, arXiv 2401.03451)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Incumbent, Problem, bound_problem
from pyomo_relugrad.programs import build_big_m
from pyomo_relugrad.run import SearchContext, between
from pyomo_relugrad.search.domains.domain import Domain
from pyomo_relugrad.search.domains.method import DomainMethod
from pyomo_relugrad.search.literature.lp_walk import LpWalk
from pyomo_relugrad.search.regions.program import RegionProgram
from pyomo_relugrad.search.regions.region import Region


@dataclass(frozen=True)
class RelaxingWalk(DomainMethod):
    """LP walks from points of the relaxation (arXiv 2401.03451).

    Walk from the relaxation's optimum, then fix neurons against their state, relax again, walk again. A neuron is drawn
    with weight ``|true state - fractional binary| + base_weight``, layer after layer, and fixed to the opposite of its
    true state; fixings accumulate, those that leave the relaxation infeasible are dropped, and starts whose activation
    pattern was seen are skipped. Open in the paper, decided here: how many fixings there are per layer and round; after
    a round without a new pattern the walk starts from a uniform point, so that the search never stands still. For a
    quadratic objective the relaxation takes its linear part.

    Parameters
    ----------
    base_weight : float, optional
        Added to every neuron's weight in the draw (0.05, section 4 of the paper).
    fixings_per_layer : int, optional
        Neurons fixed per layer before all are released again (3); later relaxations of a round hardly give new starts.
    walk : LpWalk, optional
        The walks from the relaxations' points.
    """

    name = "relaxing-walk"

    base_weight: float = between(0.05, 1e-9)
    fixings_per_layer: int = 3
    walk: LpWalk = LpWalk()

    def search(self, problem: Problem, domain: Domain, context: SearchContext) -> Iterator[Incumbent | None]:
        """Rounds of relaxations and walks."""
        program = RegionProgram(problem)
        yield program.incumbent(domain.sample(context.random, 1)[0])
        lower, upper = problem.lower.copy(), problem.upper.copy()
        lower[program.columns], upper[program.columns] = domain.lower, domain.upper
        binaries = RelaxedBinaries(problem.with_bounds(lower, upper))
        seen: set[bytes] = set()
        while not context.budget.is_exhausted():
            before = len(seen)
            for u in self._starts(program, binaries, seen, context):
                yield from self.walk.from_start(program, domain, u, context)
            if len(seen) == before:
                yield from self.walk.from_start(program, domain, domain.sample(context.random, 1)[0], context)

    def _starts(
        self, program: RegionProgram, binaries: RelaxedBinaries, seen: set[bytes], context: SearchContext
    ) -> Iterator[Array]:
        """Points of one round, new patterns alone: of the root relaxation, then of fixings layer by layer."""
        layers = iter(np.repeat(binaries.layers, self.fixings_per_layer).tolist())
        values = binaries.solve(context)
        while values is not None and not context.budget.is_exhausted():
            region = program.region_at(np.clip(values[program.columns], program.lower, program.upper))
            pattern = np.packbits(region.signs > 0).tobytes()
            if pattern not in seen:
                seen.add(pattern)
                yield region.u
            values = self._fixed(binaries, region, values, layers, context)
        binaries.release(binaries.held)

    def _fixed(
        self, binaries: RelaxedBinaries, region: Region, values: Array, layers: Iterator[int], context: SearchContext
    ) -> Array | None:
        """The relaxation with one neuron more held, of the first layer where it has a solution."""
        for layer in layers:
            if context.budget.is_exhausted():
                break
            neuron = binaries.draw(layer, region, values, self.base_weight, context.random)
            if neuron is None:
                continue
            binaries.hold(neuron, not region.signs[neuron] > 0)
            solved = binaries.solve(context)
            if solved is not None:
                return solved
            binaries.release([neuron])
        return None


class RelaxedBinaries:
    """The linear relaxation of the big-M model, some of whose binaries are held.

    Neurons are counted as in `Region`; those that interval bounds decide have no binary.

    Parameters
    ----------
    problem : Problem
        With finite bounds on the decision columns.
    """

    def __init__(self, problem: Problem) -> None:
        model = build_big_m(problem, bound_problem(problem, "interval"))
        layers = [layer.binary for _, _, embedding in model.hidden for layer in embedding]
        self._columns = np.concatenate([np.zeros(0, int), *layers])
        self._layer_of = np.concatenate([np.zeros(0, int), *(np.full(b.size, i) for i, b in enumerate(layers))])
        self._program = model.program(relaxed=True)
        self.layers, self.held = range(len(layers)), list[int]()

    def solve(self, context: SearchContext) -> Array | None:
        """Values of all columns at the optimum, the problem's first; None where there is none."""
        context.budget.count()
        solution = self._program.solve(context.budget.remaining)
        return solution.values if solution.is_optimal else None

    def draw(
        self, layer: int, region: Region, values: Array, base_weight: float, random: np.random.Generator
    ) -> int | None:
        """A neuron of the layer, the likelier the more its binary differs from its state; None where none is left."""
        free = np.flatnonzero((self._columns >= 0) & (self._layer_of == layer))
        free = free[~np.isin(free, self.held)]
        if free.size == 0:
            return None
        weights = np.abs((region.signs[free] > 0) - values[self._columns[free]]) + base_weight
        return int(random.choice(free, p=weights / weights.sum()))

    def hold(self, neuron: int, state: bool) -> None:
        """Hold a neuron's binary."""
        self.held.append(neuron)
        self._program.change_bounds(np.array([state * 1.0]), np.array([state * 1.0]), self._columns[[neuron]])

    def release(self, neurons: list[int]) -> None:
        """Let neurons' binaries range over [0, 1] again."""
        self.held = [neuron for neuron in self.held if neuron not in neurons]
        self._program.change_bounds(np.zeros(len(neurons)), np.ones(len(neurons)), self._columns[neurons])
