"""What the solvers say of a model of `user_models`, judged by Pyomo's own evaluation and by OMLT's rows with HiGHS."""

import time
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyomo.environ as pyo
from judgement import Judgement, reason
from pyomo.opt import TerminationCondition
from user_models import UserModel, user_model

import pyomo_relugrad  # noqa: F401 - registers the solvers and the transformation
from pyomo_relugrad.errors import RelugradError

#: Violations relative to 1 + |value| that count as none: the solvers' own tolerance is 1e-6, absolute.
FEASIBLE = 3e-6

#: What rows may be violated by, as the solvers say; where they are flat, that buys a good deal of the objective.
TOLERANCE = 1e-6

#: How the fault begins that a point is too good.
BETTER = "better than possible"

#: What is left between two optima, relative to 1 + |optimum|: the gap to which exact proves, and HiGHS's tolerances.
OPTIMAL = 3e-4

#: Bounds in the oracle on inputs that have none, since a big-M formulation needs some.
BOX, LARGE_BOX = 50.0, 500.0

#: Seconds that a solve may take, by solver.
LIMITS = {"relugrad": 0.3, "relugrad.exact": 2.0}
ITERATIONS = 60


@dataclass(frozen=True)
class Truth:
    """What HiGHS says of OMLT's rows.

    Parameters
    ----------
    status : str
        ``optimal``, ``infeasible``, or ``unknown``.
    value : float
        The optimum, in the model's sense; NaN where there is none or the objective is quadratic.
    is_restricted : bool
        Whether inputs were bounded for it, and a larger box has a better optimum: then only what was found counts.
    """

    status: str
    value: float = np.nan
    is_restricted: bool = False


def truth(seed: int, without: Collection[str] = (), tolerance: float = 0.0) -> Truth:
    """The optimum of the model, its rows relaxed by a tolerance, by the expansion of its networks and HiGHS."""
    small = _truth(seed, without, BOX, tolerance)
    if not small.is_restricted:
        return small
    large = _truth(seed, without, LARGE_BOX, tolerance)
    settled = small.status == large.status == "optimal" and abs(small.value - large.value) <= 1e-6 * (
        1.0 + abs(large.value)
    )
    if settled:
        return Truth("optimal", large.value)
    return large if large.status == "optimal" else small if small.status == "optimal" else Truth("unknown")


def _truth(seed: int, without: Collection[str], box: float, tolerance: float) -> Truth:
    """The same, with the box for what has no bounds."""
    built = user_model(seed, without)
    restricted = _bound_all(built, box)
    m = built.model
    if tolerance:
        _relax(m, tolerance)
    if "quadratic objective" in built.features:
        m.objective.set_value(0.0)
    try:
        pyo.TransformationFactory("relugrad.omlt").apply_to(m)
    except RelugradError:
        return Truth("unknown")
    solver = pyo.SolverFactory("appsi_highs")
    solver.options["mip_rel_gap"] = 1e-9
    try:
        results = solver.solve(m, timelimit=10, load_solutions=False)
    except ValueError as error:  # bounds that exclude one another
        return Truth("infeasible" if "infeasible" in str(error).lower() else "unknown")
    condition = results.solver.termination_condition
    if condition == TerminationCondition.optimal:
        m.solutions.load_from(results)
        value = np.nan if "quadratic objective" in built.features else pyo.value(m.objective)
        return Truth("optimal", value, restricted)
    return Truth("infeasible" if condition == TerminationCondition.infeasible else "unknown", np.nan, restricted)


def _relax(m: Any, tolerance: float) -> None:
    """Move the sides of the model's own rows apart."""
    for row in m.component_data_objects(pyo.Constraint, active=True, descend_into=False):
        low, body, high = row.to_bounded_expression(evaluate_bounds=True)
        row.set_value((None if low is None else low - tolerance, body, None if high is None else high + tolerance))


def _bound_all(built: UserModel, box: float) -> bool:
    """Give bounds to what has none; whether they restrict the model."""
    is_restricted = False
    for variable in (*built.model.x.values(), *built.model.u.values()):
        if (variable.lb is None or variable.ub is None) and not variable.fixed:
            is_restricted = True
            variable.setlb(-box if variable.lb is None else variable.lb)
            variable.setub(box if variable.ub is None else variable.ub)
    scale = box / BOX
    for variable, low, high in built.ranges:
        variable.setlb(scale * low - scale if variable.lb is None else variable.lb)
        variable.setub(scale * high + scale if variable.ub is None else variable.ub)
    return is_restricted


def judge(
    name: str, seed: int, known: Truth, without: Collection[str] = (), time_limit: float | None = None
) -> Judgement:
    """Solve the model of a seed and check all that is said; `seconds` is the time beyond the limit."""
    limit = LIMITS[name] if time_limit is None else time_limit
    built = user_model(seed, without)
    before = [v.value for v in built.model.component_data_objects(pyo.Var)]
    options: dict[str, Any] = {"time_limit": limit, "warmstart": "start" in built.features, "seed": seed % 100}
    if name == "relugrad":
        options["iteration_limit"] = ITERATIONS
    start = time.perf_counter()
    try:
        results = pyo.SolverFactory(name).solve(built.model, **options)
    except RelugradError as error:
        return Judgement(f"{name}: refused: {reason(str(error))}")
    except Exception as error:
        return Judgement(f"{name}: FAULT: raw error", f"{type(error).__name__}: {error}")
    overrun = time.perf_counter() - start - limit
    outcome, faults = _check(built, results, known, before)
    if any(map(_is_better, faults)):  # unless the tolerance of rows buys it
        relaxed = _check(built, results, truth(seed, without, TOLERANCE), before)[1]
        faults = [fault for fault in faults if not _is_better(fault) or any(map(_is_better, relaxed))]
    if faults:
        return Judgement(f"{name}: FAULT: {faults[0].partition(':')[0]}", "; ".join(faults), overrun)
    return Judgement(f"{name}: {outcome}", "", overrun)


def _is_better(fault: str) -> bool:
    return fault.startswith(BETTER)


def _check(built: UserModel, results: Any, known: Truth, before: list[Any]) -> tuple[str, list[str]]:
    condition = results.solver.termination_condition
    is_minimized = built.model.objective.sense == pyo.minimize
    found, bound = results.problem.upper_bound, results.problem.lower_bound
    if not is_minimized:
        found, bound = bound, found
    found = None if found is None or not np.isfinite(found) else float(found)
    bound = None if bound is None or not np.isfinite(bound) else float(bound)
    sign = 1.0 if is_minimized else -1.0
    faults = []
    if found is None:
        if [v.value for v in built.model.component_data_objects(pyo.Var)] != before:
            faults.append("values changed: the solve found nothing, but the model's values are not as they were")
        if condition in (TerminationCondition.optimal, TerminationCondition.feasible):
            faults.append(f"claim without a point: {condition}")
    else:
        faults += point_faults(built, found)
        if _is_beyond_the_boxes(built):
            known = replace(known, is_restricted=True)
    if known.status == "optimal":
        faults += _claim_faults(condition, sign, found, bound, known)
    return f"{condition}, {_compared(found, sign, known)}", faults


def _is_beyond_the_boxes(built: UserModel) -> bool:
    """Whether the point lies where the oracle has not looked: what grows without end may first fall."""
    variables = (*built.model.x.values(), *built.model.u.values())
    return any(v.value is not None and abs(v.value) > LARGE_BOX for v in variables)


def _claim_faults(condition: Any, sign: float, found: float | None, bound: float | None, known: Truth) -> list[str]:
    """What contradicts a model that has a point with the value of the oracle, which is its optimum if unrestricted."""
    if condition == TerminationCondition.infeasible:
        return ["false infeasible: HiGHS has a point"]
    if np.isnan(known.value):
        return []
    slack, best, faults = OPTIMAL * (1.0 + abs(known.value)), sign * known.value, []
    if condition == TerminationCondition.optimal and (found is None or sign * found > best + slack):
        faults.append(f"false optimal: {found}, but HiGHS has {known.value}")
    if bound is not None and sign * bound > best + 0.1 * slack:
        faults.append(f"false bound: {bound}, but HiGHS has {known.value}")
    if not known.is_restricted and found is not None and sign * found < best - slack:
        faults.append(f"{BETTER}: {found}, but the optimum is {known.value}")
    if not known.is_restricted and condition == TerminationCondition.unbounded and found is None:
        faults.append(f"false unbounded: the optimum is {known.value}")
    return faults


def _compared(found: float | None, sign: float, known: Truth) -> str:
    if known.status == "infeasible":
        return "no point" if found is None else "a point that HiGHS does not have"
    if found is None:
        return "no point where there is one" if known.status == "optimal" else "no point"
    if np.isnan(known.value) or known.is_restricted:
        return "a point"
    return "optimum" if sign * (found - known.value) <= OPTIMAL * (1.0 + abs(known.value)) else "a worse point"


def point_faults(built: UserModel, found: float) -> list[str]:
    """What is wrong with the point in the model."""
    faults = []
    value = pyo.value(built.model.objective, exception=False)
    if value is None or abs(value - found) > 1e-6 * (1.0 + abs(found)):
        faults.append(f"wrong objective: reported {found}, the model's is {value}")
    for variable in built.model.component_data_objects(pyo.Var, active=True):
        faults += _variable_faults(variable)
    for row in built.model.component_data_objects(pyo.Constraint, active=True, descend_into=True):
        body = pyo.value(row.body, exception=False)
        if body is None:
            faults.append(f"no value: {row.name} cannot be evaluated")
            continue
        low, high = (side if side is None else pyo.value(side) for side in (row.lower, row.upper))
        if _violation(body, low, high) > FEASIBLE * (1.0 + max(abs(low or 0.0), abs(high or 0.0))):
            faults.append(f"infeasible point: {row.name} is {body}, within [{low}, {high}]")
    if "no function" not in built.features and "relaxed binaries" not in built.features:
        for place, embedded in enumerate(built.networks):
            if embedded.error() > FEASIBLE:
                faults.append(f"wrong network value: network {place} differs by {embedded.error():.2g}")
    return faults[:4]


def _variable_faults(variable: Any) -> list[str]:
    if variable.value is None:
        return [] if variable.stale else [f"no value: {variable.name}"]
    if variable.fixed or variable.stale:  # its bounds do not hold, or nothing refers to it
        return []
    if _violation(variable.value, variable.lb, variable.ub) > FEASIBLE * (1.0 + abs(variable.value)):
        return [f"infeasible point: {variable.name} is {variable.value}, within {variable.bounds}"]
    if variable.is_integer() and abs(variable.value - round(variable.value)) > 1e-5:
        return [f"infeasible point: {variable.name} is {variable.value}, which is not an integer"]
    return []


def _violation(value: float, low: float | None, high: float | None) -> float:
    return max(0.0, -np.inf if low is None else low - value, -np.inf if high is None else value - high)
