"""Proven optima of random models: expansions into OMLT's formulations, solved by HiGHS to optimality."""

import numpy as np
import pyomo.environ as pyo
from pyomo.gdp import Disjunction
from random_models import as_pyomo

import pyomo_relugrad  # noqa: F401 - registers the transformation
from pyomo_relugrad.problem import Problem

#: Cutting planes of a quadratic objective are added until the gap is below this, relative to 1 + |optimum|.
QUADRATIC_GAP = 1e-6

#: Options of HiGHS for that: its own tolerances are as large as the gap.
TIGHT = {"primal_feasibility_tolerance": 1e-9, "mip_feasibility_tolerance": 1e-9}

#: Formulations that HiGHS can solve, complementarity after `conditions_to_disjunctions`.
FORMULATIONS = ("bigm", "partition", "full-space", "complementarity")


def proven_optimum(
    problem: Problem,
    time_limit: float = 60.0,
    ignore_objective: bool = False,
    formulation: str = "bigm",
    bounds: str = "interval",
) -> float | None:
    """The optimum in the sense of `Problem` (to be minimized), infinite if infeasible, None if not proven in time.

    HiGHS solves no mixed-integer quadratic programs: a convex quadratic objective is a sum of squares, and each square
    is approximated by its tangents.
    """
    model = as_pyomo(problem)
    pyo.TransformationFactory("relugrad.omlt").apply_to(model, formulation=formulation, bounds=bounds)
    if formulation == "complementarity":
        conditions_to_disjunctions(model)
    model.objective.deactivate()
    linear = pyo.quicksum(float(c) * model.v[i] for i, c in enumerate(problem.cost) if c and not ignore_objective)
    curvatures, directions = np.zeros(0), np.zeros((problem.n_columns, 0))
    if problem.quadratic is not None and not ignore_objective:
        curvatures, directions = np.linalg.eigh(problem.quadratic.toarray())
        assert curvatures.min() > -1e-9
        curvatures, directions = curvatures[curvatures > 1e-9], directions[:, curvatures > 1e-9]
    along = [pyo.quicksum(float(u) * model.v[i] for i, u in enumerate(direction) if u) for direction in directions.T]
    model.squares = pyo.Var(range(curvatures.size), bounds=(0.0, None))
    model.proof = pyo.Objective(expr=linear + pyo.quicksum(model.squares.values()))
    model.cuts = pyo.ConstraintList()
    while True:
        status = _solve(model, time_limit, TIGHT if curvatures.size else {})
        if status != pyo.TerminationCondition.optimal:
            return np.inf if status == pyo.TerminationCondition.infeasible else None
        v = np.array([model.v[i].value for i in range(problem.n_columns)])
        found = float(problem.objective(v[None, :])[0])
        bound = pyo.value(model.proof) + problem.constant
        if curvatures.size == 0 or found - bound <= QUADRATIC_GAP * (1 + abs(found)):
            return found if curvatures.size else bound
        for k, place in enumerate(directions.T @ v):
            tangent = float(curvatures[k] * place) * along[k] - float(0.5 * curvatures[k] * place**2)
            model.cuts.add(model.squares[k] >= tangent)


def conditions_to_disjunctions(model: pyo.ConcreteModel) -> None:
    """Complementarity conditions, which HiGHS does not take, as big-M disjunctions: a slack or an activation is 0."""
    for block in model.networks.values():
        for layer in block.nn.omlt.layer.values():
            conditions = layer.component("_complementarity")
            if conditions is None:
                continue
            for index, condition in conditions.items():
                condition.ccon.deactivate()
                condition.choice = Disjunction(expr=[[condition.v <= 0], [layer.z[index] <= 0]])
    pyo.TransformationFactory("gdp.bigm").apply_to(model)


def _solve(model: pyo.ConcreteModel, time_limit: float, options: dict[str, float]) -> pyo.TerminationCondition:
    solver = pyo.SolverFactory("appsi_highs")
    solver.options["mip_rel_gap"] = 1e-7
    solver.options.update(options)
    results = solver.solve(model, timelimit=time_limit, load_solutions=False)
    condition = results.solver.termination_condition
    if condition == pyo.TerminationCondition.optimal:
        model.solutions.load_from(results)
    return condition
