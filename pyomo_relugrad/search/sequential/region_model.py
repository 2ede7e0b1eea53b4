"""The exact linear program over one combination of linear regions, its facets generated as they are needed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.deadline import checkpoint
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.programs.linear_program import LinearProgram, LinearSolution, LinearStatus
from pyomo_relugrad.programs.linearization import Linearization, Patterns, stage_preactivations
from pyomo_relugrad.run.budget import Budget

#: Distance, in the space of the inputs, by which a facet may be violated before it becomes a row.
FACET_TOLERANCE = 1e-9
#: A row is generated for at most so many facets at a time, those that the step crosses first.
FACETS_PER_ROUND = 64
#: Small programs that change little from solve to solve: presolve would cost more than the solve, and lose the basis.
SIMPLEX = {"presolve": "off", "solver": "simplex"}
#: Rounds of facet generation after which the step is cut at the first facet it crosses.
MAXIMAL_ROUNDS = 60


@dataclass(frozen=True, eq=False)
class FacetRows:
    """Generated facets as rows over the problem's columns: ``rows @ v >= lower``, each of length one.

    Parameters
    ----------
    stages, members, neurons : (m,) int arrays
        Which embedded network (stage and place in it) and which of its ReLUs each facet belongs to.
    rows : (m, n) csr_array
    lower : (m,) array
    """

    stages: Array
    members: Array
    neurons: Array
    rows: sparse.csr_array
    lower: Array


@dataclass(frozen=True, eq=False)
class RegionOptimum:
    """The best point of a combination of linear regions.

    Parameters
    ----------
    values : (n,) array
    patterns : Patterns
        The regions.
    facets : FacetRows
        The generated facets.
    facet_multipliers : (m,) array
        Not negative; positive only where a facet is active. Empty where the solver gives none.
    link_multipliers : (n_links,) array
    is_unbounded : bool
        The linear program has no finite optimum; `values` is then the point that it was solved from.
    """

    values: Array
    patterns: Patterns
    facets: FacetRows
    facet_multipliers: Array
    link_multipliers: Array
    is_unbounded: bool = False


class RegionModel:
    """Linear programs over linear regions, in the columns of the problem, on one HiGHS model.

    Integer columns are held at their values in the given point.

    Parameters
    ----------
    problem : Problem
    linearization : Linearization
    """

    def __init__(self, problem: Problem, linearization: Linearization) -> None:
        self._problem = problem
        self._linearization = linearization
        self._model = LinearProgram(
            problem.cost,
            problem.lower,
            problem.upper,
            problem.rows,
            problem.row_lower,
            problem.row_upper,
            quadratic=problem.quadratic,
            options={"primal_feasibility_tolerance": 1e-9, **({} if problem.quadratic is not None else SIMPLEX)},
        )

    def optimum(self, v: Array, patterns: Patterns, budget: Budget) -> RegionOptimum | None:
        """Best point of the regions, from a point in their closure.

        Parameters
        ----------
        v : (n,) array
            Its integer columns are kept.
        patterns : Patterns
        budget : Budget

        Returns
        -------
        RegionOptimum or None
            None where the rows exclude the regions, or the solver failed.
        """
        problem = self._problem
        held = problem.integers
        self._model.change_bounds(np.where(held, v, problem.lower), np.where(held, v, problem.upper))
        links, right = self._linearization.links(v, patterns)
        self._model.replace_tail(problem.n_rows, links, right, right)
        facets = _no_facets(problem.n_columns)
        for _ in range(MAXIMAL_ROUNDS):
            budget.count()
            solution = self._model.solve(budget.remaining)
            if solution.status is LinearStatus.UNBOUNDED:
                return self._unbounded(v, patterns, facets)
            if not solution.is_optimal or solution.values is None:
                return None
            new, fraction = self._crossed(v, solution.values, patterns, facets)
            if new.lower.size == 0:
                return self._optimum(solution, patterns, facets)
            if budget.is_exhausted():
                break
            self._model.append_rows(new.rows, new.lower, np.full(new.lower.size, np.inf))
            facets = _join(facets, new)
        return RegionOptimum(v + fraction * (solution.values - v), patterns, facets, np.zeros(0), np.zeros(0))

    def _unbounded(self, v: Array, patterns: Patterns, facets: FacetRows) -> RegionOptimum | None:
        """Decide with every facet in the model whether the region's program really is unbounded."""
        missing = self._all_facets(v, patterns)
        self._model.append_rows(missing.rows, missing.lower, np.full(missing.lower.size, np.inf))
        solution = self._model.solve()
        if solution.status is LinearStatus.UNBOUNDED:
            return RegionOptimum(v, patterns, facets, np.zeros(0), np.zeros(0), is_unbounded=True)
        if not solution.is_optimal:
            return None
        return self._optimum(solution, patterns, _join(facets, missing))

    def _optimum(self, solution: LinearSolution, patterns: Patterns, facets: FacetRows) -> RegionOptimum:
        assert solution.values is not None
        duals = solution.row_duals
        first = self._problem.n_rows
        n_links = self._linearization.n_links
        return RegionOptimum(
            values=solution.values,
            patterns=patterns,
            facets=facets,
            facet_multipliers=np.zeros(0) if duals is None else np.maximum(duals[first + n_links :], 0.0),
            link_multipliers=np.zeros(0) if duals is None else duals[first : first + n_links],
        )

    def _crossed(self, v: Array, target: Array, patterns: Patterns, known: FacetRows) -> tuple[FacetRows, float]:
        """Facets that the step from `v` to `target` crosses, and the fraction of the step before the first."""
        stages, members, neurons, fractions = [], [], [], []
        for index, (stage, pattern) in enumerate(zip(self._problem.stages, patterns, strict=True)):
            before, after = stage_preactivations(stage, v, target, pattern)
            sign = np.where(pattern, 1.0, -1.0)
            outside = sign * after < 0
            member, neuron = np.nonzero(outside)
            inner, outer = np.maximum((sign * before)[outside], 0.0), -(sign * after)[outside]
            stages.append(np.full(member.size, index))
            members.append(member)
            neurons.append(neuron)
            fractions.append(inner / (inner + outer))
        fraction = np.concatenate([np.ones(1), *fractions])[1:]
        first = np.argsort(fraction, kind="stable")
        places = [np.concatenate([np.zeros(0, np.int64), *part])[first] for part in (stages, members, neurons)]
        places = _not_known(places, known)
        new = _no_facets(v.size)
        for begin in range(0, places[0].size, FACETS_PER_ROUND):
            candidates = self._facet_rows(v, patterns, *(part[begin : begin + FACETS_PER_ROUND] for part in places))
            new = _select(candidates, np.flatnonzero(candidates.rows @ target - candidates.lower < -FACET_TOLERANCE))
            if new.lower.size:
                break
        return new, float(fraction.min(initial=1.0))

    def _all_facets(self, v: Array, patterns: Patterns) -> FacetRows:
        nothing = (np.zeros(0, np.int64),) * 3  # there may be no networks
        places = [nothing] + [
            (np.full(pattern.size, index), *(part.ravel() for part in np.indices(pattern.shape)))
            for index, pattern in enumerate(patterns)
        ]
        stages, members, neurons = (np.concatenate(part) for part in zip(*places, strict=True))
        return self._facet_rows(v, patterns, stages, members, neurons)

    def _facet_rows(self, v: Array, patterns: Patterns, stages: Array, members: Array, neurons: Array) -> FacetRows:
        """Facets of the given ReLUs as rows; a ReLU that is constant on its region has none."""
        n = self._problem.n_columns
        kept, data, columns, lower = [], [], [], []
        for index, member in sorted(set(zip(stages.tolist(), members.tolist(), strict=True))):
            checkpoint()
            stage = self._problem.stages[index]
            places = np.flatnonzero((stages == index) & (members == member))
            region = stage.network.region(v[stage.inputs[member]], patterns[index][member])
            facets = region.facets(neurons[places])
            kept.append(places[np.isin(neurons[places], facets.neurons)])
            data.append(facets.rows)
            columns.append(np.broadcast_to(stage.inputs[member], facets.rows.shape))
            lower.append(-facets.offsets)
        if not kept:
            return _no_facets(n)
        lengths = np.concatenate([np.full(len(block), block.shape[1]) for block in data])
        rows = np.repeat(np.arange(lengths.size), lengths)
        flat = np.concatenate([block.ravel() for block in data])
        matrix = sparse.csr_array(
            (flat, (rows, np.concatenate([block.ravel() for block in columns]))), shape=(lengths.size, n)
        )
        places = np.concatenate(kept)
        order = np.argsort(places, kind="stable")
        places = places[order]
        return FacetRows(stages[places], members[places], neurons[places], matrix[order], np.concatenate(lower)[order])


def _no_facets(n_columns: int) -> FacetRows:
    nothing = np.zeros(0, np.int64)
    return FacetRows(nothing, nothing, nothing, sparse.csr_array((0, n_columns)), np.zeros(0))


def _select(facets: FacetRows, chosen: Array) -> FacetRows:
    return FacetRows(
        facets.stages[chosen], facets.members[chosen], facets.neurons[chosen], facets.rows[chosen], facets.lower[chosen]
    )


def _join(first: FacetRows, second: FacetRows) -> FacetRows:
    return FacetRows(
        np.concatenate([first.stages, second.stages]),
        np.concatenate([first.members, second.members]),
        np.concatenate([first.neurons, second.neurons]),
        sparse.csr_array(sparse.vstack([first.rows, second.rows])),
        np.concatenate([first.lower, second.lower]),
    )


def _not_known(parts: list[Array], known: FacetRows) -> list[Array]:
    """The (stage, member, neuron) triples that have no row yet."""
    have = set(zip(known.stages.tolist(), known.members.tolist(), known.neurons.tolist(), strict=True))
    fresh = [triple not in have for triple in zip(*(part.tolist() for part in parts), strict=True)]
    return [part[np.array(fresh, bool)] for part in parts]
