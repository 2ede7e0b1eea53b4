"""What users do to a model with a block of OMLT, at random, and whether values satisfy a model as it stands."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyomo.environ as pyo
from omlt import OffsetScaling, OmltBlock
from omlt.block import ScalarOmltBlock
from omlt.neuralnet import (
    FullSpaceNNFormulation,
    NetworkDefinition,
    ReluBigMFormulation,
    ReluPartitionFormulation,
)
from omlt.neuralnet.layer import DenseLayer, InputLayer, Layer
from pyomo.common.collections import ComponentSet
from pyomo.core.expr.visitor import identify_variables

from pyomo_relugrad.modeling.block import ReluNetworkBlock
from pyomo_relugrad.network import Network

FORMULATIONS = {
    "bigm": ReluBigMFormulation,
    "full-space": FullSpaceNNFormulation,
    "partition": ReluPartitionFormulation,
    "partition in three": lambda net: ReluPartitionFormulation(net, lambda w: np.array_split(np.argsort(-w), 3)),
}


#: Expansions of network blocks, with the bounds that they are given.
EXPANSIONS = ("expanded bigm, interval", "expanded bigm, crown", "expanded partition, interval")


def add_in_a_row(definition: NetworkDefinition, layers: Sequence[Layer]) -> None:
    """Give a network these layers, each of which reads the one before."""
    for layer in layers:
        definition.add_layer(layer)
    for before, after in itertools.pairwise(layers):
        definition.add_edge(before, after)


def dense_layers(network: Network) -> list[Layer]:
    """The layers of a chain of dense ReLU layers, the last one without ReLUs."""
    layers: list[Layer] = [InputLayer([network.n_inputs])]
    for layer in network.layers:
        activation = "linear" if layer is network.layers[-1] else "relu"
        weight = layer.weights[0].T
        layers.append(DenseLayer([weight.shape[0]], [weight.shape[1]], weight, layer.bias, activation=activation))
    return layers


def random_definition(rng: np.random.Generator, widths: tuple[int, ...]) -> NetworkDefinition:
    """A small dense network, sometimes scaled, sometimes with a layer without a ReLU."""
    scaling = None
    if rng.random() < 0.5:
        sizes = (widths[0], widths[0], widths[-1], widths[-1])
        scaling = OffsetScaling(*(rng.uniform(0.5, 2, size) for size in sizes))
    definition = NetworkDefinition(scaling, scaled_input_bounds=dict.fromkeys(range(widths[0]), (-1.0, 1.0)))
    layers = [InputLayer([widths[0]])]
    for number, (a, b) in enumerate(itertools.pairwise(widths), start=1):
        linear = number == len(widths) - 1 or rng.random() < 0.15
        weights, biases = rng.normal(size=(a, b)) / np.sqrt(a), 0.3 * rng.normal(size=b)
        layers.append(DenseLayer([a], [b], weights, biases, activation="linear" if linear else "relu"))
    add_in_a_row(definition, layers)
    return definition


def random_model(rng: np.random.Generator, formulation: str) -> pyo.ConcreteModel:
    """A small network between inputs with a budget and an objective; its block is `built`."""
    widths = (int(rng.integers(2, 5)), int(rng.integers(2, 6)), int(rng.integers(2, 5)), 2)
    model = pyo.ConcreteModel()
    if formulation in EXPANSIONS:
        pairs = list(itertools.pairwise(widths))
        weights = [rng.normal(size=(b, a)) / np.sqrt(a) for a, b in pairs]
        biases = [rng.normal(size=b) for _, b in pairs]
        model.x = pyo.Var(range(widths[0]), bounds=(-1, 1))
        model.nn = ReluNetworkBlock(network=Network.from_layers(weights, biases), inputs=model.x)
        name, _, bounds = formulation.removeprefix("expanded ").partition(", ")
        pyo.TransformationFactory("relugrad.omlt").apply_to(model, formulation=name, bounds=bounds)
    else:
        model.nn = OmltBlock()
        model.nn.build_formulation(FORMULATIONS[formulation](random_definition(rng, widths)))
    inputs, (first, second) = list(model.nn.inputs.values()), model.nn.outputs.values()
    model.budget = pyo.Constraint(expr=pyo.quicksum(inputs) <= 0.5 * widths[0])
    model.best = pyo.Objective(expr=first - 0.5 * second, sense=pyo.maximize if rng.random() < 0.5 else pyo.minimize)
    return model


def built(model: pyo.ConcreteModel) -> Any:
    """The block of OMLT in a random model."""
    return model.nn if isinstance(model.nn, ScalarOmltBlock) else model.nn.omlt


# --- edits ----------------------------------------------------------------------------------------------------------

Edit = Callable[[pyo.ConcreteModel, Any, np.random.Generator], None]


def _pick(rng, items):
    items = list(items)
    return items[int(rng.integers(len(items)))]


def hidden(block):
    """The variables inside of the layers."""
    return [v for layer in block.layer.values() for v in layer.component_data_objects(pyo.Var, descend_into=True)]


def continuous(block):
    return [v for v in hidden(block) if v.is_continuous()]


def binaries(block):
    return [v for v in hidden(block) if v.parent_component().local_name in ("q_relu", "sig")]


def inner_constraints(block):
    return list(block.component_data_objects(pyo.Constraint, active=True, descend_into=True))


def _somewhere(variable, rng):
    """A value in the range of a variable, more often near its middle."""
    low, high = (limit if limit is not None else side for limit, side in zip(variable.bounds, (-1.0, 1.0), strict=True))
    return float(low + (high - low) * rng.beta(2, 2))


def bound_hidden(model, block, rng):
    for _ in range(int(rng.integers(1, 3))):
        variable = _pick(rng, continuous(block))
        (variable.setlb if rng.random() < 0.4 else variable.setub)(_somewhere(variable, rng))


def bound_repeated_inputs(model, block, rng):
    variables = [*block.scaled_inputs.values(), *block.layer[block.layers.first()].z.values()]
    _pick(rng, variables).setub(float(rng.uniform(-0.5, 0.8)))


def bound_scaled_outputs(model, block, rng):
    variable = _pick(rng, block.scaled_outputs.values())
    (variable.setlb if rng.random() < 0.5 else variable.setub)(float(rng.normal()))


def widen_inputs(model, block, rng):
    block.inputs.setlb(-5.0)
    if rng.random() < 0.5:
        block.scaled_inputs.setlb(-4.0)
    if rng.random() < 0.5:
        block.layer[block.layers.first()].z.setlb(-3.0)


def fix_hidden(model, block, rng):
    variable = _pick(rng, continuous(block))
    variable.fix(_somewhere(variable, rng))


def fix_repeated_input(model, block, rng):
    variables = [*block.scaled_inputs.values(), *block.layer[block.layers.first()].z.values()]
    _pick(rng, variables).fix(float(rng.uniform(-1, 1)))


def hold_pattern(model, block, rng):
    for variable in binaries(block):
        if rng.random() < 0.3:
            variable.fix(int(rng.integers(2)))


def bound_binary(model, block, rng):
    for variable in binaries(block)[:2]:
        (variable.setlb if rng.random() < 0.5 else variable.setub)(int(rng.integers(2)))


def relax_all(model, block, rng):
    name = _pick(rng, ["core.relax_integer_vars", "core.relax_integrality"])
    pyo.TransformationFactory(name).apply_to(model)


def relax_some(model, block, rng):
    for variable in binaries(block):
        if rng.random() < 0.5:
            variable.domain = _pick(rng, [pyo.UnitInterval, pyo.PercentFraction])


def deactivate_rows(model, block, rng):
    for _ in range(int(rng.integers(1, 3))):
        _pick(rng, inner_constraints(block)).deactivate()


def deactivate_component(model, block, rng):
    layer = _pick(rng, list(block.layer.values())[1:])
    _pick(rng, layer.component_objects(pyo.Constraint, descend_into=True)).deactivate()


def deactivate_layer(model, block, rng):
    _pick(rng, list(block.layer.values())[1:]).deactivate()


def delete_component(model, block, rng):
    layer = _pick(rng, list(block.layer.values())[1:])
    component = _pick(rng, layer.component_objects(pyo.Constraint, descend_into=True))
    component.parent_block().del_component(component)


def delete_row(model, block, rng):
    constraint = _pick(rng, inner_constraints(block))
    if constraint.parent_component() is not constraint:
        del constraint.parent_component()[constraint.index()]


def limit_sum(model, block, rng):
    layer = _pick(rng, list(block.layer.values())[1:])
    owner = _pick(rng, [model, block, layer])
    owner.activity = pyo.Constraint(expr=pyo.quicksum(layer.z.values()) <= float(rng.uniform(0.2, 2)))


def compare_hidden(model, block, rng):
    first, second = _pick(rng, continuous(block)), _pick(rng, continuous(block))
    model.compared = pyo.Constraint(expr=first - second <= float(rng.uniform(-0.3, 0.5)))


def count_active(model, block, rng):
    if binaries(block):
        count = pyo.quicksum(binaries(block))
        model.count = pyo.Constraint(expr=count <= len(binaries(block)) // 2 + 1)


def price_hidden(model, block, rng):
    terms = [float(rng.normal()) * _pick(rng, hidden(block)) for _ in range(3)]
    model.best.set_value(model.best.expr + pyo.quicksum(terms))


def switch_by_hidden(model, block, rng):
    model.del_component("switch")
    model.del_component("switched")
    model.switch = pyo.Var(domain=pyo.Binary)
    variable = _pick(rng, continuous(block))
    model.switched = pyo.Constraint(expr=variable <= _somewhere(variable, rng) + 10 * model.switch)
    model.best.set_value(model.best.expr - model.best.sense * -0.2 * model.switch)


def whole_activation(model, block, rng):
    _pick(rng, continuous(block)).domain = pyo.Integers


def change_coefficient(model, block, rng):
    constraint = _pick(rng, [c for c in inner_constraints(block) if c.body.polynomial_degree() == 1])
    variable = _pick(rng, hidden(block))
    low, body, high = constraint.to_bounded_expression()
    body = body + float(rng.choice([1e-3, 0.3])) * variable
    constraint.set_value((low, body, high))


def change_big_m(model, block, rng):
    for layer in block.layer.values():
        for name in ("_big_m_ub_relu", "_big_m_lb_relu"):
            parameter = layer.component(name)
            if parameter is not None:
                index = _pick(rng, parameter)
                parameter[index] = pyo.value(parameter[index]) * float(rng.choice([0.3, 0.5, 3.0]))


def change_scaling(model, block, rng):
    index = _pick(rng, block._scale_input_constraint)
    block._scale_input_constraint[index].set_value(block.scaled_inputs[index] == 0.5 * block.inputs[index])


def own_block_inside(model, block, rng):
    block.mine = pyo.Block()
    block.mine.slack = pyo.Var(bounds=(0, 1))
    variable = _pick(rng, continuous(block))
    block.mine.row = pyo.Constraint(expr=variable <= _somewhere(variable, rng) + block.mine.slack)
    model.best.set_value(model.best.expr + model.best.sense * 0.3 * block.mine.slack)


EDITS: dict[str, Edit] = {
    edit.__name__: edit
    for edit in (
        bound_hidden, bound_repeated_inputs, bound_scaled_outputs, widen_inputs, fix_hidden, fix_repeated_input,
        hold_pattern, bound_binary, relax_all, relax_some, deactivate_rows, deactivate_component,
        deactivate_layer, delete_component, delete_row, limit_sum, compare_hidden, count_active, price_hidden,
        switch_by_hidden, whole_activation, change_coefficient, change_big_m, change_scaling, own_block_inside,
    )
}  # fmt: skip


# --- oracles --------------------------------------------------------------------------------------------------------


def broken(model: pyo.ConcreteModel, tolerance: float = 1e-6) -> list[str]:
    """The active constraints, bounds and domains that the values of a model's variables do not satisfy."""
    found = []
    for constraint in model.component_data_objects(pyo.Constraint, active=True, descend_into=True):
        low, body, high = constraint.to_bounded_expression(evaluate_bounds=True)
        value = pyo.value(body)
        if max(-np.inf if low is None else low - value, -np.inf if high is None else value - high) > tolerance:
            found.append(constraint.name)
    rows = model.component_data_objects((pyo.Constraint, pyo.Objective), active=True, descend_into=True)
    for variable in ComponentSet(v for row in rows for v in identify_variables(row.expr, include_fixed=False)):
        low, high = variable.bounds
        outside = max(
            -np.inf if low is None else low - variable.value, -np.inf if high is None else variable.value - high
        )
        fraction = 0.0 if variable.is_continuous() else abs(variable.value - round(variable.value))
        if max(outside, fraction) > tolerance:
            found.append(variable.name)
    return found


def optimum(model: pyo.ConcreteModel, objective: str = "best") -> tuple[str, float | None]:
    """What HiGHS finds on the rows of a copy: the termination condition, and the optimum."""
    copy = model.clone()
    solver = pyo.SolverFactory("appsi_highs")
    solver.options = {"mip_rel_gap": 1e-9, "mip_abs_gap": 1e-9}
    results = solver.solve(copy, load_solutions=False)
    condition = str(results.solver.termination_condition)
    if condition == "optimal":
        copy.solutions.load_from(results)
        return condition, pyo.value(copy.component(objective))
    return condition, None
