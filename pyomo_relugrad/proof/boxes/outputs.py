"""Linear functions below and above the outputs that matter, and the rows that they are in a linear program."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pyomo_relugrad.arrays import Array, SparseRows
from pyomo_relugrad.network.lower_slopes import optimize_lower_slopes
from pyomo_relugrad.network.relaxation import LinearFunctions
from pyomo_relugrad.problem import NetworkStage, Problem
from pyomo_relugrad.problem.presolve.rows import close_boxes, cut_boxes
from pyomo_relugrad.proof.boxes.enclosure import Enclosure, gap_by_input

# Steps of the slopes' optimization per function; there are two functions per output, and a linear program beside them.
SLOPE_STEPS = 4


@dataclass(frozen=True, eq=False)
class StageFunctions:
    """Functions of one stage's used outputs over N nodes with k embeddings each: row = (node, embedding, output).

    Parameters
    ----------
    below, above : LinearFunctions
        ``below`` under the outputs, ``above`` under their negatives.
    boxes : (R,) int array
        Row of the stage's relaxation for each function.
    """

    below: LinearFunctions
    above: LinearFunctions
    boxes: Array


class OutputLinks:
    """Outputs that occur in the objective, in rows or in bounds, tied to the inputs by two linear rows each.

    Parameters
    ----------
    problem : Problem
        Without chains.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        touched = (problem.cost != 0) | np.isfinite(problem.lower) | np.isfinite(problem.upper) | problem.integers
        touched[problem.rows.indices] = True
        if problem.quadratic is not None:
            touched[problem.quadratic.indices] = True
        self.used = [np.flatnonzero(touched[stage.outputs].any(axis=0)) for stage in problem.stages]
        self._merges = [_merge_matrices(stage) for stage in problem.stages]
        self.columns = np.concatenate(
            [np.zeros(0, np.int64)]
            + [stage.outputs[:, used].ravel() for stage, used in zip(problem.stages, self.used, strict=True)]
        )
        self._find_pattern()

    def _find_pattern(self) -> None:
        """Sparsity of one block of rows: for each output itself, then the inputs of its network."""
        indices, lengths = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for stage, used, (_, first) in zip(self.problem.stages, self.used, self._merges, strict=True):
            for member, columns in enumerate(stage.outputs[:, used]):
                inputs = stage.inputs[member][first[member]]
                indices.extend(np.concatenate([[column], inputs]) for column in columns)
                lengths.append(np.full(columns.size, inputs.size + 1))
        self._indices = np.tile(np.concatenate(indices), 2).astype(np.int32)
        self._indptr = np.concatenate([[0], np.cumsum(np.tile(np.concatenate(lengths), 2))]).astype(np.int32)

    # --- functions ----------------------------------------------------------------------------------------------

    def functions(self, enclosure: Enclosure) -> list[StageFunctions]:
        """Functions of every stage over the enclosure's nodes."""
        result = []
        for index, (stage, used) in enumerate(zip(self.problem.stages, self.used, strict=True)):
            relaxation = enclosure.relaxations[index]
            weights = np.tile(np.eye(stage.network.n_outputs)[used], (relaxation.n_boxes, 1))
            boxes = np.repeat(np.arange(relaxation.n_boxes), used.size)
            below, above = (
                optimize_lower_slopes(relaxation, sign * weights, boxes, steps=SLOPE_STEPS).functions
                for sign in (1, -1)
            )
            result.append(StageFunctions(below, above, boxes))
        return result

    def tighten(
        self, enclosure: Enclosure, functions: list[StageFunctions], lower: Array, upper: Array
    ) -> tuple[Array, Array, Array]:
        """Ranges of the outputs from the functions, and boxes of the inputs from the outputs' bounds.

        Returns
        -------
        lower, upper : (N, n) arrays
        possible : (N,) booleans
        """
        lower, upper = lower.copy(), upper.copy()
        n_nodes = len(lower)
        for index, (stage, used) in enumerate(zip(self.problem.stages, self.used, strict=True)):
            columns = stage.outputs[:, used]
            low, high = (side[:, used].reshape(n_nodes, *columns.shape) for side in _output_range(enclosure, index))
            low = np.maximum(low, functions[index].below.minima.reshape(low.shape))
            high = np.minimum(high, -functions[index].above.minima.reshape(high.shape))
            lower[:, columns] = np.maximum(lower[:, columns], low)
            upper[:, columns] = np.minimum(upper[:, columns], high)
            for place in range(used.size):
                rows = slice(place, None, used.size)
                limits = upper[:, columns[:, place]].ravel(), -lower[:, columns[:, place]].ravel()
                for part, limit in zip((functions[index].below, functions[index].above), limits, strict=True):
                    _cut(stage, part, rows, limit, lower, upper)
        return close_boxes(lower, upper)

    # --- rows ---------------------------------------------------------------------------------------------------

    def rows(self, functions: list[StageFunctions], node: int) -> tuple[SparseRows, Array, Array]:
        """The rows of one node: ``y - a @ x >= c`` for all outputs, then ``y - a @ x <= c``."""
        coefficients, constants = [], []
        for sign, name in ((1.0, "below"), (-1.0, "above")):
            for stage, used, part in zip(self.problem.stages, self.used, functions, strict=True):
                size = len(stage.inputs) * used.size
                rows = slice(node * size, (node + 1) * size)
                values: LinearFunctions = getattr(part, name)
                shape = (len(stage.inputs), used.size, stage.network.n_inputs)
                coefficients.append(sign * values.coefficients[rows].reshape(shape))
                constants.append(sign * values.constants[rows])
        return self._assemble(coefficients, np.concatenate([np.zeros(0), *constants]))

    def linearized_rows(self, v: Array) -> tuple[SparseRows, Array, Array]:
        """Rows that hold each output on the affine function that its network is around the point (n,)."""
        coefficients, constants = [], []
        for stage, used in zip(self.problem.stages, self.used, strict=True):
            jacobians, offsets = stage.network.affine(v[stage.inputs])
            coefficients.append(jacobians[:, used])
            constants.append(offsets[:, used].ravel())
        right = np.concatenate([np.zeros(0), *constants])
        return self._assemble(coefficients * 2, np.concatenate([right, right]))

    def _assemble(self, coefficients: list[Array], right: Array) -> tuple[SparseRows, Array, Array]:
        """Rows from coefficients (k, used, n_inputs), the stages of one block after those of the other."""
        data = [np.zeros(0)]
        for values, (merge, first) in zip(coefficients, self._merges * 2, strict=True):
            merged = values if merge is None else values @ merge
            for member, rows in enumerate(merged):
                data.append(np.concatenate([np.ones((len(rows), 1)), -rows[:, first[member]]], axis=1).ravel())
        half = right.size // 2
        row_lower, row_upper = np.full(right.size, -np.inf), np.full(right.size, np.inf)
        row_lower[:half], row_upper[half:] = right[:half], right[half:]
        return SparseRows(self._indptr, self._indices, np.concatenate(data)), row_lower, row_upper

    # --- sensitivity --------------------------------------------------------------------------------------------

    def gaps(self, enclosure: Enclosure, functions: list[StageFunctions], weights: Array) -> Array:
        """What each column is answerable for of the functions' distance from the networks: (N, n).

        Parameters
        ----------
        weights : (N, 2 * number of outputs) array
            How much the functions below, then those above, of each output matter at each node.
        """
        total = np.zeros((enclosure.n_nodes, self.problem.n_columns))
        half, begin = self.columns.size, 0
        for index, (stage, used) in enumerate(zip(self.problem.stages, self.used, strict=True)):
            size = len(stage.inputs) * used.size
            for part, offset in ((functions[index].below, 0), (functions[index].above, half)):
                gap = gap_by_input(enclosure.relaxations[index], part, functions[index].boxes)
                weighted = gap * weights[:, offset + begin : offset + begin + size].reshape(-1, 1)
                shape = (enclosure.n_nodes * len(stage.inputs), used.size, stage.network.n_inputs)
                stage.scatter(total, weighted.reshape(shape).sum(axis=1))
            begin += size
        return total


def _output_range(enclosure: Enclosure, index: int) -> tuple[Array, Array]:
    return enclosure.relaxations[index].output_range()


def _cut(
    stage: NetworkStage, functions: LinearFunctions, rows: slice, limit: Array, lower: Array, upper: Array
) -> None:
    """Cut the stage's input boxes by ``f(x) <= limit``, in place."""
    coefficients, minima = functions.coefficients[rows], functions.minima[rows]
    box_lower, box_upper = (side[:, stage.inputs].reshape(coefficients.shape) for side in (lower, upper))
    new_lower, new_upper = cut_boxes(coefficients, minima, limit, box_lower, box_upper)
    shape = (len(lower), stage.inputs.size)
    np.maximum.at(lower.T, stage.inputs.ravel(), new_lower.reshape(shape).T)
    np.minimum.at(upper.T, stage.inputs.ravel(), new_upper.reshape(shape).T)


def _merge_matrices(stage: NetworkStage) -> tuple[Array | None, Array]:
    """For inputs that occur twice in an embedding: matrices that add their coefficients to the first place's.

    Returns
    -------
    merge : (k, n_inputs, n_inputs) array or None
    first : (k, n_inputs) booleans
        Whether a place is the first of its column.
    """
    places = np.array([[int(np.argmax(row == column)) for column in row] for row in stage.inputs])
    first = places == np.arange(stage.inputs.shape[1])
    if first.all():
        return None, first
    merge = (places[:, :, None] == np.arange(stage.inputs.shape[1])).astype(np.float64)
    return merge, first
