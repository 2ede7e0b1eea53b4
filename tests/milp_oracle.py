"""Exact optima of small problems by an independent big-M model, solved by SciPy."""

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from pyomo_relugrad.network import interval_bounds
from pyomo_relugrad.problem import Problem


class _Model:
    """Columns and rows, collected one by one."""

    def __init__(self, problem: Problem) -> None:
        self.cost = problem.cost.tolist()
        self.lower, self.upper = problem.lower.tolist(), problem.upper.tolist()
        self.integers = problem.integers.astype(float).tolist()
        self.rows: list[tuple[dict[int, float], float, float]] = []

    def column(self, upper: float, integer: float) -> int:
        self.cost.append(0.0)
        self.lower.append(0.0)
        self.upper.append(upper)
        self.integers.append(integer)
        return len(self.cost) - 1

    def row(self, terms: dict[int, float], lower: float, upper: float) -> None:
        self.rows.append((terms, lower, upper))


def exact_optimum(problem: Problem) -> float:
    """The optimum of a problem with a linear objective; infinite where it is infeasible."""
    model = _Model(problem)
    for index in range(problem.n_rows):
        row = problem.rows[[index]]
        terms = dict(zip(row.indices.tolist(), row.data.tolist(), strict=True))
        model.row(terms, problem.row_lower[index], problem.row_upper[index])
    lower, upper = problem.lower.copy(), problem.upper.copy()
    for stage in problem.stages:
        for inputs, outputs in zip(stage.inputs, stage.outputs, strict=True):
            bounds = interval_bounds(stage.network, lower[inputs][None], upper[inputs][None])
            lower[outputs] = np.maximum(lower[outputs], bounds.output_lower[0])
            upper[outputs] = np.minimum(upper[outputs], bounds.output_upper[0])
            _add_network(model, stage.network, inputs, outputs, bounds)
    matrix = np.zeros((len(model.rows), len(model.cost)))
    for index, (terms, _, _) in enumerate(model.rows):
        for column, value in terms.items():
            matrix[index, column] += value
    sides = np.array([row[1:] for row in model.rows])
    result = milp(
        np.array(model.cost),
        constraints=LinearConstraint(matrix, sides[:, 0], sides[:, 1]) if len(sides) else (),
        bounds=Bounds(model.lower, model.upper),
        integrality=np.array(model.integers),
        options={"mip_rel_gap": 1e-9},
    )
    assert result.status in (0, 2), result.message
    return float(result.fun + problem.constant) if result.status == 0 else np.inf


def _add_network(model, network, inputs, outputs, bounds) -> None:
    columns = [[int(column) for column in inputs]]
    for index, layer in enumerate(network.layers):
        is_last = index == len(network.layers) - 1
        columns.append([])
        for neuron in range(layer.width):
            terms: dict[int, float] = {}
            for source, weight in zip(layer.sources, layer.weights, strict=True):
                dense = weight.toarray() if hasattr(weight, "toarray") else weight
                for column, value in zip(columns[source], dense[neuron], strict=True):
                    terms[column] = terms.get(column, 0.0) - value
            if is_last:
                model.row({**terms, int(outputs[neuron]): 1.0}, layer.bias[neuron], layer.bias[neuron])
                continue
            low, high = min(bounds.lower[index][0, neuron], 0.0), max(bounds.upper[index][0, neuron], 0.0)
            active = model.column(1.0, 1.0)
            value = model.column(high, 0.0)
            columns[-1].append(value)
            model.row({**terms, value: 1.0}, layer.bias[neuron], np.inf)
            model.row({**terms, value: 1.0, active: -low}, -np.inf, layer.bias[neuron] - low)
            model.row({value: 1.0, active: -high}, -np.inf, 0.0)
