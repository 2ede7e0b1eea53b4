"""The linear program over a linear region, with facets generated only as they are crossed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.deadline import checkpoint
from pyomo_relugrad.programs import LinearProgram, LinearSolution, LinearStatus
from pyomo_relugrad.run import Budget
from pyomo_relugrad.search.regions.layout import Layout
from pyomo_relugrad.search.regions.region import Region

NO_NEURONS = np.zeros(0, np.int64)
# Share of the largest multiplier below which a facet is not active.
NO_MULTIPLIER = 1e-12
# Facets added to the program at once, those that the step crosses first; and where all of them are needed.
FACETS_AT_ONCE, MANY_FACETS_AT_ONCE = 64, 1024
# Facets up to which all of them are in the program from the beginning.
FEW_FACETS = 128
# Distance, in units of the columns, by which a solution may lie beyond a facet.
FACET_TOLERANCE = 1e-9
# LPs per region; each adds facets that the one before crossed.
MAX_ROUNDS = 200


@dataclass(frozen=True, eq=False)
class RegionOptimum:
    """The best point of a closed linear region.

    Parameters
    ----------
    u : (d,) array
    binding : (m,) int array
        All neurons whose facets are in the final basis.
    multipliers : (m,) array
        What the objective would gain per unit by which each pre-activation in `binding` could cross zero; zero at
        degenerate vertices' other facets.
    row_duals, column_duals : arrays
        Multipliers of the layout's rows that are no facets, and reduced costs, where the layout asks for them.
    is_exact : bool
        Whether the program was solved to the end; otherwise `u` is only a better point of the region.
    is_unbounded : bool
        Whether the objective falls without limit on the region.
    """

    u: Array
    binding: Array
    multipliers: Array
    row_duals: Array
    column_duals: Array
    is_exact: bool = True
    is_unbounded: bool = False

    @classmethod
    def unfinished(cls, u: Array, is_unbounded: bool = False) -> RegionOptimum:
        """A point of the region that is not its optimum."""
        nothing = np.zeros(0)
        return cls(u, NO_NEURONS, nothing, nothing, nothing, False, is_unbounded)


@dataclass(frozen=True, eq=False)
class BasisGuess:
    """The basis near which an optimum is thought to be.

    Parameters
    ----------
    columns : (d,) int array
        -1 where a decision column is at its lower bound, 1 at its upper bound, 0 where it is free.
    rows : (m,) int array
        The same for the rows that are no facets.
    neurons : (k,) int array
        Whose facets hold with equality.
    """

    columns: Array
    rows: Array
    neurons: Array


class FacetProgram:
    """One HiGHS model for the regions of one problem, changed from region to region.

    Facets are appended as they are needed, beginning with those that bound the region before. They are told apart by
    distances, and ordered by where the step crosses them, so that a rescaled network gives the same program.

    Parameters
    ----------
    layout : Layout
    lower, upper : (d,) arrays
        Bounds of the decision columns, which solutions meet exactly.
    before : FacetProgram, optional
        That of the same model with other numbers, whose HiGHS model this one takes where it has the same rows. It must
        not be used any more.
    """

    def __init__(self, layout: Layout, lower: Array, upper: Array, before: FacetProgram | None = None) -> None:
        self._layout, self._lower, self._upper = layout, lower, upper
        self._program: LinearProgram
        if before is not None and not before.is_interrupted and layout.has_rows_of(before._layout):
            self._program = layout.renew(before._program)
        else:
            self._program = layout.program()
        self._first_facet, self._scale = layout.n_fixed, 1.0
        self._working, self._lengths = NO_NEURONS, np.zeros(0)
        self._guess: BasisGuess | None = None

    @property
    def is_interrupted(self) -> bool:
        """Whether the HiGHS model is not to be used any more, since Ctrl-C ended a run."""
        return self._program.is_interrupted

    def start_with(self, neurons: Array, guess: BasisGuess | None = None) -> None:
        """Begin the next region with the facets of these neurons (m,), and from a guessed basis."""
        self._working, self._guess = neurons, guess

    def solve(self, region: Region, budget: Budget, reach: Array | None = None) -> RegionOptimum:
        """Minimize over the closed region; each program over the facets known so far counts as an iteration.

        `reach` (d,) is how far each decision may move; any distance where it is None.
        """
        has_all = region.signs.size <= FEW_FACETS
        if has_all:
            self._working = np.arange(region.signs.size)
        self._open(region, reach)
        u, is_fresh = region.u, self._working.size == 0
        for _ in range(MAX_ROUNDS):
            solution = self._program.solve(budget.remaining)
            budget.count()
            if solution.status is LinearStatus.UNBOUNDED:
                if self._add_all_facets(region):
                    continue
                return RegionOptimum.unfinished(region.u, is_unbounded=True)
            if solution.status is LinearStatus.FAILED and not is_fresh:
                # HiGHS's quadratic solver may miss its tolerances where facets come from another region.
                self._working, is_fresh, has_all = NO_NEURONS, True, False
                self._open(region, reach)
                continue
            if solution.values is None or not solution.is_optimal:
                break
            crossed, share = (False, 1.0) if has_all else self._crossings(region, solution.values)
            if not crossed:
                return self._optimum(solution)
            u = region.u + share * (self._layout.decisions(solution.values) - region.u)
            if budget.is_exhausted():
                break
        return RegionOptimum.unfinished(np.clip(u, self._lower, self._upper))

    def _open(self, region: Region, reach: Array | None) -> None:
        """Set the program up for a region, with the working facets of the last one."""
        layout = self._layout
        self._scale = layout.open(self._program, region, reach)
        rows, lower, upper = layout.region_rows(region)
        facets, sides, self._working, self._lengths = self._facets(region, self._working)
        tail = sparse.vstack([rows, facets], format="csr") if sparse.issparse(rows) else np.concatenate([rows, facets])
        tail_upper = np.concatenate([upper, np.full(sides.size, np.inf)])
        self._program.replace_tail(layout.n_fixed, tail, np.concatenate([lower, sides]), tail_upper)
        self._first_facet = layout.n_fixed + lower.size
        if self._guess is not None:
            held = -np.isin(self._working, self._guess.neurons).astype(int)
            self._program.start_from_basis(self._guess.columns, np.concatenate([self._guess.rows, held]))
            self._guess = None

    def _facets(self, region: Region, neurons: Array) -> tuple[Array, Array, Array, Array]:
        """Unit rows, their lower sides, and the neurons whose pre-activation varies, with its gradient's length."""
        gradients = self._layout.facet_gradients(region, neurons)
        lengths = np.linalg.norm(gradients, axis=1)
        varies = lengths > 0
        neurons, lengths = neurons[varies], lengths[varies]
        signs = region.signs[neurons] / lengths
        rows = gradients[varies] * signs[:, None]
        slack = np.maximum(region.preactivations[neurons] * signs, 0.0)
        return rows, rows @ self._layout.point(region) - slack, neurons, lengths

    def _append(self, facets: tuple[Array, Array, Array, Array], chosen: Array | slice) -> None:
        rows, sides, neurons, lengths = (part[chosen] for part in facets)
        self._program.append_rows(rows, sides, np.full(sides.size, np.inf))
        self._working = np.concatenate([self._working, neurons])
        self._lengths = np.concatenate([self._lengths, lengths])

    def _crossings(self, region: Region, values: Array) -> tuple[bool, float]:
        """Append the first facets that the step crosses; whether there are any, and how far the step stays inside."""
        step = self._layout.decisions(values) - region.u
        margin = region.signs * region.preactivations
        slope = region.signs * region.slopes(step[None, :])[0]
        beyond = np.flatnonzero((margin + slope < 0) & (slope < 0))
        beyond = beyond[~np.isin(beyond, self._working)]
        ratio = np.maximum(margin[beyond], 0.0) / -slope[beyond]
        order = np.argsort(ratio, kind="stable")
        beyond, ratio = beyond[order], ratio[order]
        for begin in range(0, beyond.size, FACETS_AT_ONCE):
            chunk = beyond[begin : begin + FACETS_AT_ONCE]
            facets = self._facets(region, chunk)
            violated = np.flatnonzero(facets[0] @ values - facets[1] < -FACET_TOLERANCE)
            if violated.size:
                self._append(facets, violated)
                return True, float(ratio[begin + int(np.isin(chunk, facets[2][violated]).argmax())])
        return False, 1.0

    def _add_all_facets(self, region: Region) -> bool:
        """Append whatever facets are missing; whether there are any."""
        missing, before = np.setdiff1d(np.arange(region.signs.size), self._working), self._working.size
        for begin in range(0, missing.size, MANY_FACETS_AT_ONCE):
            checkpoint()
            self._append(self._facets(region, missing[begin : begin + MANY_FACETS_AT_ONCE]), slice(None))
        return self._working.size > before

    def _optimum(self, solution: LinearSolution) -> RegionOptimum:
        assert solution.values is not None
        u = np.clip(self._layout.decisions(solution.values), self._lower, self._upper)
        if solution.row_duals is None or solution.column_duals is None:
            return RegionOptimum(u, NO_NEURONS, np.zeros(0), np.zeros(0), np.zeros(0))
        row_duals, duals = np.split(self._scale * solution.row_duals, [self._first_facet])
        negligible = NO_MULTIPLIER * float(np.abs(duals).max(initial=0.0))
        multipliers = np.where(duals > negligible, duals / self._lengths, 0.0)
        kept = self._program.drop_basic_rows(self._first_facet)
        self._working, self._lengths = self._working[kept], self._lengths[kept]
        return RegionOptimum(u, self._working, multipliers[kept], row_duals, self._scale * solution.column_duals)
