"""What users do to a model with a block of OMLT, at random, and whether values satisfy a model as it stands."""

import itertools
from collections.abc import Callable

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

FORMULATIONS = {
    "bigm": ReluBigMFormulation,
    "full-space": FullSpaceNNFormulation,
    "partition": ReluPartitionFormulation,
    "partition in three": lambda net: ReluPartitionFormulation(net, lambda w: np.array_split(np.argsort(-w), 3)),
}


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
    for layer in layers:
        definition.add_layer(layer)
    for before, after in itertools.pairwise(layers):
        definition.add_edge(before, after)
    return definition


def random_model(rng: np.random.Generator, formulation: str) -> pyo.ConcreteModel:
    """A network of three or four inputs, a budget of the inputs, and something to be maximised."""
    widths = (int(rng.integers(2, 5)), int(rng.integers(2, 6)), int(rng.integers(2, 5)), 2)
    model = pyo.ConcreteModel()
    model.nn = OmltBlock()
    model.nn.build_formulation(FORMULATIONS[formulation](random_definition(rng, widths)))
    first, second = model.nn.outputs.values()
    model.budget = pyo.Constraint(expr=pyo.quicksum(model.nn.inputs.values()) <= 1.5 * widths[0])
    model.best = pyo.Objective(expr=first - 0.5 * second, sense=pyo.maximize if rng.random() < 0.5 else pyo.minimize)
    return model


# --- edits ----------------------------------------------------------------------------------------------------------

Edit = Callable[[pyo.ConcreteModel, np.random.Generator], None]


def _pick(rng, items):
    items = list(items)
    return items[int(rng.integers(len(items)))]


def hidden(model):
    """The variables inside of the layers."""
    return [v for layer in model.nn.layer.values() for v in layer.component_data_objects(pyo.Var, descend_into=True)]


def continuous(model):
    return [v for v in hidden(model) if v.is_continuous()]


def binaries(model):
    return [v for v in hidden(model) if v.parent_component().local_name in ("q_relu", "sig")]


def inner_constraints(model):
    return list(model.nn.component_data_objects(pyo.Constraint, active=True, descend_into=True))


def _somewhere(variable, rng):
    """A value in the range of a variable, more often near its middle."""
    low, high = (limit if limit is not None else side for limit, side in zip(variable.bounds, (-1.0, 1.0)))
    return float(low + (high - low) * rng.beta(2, 2))


def bound_hidden(model, rng):
    for _ in range(int(rng.integers(1, 3))):
        variable = _pick(rng, continuous(model))
        (variable.setlb if rng.random() < 0.4 else variable.setub)(_somewhere(variable, rng))


def bound_repeated_inputs(model, rng):
    variables = [*model.nn.scaled_inputs.values(), *model.nn.layer[model.nn.layers.first()].z.values()]
    _pick(rng, variables).setub(float(rng.uniform(-0.5, 0.8)))


def bound_scaled_outputs(model, rng):
    variable = _pick(rng, model.nn.scaled_outputs.values())
    (variable.setlb if rng.random() < 0.5 else variable.setub)(float(rng.normal()))


def widen_inputs(model, rng):
    model.nn.inputs.setlb(-5.0)
    if rng.random() < 0.5:
        model.nn.scaled_inputs.setlb(-4.0)
    if rng.random() < 0.5:
        model.nn.layer[model.nn.layers.first()].z.setlb(-3.0)


def fix_hidden(model, rng):
    variable = _pick(rng, continuous(model))
    variable.fix(_somewhere(variable, rng))


def fix_repeated_input(model, rng):
    variables = [*model.nn.scaled_inputs.values(), *model.nn.layer[model.nn.layers.first()].z.values()]
    _pick(rng, variables).fix(float(rng.uniform(-1, 1)))


def hold_pattern(model, rng):
    for variable in binaries(model):
        if rng.random() < 0.3:
            variable.fix(int(rng.integers(2)))


def bound_binary(model, rng):
    for variable in binaries(model)[:2]:
        (variable.setlb if rng.random() < 0.5 else variable.setub)(int(rng.integers(2)))


def relax_all(model, rng):
    name = _pick(rng, ["core.relax_integer_vars", "core.relax_integrality"])
    pyo.TransformationFactory(name).apply_to(model)


def relax_some(model, rng):
    for variable in binaries(model):
        if rng.random() < 0.5:
            variable.domain = _pick(rng, [pyo.UnitInterval, pyo.PercentFraction])


def fraction_of_a_binary(model, rng):
    for variable in binaries(model)[:1]:
        variable.fix(0.5)


def deactivate_rows(model, rng):
    for _ in range(int(rng.integers(1, 3))):
        _pick(rng, inner_constraints(model)).deactivate()


def deactivate_component(model, rng):
    layer = _pick(rng, list(model.nn.layer.values())[1:])
    _pick(rng, layer.component_objects(pyo.Constraint, descend_into=True)).deactivate()


def deactivate_layer(model, rng):
    _pick(rng, list(model.nn.layer.values())[1:]).deactivate()


def delete_component(model, rng):
    layer = _pick(rng, list(model.nn.layer.values())[1:])
    component = _pick(rng, layer.component_objects(pyo.Constraint, descend_into=True))
    component.parent_block().del_component(component)


def delete_row(model, rng):
    constraint = _pick(rng, inner_constraints(model))
    if constraint.parent_component() is not constraint:
        del constraint.parent_component()[constraint.index()]


def limit_sum(model, rng):
    layer = _pick(rng, list(model.nn.layer.values())[1:])
    owner = _pick(rng, [model, model.nn, layer])
    owner.activity = pyo.Constraint(expr=pyo.quicksum(layer.z.values()) <= float(rng.uniform(0.2, 2)))


def compare_hidden(model, rng):
    first, second = _pick(rng, continuous(model)), _pick(rng, continuous(model))
    model.compared = pyo.Constraint(expr=first - second <= float(rng.uniform(-0.3, 0.5)))


def count_active(model, rng):
    if binaries(model):
        count = pyo.quicksum(binaries(model))
        model.count = pyo.Constraint(expr=count <= len(binaries(model)) // 2 + 1)


def price_hidden(model, rng):
    terms = [float(rng.normal()) * _pick(rng, hidden(model)) for _ in range(3)]
    model.best.set_value(model.best.expr + pyo.quicksum(terms))


def switch_by_hidden(model, rng):
    model.switch = pyo.Var(domain=pyo.Binary)
    variable = _pick(rng, continuous(model))
    model.switched = pyo.Constraint(expr=variable <= _somewhere(variable, rng) + 10 * model.switch)
    model.best.set_value(model.best.expr - model.best.sense * -0.2 * model.switch)


def whole_activation(model, rng):
    _pick(rng, continuous(model)).domain = pyo.Integers


def change_coefficient(model, rng):
    constraint = _pick(rng, [c for c in inner_constraints(model) if c.body.polynomial_degree() == 1])
    variable = _pick(rng, hidden(model))
    low, body, high = constraint.to_bounded_expression()
    body = body + float(rng.choice([1e-3, 0.3])) * variable
    constraint.set_value((low, body, high))


def change_big_m(model, rng):
    for layer in model.nn.layer.values():
        for name in ("_big_m_ub_relu", "_big_m_lb_relu"):
            parameter = layer.component(name)
            if parameter is not None:
                index = _pick(rng, parameter)
                parameter[index] = pyo.value(parameter[index]) * float(rng.choice([0.3, 0.5, 3.0]))


def change_scaling(model, rng):
    index = _pick(rng, model.nn._scale_input_constraint)
    model.nn._scale_input_constraint[index].set_value(model.nn.scaled_inputs[index] == 0.5 * model.nn.inputs[index])


def own_block_inside(model, rng):
    model.nn.mine = pyo.Block()
    model.nn.mine.slack = pyo.Var(bounds=(0, 1))
    variable = _pick(rng, continuous(model))
    model.nn.mine.row = pyo.Constraint(expr=variable <= _somewhere(variable, rng) + model.nn.mine.slack)
    model.best.set_value(model.best.expr + model.best.sense * 0.3 * model.nn.mine.slack)


EDITS: dict[str, Edit] = {
    edit.__name__: edit
    for edit in (
        bound_hidden, bound_repeated_inputs, bound_scaled_outputs, widen_inputs, fix_hidden, fix_repeated_input,
        hold_pattern, bound_binary, relax_all, relax_some, fraction_of_a_binary, deactivate_rows, deactivate_component,
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
    for variable in model.component_data_objects(pyo.Var, active=True, descend_into=True):
        if variable.value is None or variable.fixed:
            continue
        low, high = variable.bounds
        outside = max(
            -np.inf if low is None else low - variable.value, -np.inf if high is None else variable.value - high
        )
        fraction = 0.0 if variable.is_continuous() else abs(variable.value - round(variable.value))
        if max(outside, fraction) > tolerance:
            found.append(variable.name)
    return found


def optimum(model: pyo.ConcreteModel) -> tuple[str, float | None]:
    """What HiGHS finds on the rows of a copy: the termination condition, and the optimum."""
    copy = model.clone()
    solver = pyo.SolverFactory("appsi_highs")
    solver.options = {"mip_rel_gap": 1e-9, "mip_abs_gap": 1e-9}
    results = solver.solve(copy, load_solutions=False)
    condition = str(results.solver.termination_condition)
    if condition == "optimal":
        copy.solutions.load_from(results)
        return condition, pyo.value(copy.best)
    return condition, None
