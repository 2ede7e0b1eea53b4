"""What users add to a block of OMLT after it was built, or take from it: the block then states what it holds."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyomo.environ as pyo


def _hidden(block: Any) -> list[Any]:
    """The hidden layers' blocks."""
    return [block.layer[layer] for layer in list(block.layers)[1:-1]]


def _binaries(block: Any) -> Iterator[Any]:
    yield from (v for v in block.component_data_objects(pyo.Var, descend_into=True) if v.is_binary())


def _pick(values: list[Any], rng: np.random.Generator) -> Any:
    return values[rng.integers(len(values))]


def _bound_activation(block: Any, rng: np.random.Generator) -> None:
    """An activation is kept below a number, or above one."""
    variable = _pick(list(_pick(_hidden(block), rng).z.values()), rng)
    if rng.random() < 0.6:
        variable.setub(float(rng.choice([0.0, 0.2, 0.5])))
    else:
        variable.setlb(float(rng.choice([0.1, 0.3])))


def _bound_preactivation(block: Any, rng: np.random.Generator) -> None:
    variable = _pick(list(_pick(_hidden(block), rng).zhat.values()), rng)
    variable.setub(float(rng.choice([0.0, 0.5]))) if rng.random() < 0.5 else variable.setlb(0.05)


def _fix_activation(block: Any, rng: np.random.Generator) -> None:
    _pick(list(_pick(_hidden(block), rng).z.values()), rng).fix(float(rng.choice([0.0, 0.2])))


def _fix_binary(block: Any, rng: np.random.Generator) -> None:
    binaries = list(_binaries(block))
    if binaries:
        _pick(binaries, rng).fix(int(rng.integers(2)))


def _relax_binaries(block: Any, rng: np.random.Generator) -> None:
    for binary in list(_binaries(block)):
        if rng.random() < 0.7:
            binary.domain = pyo.UnitInterval


def _deactivate_row(block: Any, rng: np.random.Generator) -> None:
    rows = list(_pick(_hidden(block), rng).component_data_objects(pyo.Constraint, active=True, descend_into=True))
    _pick(rows, rng).deactivate()


def _row_on_hidden(block: Any, rng: np.random.Generator) -> None:
    """A row over activations, in the block or beside it."""
    layer = _pick(_hidden(block), rng)
    body = sum(float(rng.uniform(0.5, 1.5)) * v for v in layer.z.values())
    target = block if rng.random() < 0.5 else block.model()
    target.add_component(f"hidden_row_{block.local_name}", pyo.Constraint(expr=body <= float(rng.uniform(0.2, 1.0))))


def _bound_scaled(block: Any, rng: np.random.Generator) -> None:
    """Bounds on scaled inputs or outputs."""
    outputs = [v for v in block.scaled_outputs.values() if v.is_variable_type()]
    inputs = [v for v in block.scaled_inputs.values() if v.is_variable_type()]
    if outputs and rng.random() < 0.5:
        _pick(outputs, rng).setub(float(rng.uniform(0.0, 0.5)))
    elif inputs:
        _pick(inputs, rng).setub(0.2)


def _bound_outputs(block: Any, rng: np.random.Generator) -> None:
    block.outputs[0].setub(float(rng.uniform(-0.3, 0.6)))


def _fix_output(block: Any, rng: np.random.Generator) -> None:
    block.outputs[0].fix(float(rng.uniform(-0.2, 0.2)))


CHANGES: dict[str, Callable[[Any, np.random.Generator], None]] = {
    "bounded activation": _bound_activation,
    "bounded pre-activation": _bound_preactivation,
    "fixed activation": _fix_activation,
    "fixed binary": _fix_binary,
    "relaxed binaries": _relax_binaries,
    "deactivated inner rows": _deactivate_row,
    "row on hidden variables": _row_on_hidden,
    "bounded scaled variables": _bound_scaled,
    "bounded outputs": _bound_outputs,
    "fixed output": _fix_output,
}
"""By what they do."""
