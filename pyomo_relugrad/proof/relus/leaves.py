"""Nodes on which every ReLU is decided: a linear program each."""

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.network import CONSTANT_ROW_TOLERANCE, LinearRegion
from pyomo_relugrad.problem import FEASIBILITY_TOLERANCE, Problem
from pyomo_relugrad.programs import LinearProgram, certified
from pyomo_relugrad.proof.relus.dual import Dual

# What rounding may add to an optimum, and to a pre-activation, relative to one plus its size.
SAFETY = 1e-7


class LeafProgram:
    """The linear program of a node on which the network is affine.

    Parameters
    ----------
    problem : Problem
        As for `Dual`.
    dual : Dual
        In float64, of any nodes: its rows are those of the program.
    """

    def __init__(self, problem: Problem, dual: Dual) -> None:
        self._problem = problem
        self._rows, self._row_lower, self._row_upper = dual.rows, dual.row_lower, dual.row_upper
        self._embedded = problem.networks[0]
        self._decisions = np.flatnonzero(~problem.is_output)
        self._place = np.full(problem.n_columns, -1)
        self._place[self._decisions] = np.arange(self._decisions.size)

    def solve(self, splits: Array, states: Array, lower: Array, upper: Array) -> tuple[float, Array | None]:
        """A lower bound of a node, infinite where it is empty, and its best point (n,).

        Parameters
        ----------
        splits, states : (n_relus,) arrays
            What the node says of ReLUs, and what holds in its box.
        lower, upper : (n,) arrays
            The node's box.
        """
        problem, embedded = self._problem, self._embedded
        pattern = np.where(splits != 0, splits, states) > 0
        region = LinearRegion(embedded.network, pattern, problem.lower[embedded.inputs])
        matrix, offset = region.jacobian, region.offset
        if self._is_contradicted(region, splits, lower, upper):
            return np.inf, None
        facets = region.facets(np.flatnonzero(splits))
        on_rows, on_cost = self._rows[:, embedded.outputs], problem.cost[embedded.outputs]
        rows = self._rows[:, self._decisions] + self._on_decisions(on_rows @ matrix)
        shift = on_rows @ offset
        program = (
            problem.cost[self._decisions] + self._on_decisions((on_cost @ matrix)[None])[0],
            lower[self._decisions],
            upper[self._decisions],
            sparse.csr_array(np.concatenate([rows, self._on_decisions(facets.rows)])),
            np.concatenate([self._row_lower + FEASIBILITY_TOLERANCE - shift, -facets.offsets]),
            np.concatenate([self._row_upper - FEASIBILITY_TOLERANCE - shift, np.full(facets.offsets.size, np.inf)]),
        )
        solution = certified(LinearProgram(*program).solve(), *program)
        if solution.values is None or solution.row_duals is None:
            return solution.bound, None
        point = np.zeros(problem.n_columns)
        point[self._decisions] = solution.values
        value = solution.bound + float(on_cost @ offset) + problem.constant
        # Points that miss rows by the tolerance count as feasible, and may be better by what that buys.
        bought = FEASIBILITY_TOLERANCE * float(np.abs(solution.row_duals[: shift.size]).sum())
        return value - bought - SAFETY * (1 + abs(value)), point

    def _is_contradicted(self, region: LinearRegion, splits: Array, lower: Array, upper: Array) -> bool:
        """Whether a pre-activation that is constant on the region, and so has no facet, has the other sign."""
        split = np.flatnonzero(splits)
        gradients = np.linalg.norm(region.preactivation_gradients(split), axis=1)
        limits = CONSTANT_ROW_TOLERANCE * region.network.gradient_bounds[split]
        values = np.concatenate(region.network.preactivations(region.point[None], region.pattern[None]), axis=1)[
            0, split
        ]
        inputs = self._embedded.inputs
        margin = limits * float(np.linalg.norm(upper[inputs] - lower[inputs])) + SAFETY * (1 + np.abs(values))
        return bool(((gradients <= limits) & (splits[split] * values < -margin)).any())

    def _on_decisions(self, of_inputs: Array) -> Array:
        """Coefficients (m, d) of the decision columns from those of the network's inputs (m, n_inputs)."""
        result = np.zeros((len(of_inputs), self._decisions.size))
        np.add.at(result.T, self._place[self._embedded.inputs], of_inputs.T)
        return result
