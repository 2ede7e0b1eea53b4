"""Random small Pyomo models as users write them, around networks of this package and of OMLT.

One to three networks that share inputs, feed one another or write the same variables; inputs by name in another order,
as expressions, scaled, fixed, integer, without bounds; rows over all of them, equations, ranges, slacks with a cost,
parameters, deactivated rows; blocks of OMLT to which something was added (`user_changes`). Some models are infeasible.
"""

import itertools
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyomo.environ as pyo
from omlt import OffsetScaling, OmltBlock
from omlt.neuralnet import (
    FullSpaceNNFormulation,
    NetworkDefinition,
    ReluBigMFormulation,
    ReluPartitionFormulation,
)
from omlt.neuralnet.layer import DenseLayer, InputLayer
from user_changes import CHANGES

from pyomo_relugrad.modeling.block import ReluNetworkBlock
from pyomo_relugrad.network import Network, TensorSpec

FORMULATIONS = (ReluBigMFormulation, ReluPartitionFormulation, FullSpaceNNFormulation)
SAMPLES = 200


@dataclass(frozen=True)
class Embedded:
    """A network of the model as a plain function of the values of its inputs, in the user's units."""

    function: Callable[[np.ndarray], np.ndarray]
    inputs: list[Any]
    outputs: list[Any]

    def error(self) -> float:
        """Largest difference between the outputs' values and the function's at the inputs' values, relative to 1."""
        point = np.array([[pyo.value(term) for term in self.inputs]])
        expected, found = self.function(point)[0], np.array([pyo.value(output) for output in self.outputs])
        return float((abs(found - expected) / (1.0 + abs(expected))).max())


@dataclass
class UserModel:
    """A model, its networks, limits that variables between networks never reach, and what is special about it."""

    model: Any
    networks: list[Embedded] = field(default_factory=list)
    ranges: list[tuple[Any, float, float]] = field(default_factory=list)
    features: set[str] = field(default_factory=set)


class _Builder:
    """A model that grows; with values of its variables at random points, by which rows are placed."""

    def __init__(self, rng: np.random.Generator, without: Collection[str]) -> None:
        self.rng, self.without = rng, without
        self.model = pyo.ConcreteModel()
        self.result = UserModel(self.model)
        self.pool: list[Any] = []
        self.samples: dict[int, np.ndarray] = {}
        self.costs: list[Any] = []

    def chance(self, probability: float, feature: str = "") -> bool:
        """Whether to do something; a feature that is left out is never done."""
        happens = bool(self.rng.random() < probability) and feature not in self.without
        if happens and feature:
            self.result.features.add(feature)
        return happens

    def add(self, variable: Any, samples: np.ndarray) -> None:
        self.pool.append(variable)
        self.samples[id(variable)] = samples

    def pick(self, count: int, repeat: bool = False) -> list[Any]:
        chosen = self.rng.choice(len(self.pool), size=count if repeat else min(count, len(self.pool)), replace=repeat)
        return [self.pool[i] for i in chosen]

    def values(self, term: Any) -> np.ndarray:
        """Values of a linear expression of pool variables at the random points."""
        return np.array([float(v) for v in self._at(term)])

    def _at(self, term: Any) -> np.ndarray:
        if id(term) in self.samples:
            return self.samples[id(term)]
        constant, coefficients = _linear(term)
        return constant + sum(a * self.samples[id(v)] for a, v in coefficients) + np.zeros(SAMPLES)


def _linear(term: Any) -> tuple[float, list[tuple[float, Any]]]:
    from pyomo.repn import generate_standard_repn

    repn = generate_standard_repn(term, compute_values=True) if not isinstance(term, (int, float)) else None
    if repn is None:
        return float(term), []
    fixed = [(float(a), v) for a, v in zip(repn.linear_coefs, repn.linear_vars, strict=True)]
    return float(repn.constant), fixed


def user_model(seed: int, without: Collection[str] = ()) -> UserModel:
    """The model of a seed; `without` names features that are left out."""
    rng = np.random.default_rng([11, seed])
    builder = _Builder(rng, without)
    _add_variables(builder)
    count = int(rng.choice([1, 1, 2, 3]))
    for index in range(count):
        if builder.chance(0.3, "omlt"):
            _add_omlt_block(builder, index)
        else:
            _add_network_block(builder, index)
    _add_rows(builder)
    _add_objective(builder)
    if builder.chance(0.05, "relaxed binaries"):
        pyo.TransformationFactory("core.relax_integer_vars").apply_to(builder.model)
    if builder.chance(0.3, "start"):
        _set_start(builder)
    return builder.result


def _add_variables(builder: _Builder) -> None:
    rng, m = builder.rng, builder.model
    count = int(rng.integers(2, 5))
    names = ["speed", "height", "angle", "load"][:count]
    m.x = pyo.Var([names[i] for i in rng.permutation(count)] if builder.chance(0.3) else range(count))
    m.p = pyo.Param(range(3), mutable=True, initialize=dict(enumerate(rng.uniform(0.5, 2.0, size=3).tolist())))
    m.u = pyo.Var(range(int(rng.integers(0, 3))), bounds=(-3, 3))
    for variable in m.x.values():
        low, high = [(-1.0, 1.0), (0.0, 2.0), (-2.0, 0.5), (0.0, 10.0)][rng.integers(4)]
        form = rng.random()
        if form < 0.1:
            variable.domain, (low, high) = pyo.Binary, (0.0, 1.0)
        elif form < 0.2:
            variable.domain, (low, high) = pyo.Integers, (-2.0, 3.0)
        variable.setlb(low)
        variable.setub(high)
        values = rng.uniform(low, high, size=SAMPLES)
        values = np.round(values) if variable.is_integer() else values
        if builder.chance(0.06, "fixed input"):
            variable.fix(float(values[0]))
            values = np.full(SAMPLES, values[0])
        elif builder.chance(0.04, "half open"):
            variable.setub(None)
        builder.add(variable, values)
    for variable in m.u.values():
        builder.add(variable, rng.uniform(-3, 3, size=SAMPLES))
        if builder.chance(0.1, "free variable"):
            variable.setlb(None)
            variable.setub(None)


def _layers(builder: _Builder, n_inputs: int, n_outputs: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    rng = builder.rng
    sizes = (n_inputs, *rng.integers(2, 6, size=int(rng.choice([1, 1, 2]))).tolist(), n_outputs)
    weights = [rng.normal(size=(b, a)) / np.sqrt(a) for a, b in itertools.pairwise(sizes)]
    biases = [0.3 * rng.normal(size=b) for b in sizes[1:]]
    if builder.chance(0.1):
        weights = [np.round(weight) for weight in weights]
    if builder.chance(0.1, "dead neurons"):
        biases[0][0], weights[0][0] = -100.0, weights[0][0]
    if builder.chance(0.1, "large weights"):
        weights[-1] *= 1e3
    return weights, biases


def _value(weights: list[np.ndarray], biases: list[np.ndarray], points: np.ndarray) -> np.ndarray:
    """The chain with a ReLU after each layer but the last, without the package."""
    for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
        points = np.maximum(points @ weight.T + bias, 0.0)
    return points @ weights[-1].T + biases[-1]


def _terms(builder: _Builder, count: int) -> list[Any]:
    """Inputs of a network: variables, some of them repeated, expressions and numbers."""
    terms = builder.pick(count, repeat=builder.chance(0.15, "repeated inputs"))
    terms += [float(builder.rng.normal()) for _ in range(count - len(terms))]
    for place, term in enumerate(terms):
        if builder.chance(0.1, "expression inputs"):
            terms[place] = 0.5 * term + builder.model.p[0] - 1
        elif builder.chance(0.04, "constant inputs"):
            terms[place] = 0.25
    return terms


def _add_network_block(builder: _Builder, index: int) -> None:
    rng, n_inputs, n_outputs = builder.rng, int(builder.rng.integers(1, 4)), int(builder.rng.integers(1, 3))
    weights, biases = _layers(builder, n_inputs, n_outputs)
    network = Network.from_layers(weights, biases)
    terms = _terms(builder, n_inputs)
    arguments: dict[str, Any] = {"inputs": terms}
    if n_inputs > 1 and builder.chance(0.3, "named inputs"):
        specs = tuple(TensorSpec(f"in{place}", (1,)) for place in range(n_inputs))
        network = Network(n_inputs, network.layers, specs, network.outputs)
        order = rng.permutation(n_inputs)
        arguments["inputs"] = {f"in{place}": terms[place] for place in order}
    elif builder.chance(0.2, "inputs by position"):
        arguments["inputs"] = {int(place): terms[place] for place in rng.permutation(n_inputs)}
    offsets, factors, out_offset, out_factor = np.zeros(n_inputs), np.ones(n_inputs), 0.0, 1.0
    if builder.chance(0.2, "scaling"):
        offsets, factors = rng.normal(size=n_inputs), rng.uniform(0.2, 3.0, size=n_inputs)
        out_offset, out_factor = float(rng.normal()), float(rng.uniform(0.2, 3.0))
        arguments["scaling"] = {"inputs": (offsets, factors), "outputs": (out_offset, out_factor)}

    def function(points: np.ndarray) -> np.ndarray:
        return out_offset + out_factor * _value(weights, biases, (points - offsets) / factors)

    block_name = f"nn{index}"
    if builder.chance(0.3, "given outputs"):
        own = pyo.Var(range(n_outputs))
        builder.model.add_component(f"y{index}", own)
        given = list(own.values())
        written = [variable for one in builder.result.networks for variable in one.outputs]
        if written and builder.chance(0.3, "output written twice"):
            given[0] = written[rng.integers(len(written))]
        arguments["outputs"] = given
    builder.model.add_component(block_name, ReluNetworkBlock(network=network, **arguments))
    block = builder.model.component(block_name)
    for variable, term in zip(block.inputs.values(), terms, strict=True):
        _note_range(builder, variable, builder.values(term))
    _embed(builder, function, terms, list(block.outputs.values()))


def _embed(builder: _Builder, function: Callable[..., np.ndarray], terms: list[Any], outputs: list[Any]) -> None:
    builder.result.networks.append(Embedded(function, terms, outputs))
    found = function(np.stack([builder.values(term) for term in terms], axis=1))
    for place, output in enumerate(outputs):
        _note_range(builder, output, found[:, place])
        if id(output) not in builder.samples:
            builder.add(output, found[:, place])


def _note_range(builder: _Builder, variable: Any, values: np.ndarray) -> None:
    """Limits far beyond what a network gives at random points."""
    margin = 50.0 * (1.0 + np.ptp(values))
    builder.result.ranges.append((variable, float(values.min() - margin), float(values.max() + margin)))


def _add_omlt_block(builder: _Builder, index: int) -> None:
    rng, n_inputs, n_outputs = builder.rng, int(builder.rng.integers(1, 4)), int(builder.rng.integers(1, 3))
    weights, biases = _layers(builder, n_inputs, n_outputs)
    variables = [v for v in builder.pool if v.lb is not None and v.ub is not None and not v.fixed] or builder.pool[:1]
    terms = [variables[i] for i in rng.choice(len(variables), size=n_inputs)]
    bounds = {i: (term.lb, term.ub) for i, term in enumerate(terms)}
    if any(None in pair for pair in bounds.values()):
        bounds = dict.fromkeys(bounds, (-5.0, 5.0))
    offsets, factors, out_offset, out_factor = (
        np.zeros(n_inputs),
        np.ones(n_inputs),
        np.zeros(n_outputs),
        np.ones(n_outputs),
    )
    scaling = None
    if builder.chance(0.3, "scaling"):
        offsets, factors = rng.normal(size=n_inputs), rng.uniform(0.2, 3.0, size=n_inputs)
        out_offset, out_factor = rng.normal(size=n_outputs), rng.uniform(0.2, 3.0, size=n_outputs)
        scaling = OffsetScaling(offsets, factors, out_offset, out_factor)
    definition = NetworkDefinition(scaling, unscaled_input_bounds=bounds)
    layers = [InputLayer([n_inputs])]
    definition.add_layer(layers[0])
    for place, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        activation = "linear" if place == len(weights) - 1 else "relu"
        layers.append(DenseLayer([weight.shape[1]], [weight.shape[0]], weight.T, bias, activation=activation))
        definition.add_layer(layers[-1])
        definition.add_edge(layers[-2], layers[-1])
    block = OmltBlock()
    builder.model.add_component(f"omlt{index}", block)
    block.build_formulation(FORMULATIONS[rng.integers(len(FORMULATIONS))](definition))
    links = pyo.ConstraintList()
    builder.model.add_component(f"links{index}", links)
    for place, term in enumerate(terms):
        links.add(block.inputs[place] == term)

    def function(points: np.ndarray) -> np.ndarray:
        return out_offset + out_factor * _value(weights, biases, (points - offsets) / factors)

    _embed(builder, function, terms, [block.outputs[place] for place in range(n_outputs)])
    for name, change in CHANGES.items():
        if builder.chance(0.06, name):
            change(block, rng)
            if name in ("deactivated inner rows", "relaxed binaries"):
                builder.result.features.add("no function")


def _add_rows(builder: _Builder) -> None:
    rng, m = builder.rng, builder.model
    m.rows = pyo.ConstraintList()
    for index in range(int(rng.integers(0, 4))):
        chosen = builder.pick(int(rng.integers(1, 4)))
        if rng.random() < 0.7:
            chosen[0] = builder.result.networks[rng.integers(len(builder.result.networks))].outputs[0]
        coefficients = np.round(rng.normal(size=len(chosen)), 2) + 0.01
        body = sum(float(a) * v for a, v in zip(coefficients, chosen, strict=True))
        typical = sum(a * builder.samples[id(v)] for a, v in zip(coefficients, chosen, strict=True))
        level, spread = float(np.quantile(typical, rng.uniform(0.15, 0.85))), float(typical.std()) + 0.01
        if builder.chance(0.04, "out of reach"):
            level += 20 * spread
        if builder.chance(0.15, "slacks"):
            slack = pyo.Var(bounds=(0, None))
            m.add_component(f"slack{index}", slack)
            builder.costs.append(float(rng.uniform(1, 20)) * slack)
            body = body + slack
        form = rng.random()
        if form < 0.25:
            m.rows.add(body == level)
        elif form < 0.45:
            m.rows.add((level - 0.3 * spread, body, level + 0.3 * spread))
        elif form < 0.6:
            m.rows.add(body * m.p[1] >= level * m.p[1])
        else:
            m.rows.add(body <= level if form < 0.8 else body >= level)
        if builder.chance(0.08, "deactivated row"):
            row = m.rows.add(builder.pool[0] >= 1e3)
            row.deactivate()


def _add_objective(builder: _Builder) -> None:
    rng = builder.rng
    chosen = [*builder.pick(3), builder.result.networks[-1].outputs[0]]
    expression = sum(float(a) * v for a, v in zip(rng.normal(size=len(chosen)), chosen, strict=True))
    sense = 1 if builder.chance(0.5) else -1
    expression = expression + sense * sum(builder.costs)
    if builder.chance(0.05, "constant objective"):
        expression = 1.0
    elif builder.chance(0.06, "quadratic objective"):
        expression = expression + sense * sum((v - 0.3) ** 2 for v in list(builder.model.x.values())[:2])
    builder.model.objective = pyo.Objective(expr=expression, sense=pyo.minimize if sense > 0 else pyo.maximize)


def _set_start(builder: _Builder) -> None:
    """Random values of some of the variables, some of them outside of the bounds."""
    for variable in builder.model.component_data_objects(pyo.Var):
        if not variable.fixed and builder.rng.random() < 0.7:
            variable.set_value(float(builder.rng.normal()), skip_validation=True)
