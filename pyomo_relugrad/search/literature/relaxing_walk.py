"""The Relaxing Walk: LP walks from points of the relaxation (Tong, Cai, Serra, arXiv 2401.03451)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.problem.bounds import bound_problem
from pyomo_relugrad.programs.big_m import build_big_m
from pyomo_relugrad.run.context import SearchContext
from pyomo_relugrad.run.method import part, positive, whole
from pyomo_relugrad.search.domains.domain import Domain
from pyomo_relugrad.search.domains.method import DomainMethod
from pyomo_relugrad.search.literature.lp_walk import LpWalk
from pyomo_relugrad.search.regions.program import RegionProgram
from pyomo_relugrad.search.regions.region import Region


@dataclass(frozen=True)
class RelaxingWalk(DomainMethod):
    """Walk from the relaxation's optimum, then fix neurons against their state, relax again, walk again.

    A neuron is drawn with weight ``|true state - fractional binary| + base_weight``, layer after layer, and fixed to
    the opposite of its true state; fixings accumulate, those that leave the relaxation infeasible are dropped, and
    starts whose activation pattern was seen are skipped. Open in the paper, decided here: how many fixings there are
    per layer and round; after a round without a new pattern the walk starts from a uniform point, so that the search
    never stands still. For a quadratic objective the relaxation takes its linear part.

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
    summary = "LP walks from points of the relaxation (arXiv 2401.03451)"

    base_weight: float = positive(0.05)
    fixings_per_layer: int = whole(3)
    walk: LpWalk = part(LpWalk())

    def search(self, problem: Problem, domain: Domain, context: SearchContext) -> Iterator[Incumbent | None]:
        """Rounds of relaxations and walks."""
        program = RegionProgram(problem)
        yield program.incumbent(domain.sample(context.random, 1)[0])
        lower, upper = problem.lower.copy(), problem.upper.copy()
        lower[program.columns], upper[program.columns] = domain.lower, domain.upper
        binaries = RelaxedBinaries(replace(problem, lower=lower, upper=upper))
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
        fixed: list[int] = []
        values = binaries.solve(context)
        for layer in [None, *np.repeat(binaries.layers, self.fixings_per_layer).tolist()]:
            if values is None or context.budget.is_exhausted():
                break
            u = np.clip(values[program.columns], program.lower, program.upper)
            region = program.region_at(u)
            if layer is not None:
                neuron = self._draw(binaries, region, values, layer, fixed, context.random)
                if neuron is None:
                    continue
                binaries.hold(neuron, not region.signs[neuron] > 0)
                solved = binaries.solve(context)
                if solved is None:
                    binaries.release(neuron)
                    continue
                fixed.append(neuron)
                values = solved
                u = np.clip(values[program.columns], program.lower, program.upper)
            pattern = np.packbits(program.region_at(u).signs > 0).tobytes()
            if pattern not in seen:
                seen.add(pattern)
                yield u
        for neuron in fixed:
            binaries.release(neuron)

    def _draw(
        self,
        binaries: RelaxedBinaries,
        region: Region,
        values: Array,
        layer: int,
        fixed: list[int],
        random: np.random.Generator,
    ) -> int | None:
        """A neuron of the layer, the likelier the more its binary differs from its state; None where none is left."""
        candidates = binaries.of_layer(layer)
        candidates = candidates[~np.isin(candidates, fixed)]
        if candidates.size == 0:
            return None
        state = region.signs[candidates] > 0
        weights = np.abs(state - binaries.values(values, candidates)) + self.base_weight
        return int(random.choice(candidates, p=weights / weights.sum()))


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
        self.layers = range(len(layers))

    def solve(self, context: SearchContext) -> Array | None:
        """Values of all columns at the optimum, the problem's first; None where there is none."""
        context.budget.count()
        solution = self._program.solve(context.budget.remaining)
        return solution.values if solution.is_optimal else None

    def of_layer(self, layer: int) -> Array:
        """The neurons of a layer whose state is not decided."""
        return np.flatnonzero((self._columns >= 0) & (self._layer_of == layer))

    def values(self, solution: Array, neurons: Array) -> Array:
        """The neurons' binaries in a solution."""
        return solution[self._columns[neurons]]

    def hold(self, neuron: int, state: bool) -> None:
        """Hold a neuron's binary."""
        self._bound(neuron, float(state), float(state))

    def release(self, neuron: int) -> None:
        """Let a neuron's binary range over [0, 1] again."""
        self._bound(neuron, 0.0, 1.0)

    def _bound(self, neuron: int, lower: float, upper: float) -> None:
        self._program.change_bounds(np.array([lower]), np.array([upper]), self._columns[[neuron]])
