"""Random small models in families, as a Problem and as the same Pyomo model.

Families: ``window`` (a two-sided window on one output, a cap on another, rows on the inputs), ``equality`` (an
equality between outputs and inputs, and extra variables), ``integer`` (integer and binary inputs, a knapsack row),
``chained`` (one network feeds another), ``shared`` (two networks read the same inputs, one network twice), and
``quadratic`` (a convex quadratic objective). Large ones have 12 to 40 inputs and wider networks.
"""

import itertools

import numpy as np
import pyomo.environ as pyo
from scipy import sparse

from pyomo_relugrad.network import Network
from pyomo_relugrad.problem import EmbeddedNetwork, Problem

FAMILIES = ("window", "equality", "integer", "chained", "shared", "quadratic")
#: Numbers of inputs of large models, and of ReLUs.
LARGE_INPUTS, LARGE_RELUS = (12, 41), (24, 65)


def random_network(rng: np.random.Generator, sizes: tuple[int, ...]) -> Network:
    """A dense ReLU chain with He weights."""
    weights = [rng.normal(size=(b, a)) * np.sqrt(2 / a) for a, b in itertools.pairwise(sizes)]
    return Network.from_layers(weights, [rng.normal(size=b) * 0.3 for b in sizes[1:]])


class _Builder:
    """Collects columns and rows."""

    def __init__(self, rng: np.random.Generator, is_large: bool) -> None:
        self.rng, self.is_large = rng, is_large
        self.lower, self.upper, self.integers, self.networks, self.rows = [], [], [], [], []

    def count(self, low: int, high: int) -> int:
        """A number of inputs from `low` on and below `high`; of a large model, more."""
        return int(self.rng.integers(*(LARGE_INPUTS if self.is_large else (low, high))))

    def widths(self, *small: int, n_layers: int = 2) -> tuple[int, ...]:
        """Widths of hidden layers, of so many in all networks together; of a large model, greater ones."""
        low, high = (count // n_layers for count in LARGE_RELUS)
        return tuple(self.rng.integers(low, high, size=len(small)).tolist()) if self.is_large else small

    def columns(self, count: int, lower: float = -np.inf, upper: float = np.inf, integer: bool = False) -> np.ndarray:
        first = len(self.lower)
        self.lower += [lower] * count
        self.upper += [upper] * count
        self.integers += [integer] * count
        return np.arange(first, first + count)

    def embed(self, network: Network, inputs: np.ndarray) -> np.ndarray:
        outputs = self.columns(network.n_outputs)
        self.networks.append(EmbeddedNetwork(network, inputs, outputs, f"network {len(self.networks)}"))
        return outputs

    def row(self, columns: np.ndarray, coefficients: np.ndarray, lower: float, upper: float) -> None:
        self.rows.append((np.asarray(columns), np.asarray(coefficients, float), lower, upper))

    def typical_outputs(self, count: int = 200) -> np.ndarray:
        """Outputs at random points, by which windows are placed."""
        n = len(self.lower)
        problem = Problem(np.zeros(n), np.array(self.lower), np.array(self.upper), networks=tuple(self.networks))
        lower = np.where(np.isfinite(problem.lower), problem.lower, -1.0)
        upper = np.where(np.isfinite(problem.upper), problem.upper, 1.0)
        points = self.rng.uniform(lower, upper, size=(count, n))
        return problem.propagate(np.where(self.integers, np.round(points), points))

    def problem(self, cost: dict[int, float], quadratic: np.ndarray | None = None, maximize: bool = False) -> Problem:
        n, m = len(self.lower), len(self.rows)
        rows = np.zeros((m, n))
        for index, (columns, coefficients, _, _) in enumerate(self.rows):
            np.add.at(rows[index], columns, coefficients)
        dense_cost = np.zeros(n)
        dense_cost[list(cost)] = list(cost.values())
        return Problem(
            dense_cost,
            np.array(self.lower, float),
            np.array(self.upper, float),
            sparse.csr_array(rows),
            np.array([row[2] for row in self.rows], float),
            np.array([row[3] for row in self.rows], float),
            np.array(self.integers, bool),
            tuple(self.networks),
            None if quadratic is None else sparse.csr_array(quadratic),
            maximize=maximize,
        )


def random_problem(family: str, seed: int, is_large: bool = False) -> Problem:
    """One model of a family; some of them have no feasible point."""
    rng = np.random.default_rng([FAMILIES.index(family), seed])
    return globals()[f"_{family}"](_Builder(rng, is_large), rng)


def _cost(rng: np.random.Generator, columns: np.ndarray) -> dict[int, float]:
    return dict(zip(columns.tolist(), rng.normal(size=columns.size).tolist(), strict=True))


def _window_rows(builder: _Builder, rng: np.random.Generator, outputs: np.ndarray) -> None:
    """A two-sided window on one output, and a cap on another."""
    typical = builder.typical_outputs()[:, outputs]
    middle, spread = np.quantile(typical[:, 0], rng.uniform(0.1, 0.9)), typical[:, 0].std()
    builder.row(outputs[:1], [1.0], middle - 0.15 * spread, middle + 0.15 * spread)
    builder.row(outputs[1:2], [1.0], -np.inf, np.quantile(typical[:, 1], rng.uniform(0.2, 0.8)))


def _window(builder: _Builder, rng: np.random.Generator) -> Problem:
    inputs = builder.columns(builder.count(3, 9), -1.0, 1.0)
    widths = builder.widths(*rng.integers(5, 13, size=2).tolist())
    outputs = builder.embed(random_network(rng, (inputs.size, *widths, 3)), inputs)
    builder.row(inputs, rng.normal(size=inputs.size), -np.inf, rng.uniform(0.0, 1.0))
    _window_rows(builder, rng, outputs)
    return builder.problem({**_cost(rng, inputs), **_cost(rng, outputs)}, maximize=bool(rng.integers(2)))


def _equality(builder: _Builder, rng: np.random.Generator) -> Problem:
    inputs = builder.columns(builder.count(3, 7), 0.0, 2.0)
    outputs = builder.embed(random_network(rng, (inputs.size, *builder.widths(10, 8), 2)), inputs)
    extra = builder.columns(2, -5.0, 5.0)
    typical = builder.typical_outputs()
    target = np.quantile(typical[:, outputs[0]] - typical[:, inputs[0]], rng.uniform(0.2, 0.8))
    builder.row(np.array([outputs[0], inputs[0]]), [1.0, -1.0], target, target)
    builder.row(np.array([extra[0], outputs[1], inputs[1]]), [1.0, -1.0, -0.5], 0.0, 0.0)
    builder.row(np.array([extra[1], extra[0], inputs[2]]), [1.0, 1.0, 1.0], 1.0, np.inf)
    return builder.problem({**_cost(rng, inputs), extra[0]: rng.normal(), extra[1]: abs(rng.normal())})


def _integer(builder: _Builder, rng: np.random.Generator) -> Problem:
    n_more = builder.count(7, 8) - 7
    continuous = builder.columns(2 + n_more // 2, -1.0, 1.0)
    integers = builder.columns(2, -3.0, 3.0, integer=True)
    binaries = builder.columns(3 + n_more - n_more // 2, 0.0, 1.0, integer=True)
    inputs = np.concatenate([continuous, integers, binaries])
    outputs = builder.embed(random_network(rng, (inputs.size, *builder.widths(8, 8), 3)), inputs)
    whole = inputs[continuous.size :]
    builder.row(whole, rng.uniform(0.5, 2.0, size=whole.size), -np.inf, rng.uniform(1.0, 4.0) * (whole.size / 5))
    _window_rows(builder, rng, outputs)
    return builder.problem({**_cost(rng, inputs), **_cost(rng, outputs)}, maximize=bool(rng.integers(2)))


def _chained(builder: _Builder, rng: np.random.Generator) -> Problem:
    inputs = builder.columns(builder.count(3, 6), -1.0, 1.0)
    middle = builder.embed(random_network(rng, (inputs.size, *builder.widths(8, n_layers=3), 2)), inputs)
    own = builder.columns(1, -1.0, 1.0)
    last = random_network(rng, (3, *builder.widths(8, 6, n_layers=3), 2))
    outputs = builder.embed(last, np.concatenate([middle, own]))
    typical = builder.typical_outputs()
    builder.row(outputs[:1], [1.0], np.quantile(typical[:, outputs[0]], 0.6), np.inf)
    builder.row(middle[:1], [1.0], -np.inf, np.quantile(typical[:, middle[0]], 0.7))
    return builder.problem({**_cost(rng, inputs), **_cost(rng, own), outputs[1]: rng.normal()})


def _shared(builder: _Builder, rng: np.random.Generator) -> Problem:
    inputs = builder.columns(builder.count(5, 6), -1.0, 1.0)
    first = random_network(rng, (inputs.size - 1, *builder.widths(8, 6, n_layers=5), 1))
    second = random_network(rng, (inputs.size, *builder.widths(9, n_layers=5), 2))
    outputs = np.concatenate(
        [builder.embed(first, inputs[:-1]), builder.embed(first, inputs[1:]), builder.embed(second, inputs)]
    )
    typical = builder.typical_outputs()[:, outputs]
    total = typical[:, 0] + typical[:, 1]
    builder.row(outputs[:2], [1.0, 1.0], np.quantile(total, 0.7), np.inf)
    builder.row(np.array([outputs[2], inputs[0]]), [1.0, 1.0], -np.inf, np.quantile(typical[:, 2], 0.5))
    return builder.problem({**_cost(rng, inputs), **_cost(rng, outputs)})


def _quadratic(builder: _Builder, rng: np.random.Generator) -> Problem:
    inputs = builder.columns(builder.count(3, 6), -1.0, 1.0)
    outputs = builder.embed(random_network(rng, (inputs.size, *builder.widths(8, 6), 2)), inputs)
    typical = builder.typical_outputs()[:, outputs]
    builder.row(outputs[:1], [1.0], np.quantile(typical[:, 0], 0.7), np.inf)
    n = len(builder.lower)
    factor = rng.normal(size=(n, n)) * np.isin(np.arange(n), [*inputs, outputs[1]])
    return builder.problem(_cost(rng, inputs), quadratic=factor.T @ factor)


def as_pyomo(problem: Problem) -> pyo.ConcreteModel:
    """The same model in Pyomo: variables ``v``, one network block per embedded network, rows linking ``v``."""
    from pyomo_relugrad.modeling.block import ReluNetworkBlock

    def expression(columns, coefficients):
        return pyo.quicksum(float(a) * model.v[int(i)] for i, a in zip(columns, coefficients, strict=True))

    def bound(value):
        return None if np.isinf(value) else float(value)

    model = pyo.ConcreteModel()
    model.v = pyo.Var(range(problem.n_columns))
    for index in range(problem.n_columns):
        model.v[index].setlb(bound(problem.lower[index]))
        model.v[index].setub(bound(problem.upper[index]))
        if problem.integers[index]:
            model.v[index].domain = pyo.Integers
    model.networks = pyo.Block(range(len(problem.networks)))
    model.links = pyo.ConstraintList()
    for index, embedded in enumerate(problem.networks):
        block = model.networks[index]
        block.nn = ReluNetworkBlock(network=embedded.network, inputs=[model.v[int(i)] for i in embedded.inputs])
        for place, column in enumerate(embedded.outputs):
            output = block.nn.outputs[place]
            model.links.add(model.v[int(column)] == output)
            model.v[int(column)].setlb(output.lb)
            model.v[int(column)].setub(output.ub)
    model.rows = pyo.ConstraintList()
    for index in range(problem.n_rows):
        row = problem.rows[[index]]
        body = expression(row.indices, row.data)
        model.rows.add((bound(problem.row_lower[index]), body, bound(problem.row_upper[index])))
    objective = expression(np.arange(problem.n_columns), problem.cost) + problem.constant
    if problem.quadratic is not None:
        entries = problem.quadratic.tocoo()
        objective += pyo.quicksum(
            0.5 * float(q) * model.v[int(i)] * model.v[int(j)]
            for i, j, q in zip(entries.row, entries.col, entries.data, strict=True)
        )
    model.objective = pyo.Objective(expr=-objective if problem.maximize else objective)
    if problem.maximize:
        model.objective.sense = pyo.maximize
    return model
