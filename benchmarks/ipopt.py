"""Ipopt, through CasADi, on the examples with nonlinear models: what a user finds who takes a solver of smooth models.

    pip install casadi
    python benchmarks/ipopt.py pooling price_optimisation --seconds 6

The networks are written out by ``relugrad.omlt``, their ReLUs as complementarity rows or nested in expressions. Ipopt
starts from random points between the bounds until the seconds of processor time are over. It proves nothing, and has no
integers. ``feasible`` counts ends that hold to 1e-6.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import casadi
import numpy as np
import pyomo.environ as pyo
from pyomo.core.expr.visitor import StreamBasedExpressionVisitor, identify_variables

import pyomo_relugrad  # noqa: F401 - registers the transformation

EXAMPLES = Path(__file__).parent.parent / "examples"

#: The functions of the examples that make their models.
MODELS = {"pooling": "refinery", "price_optimisation": "shop", "plant_section": "section"}

FORMULATIONS = ("complementarity", "reduced-space")
TOLERANCE = 1e-6


def model_of(example: str) -> Callable[[], pyo.ConcreteModel]:
    """The function that makes the model of an example, of which only what stands before it is run."""
    path = EXAMPLES / f"{example}.py"
    source = path.read_text()
    end = source.index("# %%", source.index(f"def {MODELS[example]}("))
    names: dict[str, Any] = {"__file__": str(path), "__name__": example}
    exec(compile(source[:end], path, "exec"), names)
    return names[MODELS[example]]


class ToCasadi(StreamBasedExpressionVisitor):
    """Pyomo expressions as CasADi's."""

    def __init__(self, symbols: dict[int, Any]) -> None:
        super().__init__()
        self._symbols = symbols

    def initializeWalker(self, expression: Any) -> tuple[bool, Any]:  # noqa: N802 - Pyomo's name
        """Begin with the whole expression, which may be a variable or a number."""
        return self.beforeChild(None, expression, 0)

    def beforeChild(self, node: Any, child: Any, index: int) -> tuple[bool, Any]:  # noqa: N802 - Pyomo's name
        """What a variable or a number is, without a look inside; True for an expression."""
        if id(child) in self._symbols:
            return False, self._symbols[id(child)]
        is_number = not hasattr(child, "is_potentially_variable") or not child.is_potentially_variable()
        return (False, float(pyo.value(child))) if is_number or child.is_variable_type() else (True, None)

    def exitNode(self, node: Any, data: list[Any]) -> Any:  # noqa: N802 - Pyomo's name
        """An expression of CasADi, given those of its arguments."""
        if node.is_named_expression_type():
            return data[0]
        if node.getname() == "abs":
            return casadi.fabs(data[0])
        # Everything else is built from operators and functions that CasADi has under the same names.
        return node._apply_operation(data) if not hasattr(node, "_fcn") else getattr(casadi, node.getname())(data[0])


def by_ipopt(m: pyo.ConcreteModel, seconds: float, seed: int = 0) -> tuple[float, int, int]:
    """The best objective that holds, NaN where there is none; how many ends hold, and how many starts there were."""
    rows = list(m.component_data_objects(pyo.Constraint, active=True))
    objective = next(m.component_data_objects(pyo.Objective, active=True))
    bodies = [*(row.body for row in rows), objective.expr]
    variables = list({id(v): v for body in bodies for v in identify_variables(body, include_fixed=False)}.values())
    x = casadi.SX.sym("x", len(variables))
    visitor = ToCasadi({id(variable): x[i] for i, variable in enumerate(variables)})
    *g, f = (visitor.walk_expression(body) for body in bodies)
    options = {"ipopt.print_level": 0, "print_time": 0, "ipopt.sb": "yes", "ipopt.max_cpu_time": seconds}
    solver = casadi.nlpsol("ipopt", "ipopt", {"x": x, "f": objective.sense * f, "g": casadi.vertcat(*g)}, options)
    lower, upper = sides(variables)
    row_lower, row_upper = sides(rows)
    rng, begin, values, starts = np.random.default_rng(seed), time.process_time(), [], 0
    low = np.where(np.isfinite(lower), lower, -1.0)
    high = np.where(np.isfinite(upper), upper, low + 2.0)
    while time.process_time() - begin < seconds:
        found = solver(x0=rng.uniform(low, high), lbx=lower, ubx=upper, lbg=row_lower, ubg=row_upper)
        activity = np.array(found["g"]).ravel()
        if max(np.max(row_lower - activity), np.max(activity - row_upper)) <= TOLERANCE:
            values.append(objective.sense * float(found["f"]))
        starts += 1
    best = (min if objective.sense == pyo.minimize else max)(values, default=np.nan)
    return best, len(values), starts


def sides(components: list[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper bounds, infinite where there are none."""
    lower = [-np.inf if each.lb is None else each.lb for each in components]
    return np.array(lower), np.array([np.inf if each.ub is None else each.ub for each in components])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("examples", nargs="*", default=list(MODELS), help=f"of {', '.join(MODELS)} (all)")
    parser.add_argument("--seconds", type=float, default=6.0, help="of processor time for each formulation (6)")
    asked = parser.parse_args()
    sys.path.insert(0, str(EXAMPLES))
    print("| example | formulation | best | feasible | starts |\n|---|---|---|---|---|")
    for example in asked.examples:
        make = model_of(example)
        for formulation in FORMULATIONS:
            m = make()
            try:
                pyo.TransformationFactory("relugrad.omlt").apply_to(m, formulation=formulation)
            except Exception as error:
                print(f"| {example} | {formulation} | refused: {error} | - | - |")
                continue
            best, feasible, starts = by_ipopt(m, asked.seconds)
            print(f"| {example} | {formulation} | {best:.6g} | {feasible} | {starts} |", flush=True)


if __name__ == "__main__":
    main()
