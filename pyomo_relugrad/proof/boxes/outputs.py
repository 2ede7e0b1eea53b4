"""Linear functions below and above the outputs that matter, and the rows that they are in a linear program."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pyomo_relugrad.arrays import Array, RowBlock
from pyomo_relugrad.network.bounds import LinearFunctions
from pyomo_relugrad.problem import Problem, Stage
from pyomo_relugrad.problem.presolve.row_tightening import close_boxes, cut_boxes
from pyomo_relugrad.programs import LinkRows, two_sided
from pyomo_relugrad.proof.boxes.relaxations import Relaxations, gap_by_input


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


class OutputBounds:
    """Bounds the outputs that occur in the objective, in rows or in bounds by linear functions of the inputs.

    Lower lines have the usual slopes of CROWN, which leave the smaller areas. Slopes chosen for each function's minimum
    over the box make worse linear programs, whose optimum is elsewhere.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self._rows = LinkRows(problem, copies=2)
        #: (L,) columns of these outputs: stage by stage, embedding by embedding.
        self.columns = self._rows.columns

    def functions(self, relaxations: Relaxations) -> list[StageFunctions]:
        """Functions of every stage over the nodes."""
        result = []
        for stage, used, relaxation in zip(self.problem.stages, self._rows.used, relaxations.stages, strict=True):
            weights = np.tile(np.eye(stage.outputs.shape[1])[used], (relaxation.n_boxes, 1))
            boxes = np.repeat(np.arange(relaxation.n_boxes), used.size)
            below, above = (relaxation.substitute(sign * weights, boxes, keep_adjoints=True) for sign in (1, -1))
            result.append(StageFunctions(below, above, boxes))
        return result

    def tighten(
        self, relaxations: Relaxations, functions: list[StageFunctions], lower: Array, upper: Array
    ) -> tuple[Array, Array, Array]:
        """Ranges of the outputs from the functions, and boxes of the inputs from the outputs' bounds.

        Returns
        -------
        lower, upper : (N, n) arrays
        possible : (N,) booleans
        """
        lower, upper = lower.copy(), upper.copy()
        n_nodes = len(lower)
        for stage, used, relaxation, part in zip(
            self.problem.stages, self._rows.used, relaxations.stages, functions, strict=True
        ):
            columns = stage.outputs[:, used]
            low, high = (side[:, used].reshape(n_nodes, *columns.shape) for side in relaxation.output_range())
            low = np.maximum(low, part.below.minima.reshape(low.shape))
            high = np.minimum(high, -part.above.minima.reshape(high.shape))
            lower[:, columns] = np.maximum(lower[:, columns], low)
            upper[:, columns] = np.minimum(upper[:, columns], high)
            for place in range(used.size):
                rows = slice(place, None, used.size)
                limits = upper[:, columns[:, place]].ravel(), -lower[:, columns[:, place]].ravel()
                for side, limit in zip((part.below, part.above), limits, strict=True):
                    _cut(stage, side, rows, limit, lower, upper)
        return close_boxes(lower, upper)

    def rows(self, functions: list[StageFunctions], node: int) -> RowBlock:
        """The rows of one node: ``y - a @ x >= c`` for all outputs, then ``y - a @ x <= c``."""
        coefficients, constants = [], []
        for sign, name in ((1.0, "below"), (-1.0, "above")):
            for stage, used, part in zip(self.problem.stages, self._rows.used, functions, strict=True):
                shape = (len(stage.inputs), used.size, stage.inputs.shape[1])
                rows = slice(node * shape[0] * shape[1], (node + 1) * shape[0] * shape[1])
                values: LinearFunctions = getattr(part, name)
                coefficients.append(sign * values.coefficients[rows].reshape(shape))
                constants.append(sign * values.constants[rows].reshape(shape[:2]))
        return two_sided(*self._rows.build(coefficients, constants))

    def gaps(self, relaxations: Relaxations, functions: list[StageFunctions], weights: Array) -> Array:
        """What each column is answerable for of the functions' distance from the networks: (N, n).

        Parameters
        ----------
        weights : (N, 2 * L) array
            How much the functions below, then those above, of each output matter at each node.
        """
        total = np.zeros((len(relaxations), self.problem.n_columns))
        half, begin = self.columns.size, 0
        for stage, used, relaxation, part in zip(
            self.problem.stages, self._rows.used, relaxations.stages, functions, strict=True
        ):
            size = len(stage.inputs) * used.size
            for side, offset in ((part.below, 0), (part.above, half)):
                gap = gap_by_input(relaxation, side, part.boxes)
                weighted = gap * weights[:, offset + begin : offset + begin + size].reshape(-1, 1)
                shape = (relaxation.n_boxes, used.size, stage.inputs.shape[1])
                stage.scatter(total, weighted.reshape(shape).sum(axis=1))
            begin += size
        return total


def _cut(stage: Stage, functions: LinearFunctions, rows: slice, limit: Array, lower: Array, upper: Array) -> None:
    """Cut the stage's input boxes by ``f(x) <= limit``, in place."""
    coefficients, minima = functions.coefficients[rows], functions.minima[rows]
    box_lower, box_upper = (side[:, stage.inputs].reshape(coefficients.shape) for side in (lower, upper))
    new_lower, new_upper = cut_boxes(coefficients, minima, limit, box_lower, box_upper)
    shape = (len(lower), stage.inputs.size)
    np.maximum.at(lower.T, stage.inputs.ravel(), new_lower.reshape(shape).T)
    np.minimum.at(upper.T, stage.inputs.ravel(), new_upper.reshape(shape).T)
