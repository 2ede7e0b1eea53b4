"""The values in a model as the start of any solver of Pyomo, each told in its own way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyomo.environ as pyo
from pyomo.common.errors import PyomoException
from pyomo.core.expr.visitor import identify_variables
from pyomo.opt.base.solvers import UnknownSolver

from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.words import listed, shown


def solve_from_start(solver: Any, model: Any, **keywords: Any) -> Any:
    """Solve a model from the values of its variables, which the solver takes as a start.

    Pyomo's interfaces name this differently: ``warmstart`` for ``relugrad``, ``appsi_highs``, CBC, and the older
    interfaces of commercial solvers; ``warmstart_discrete_vars`` for newer ones. ``scip_direct`` would take integers
    only, and is given all values: in a nonlinear model it finds no point from integers alone.

    A network has values everywhere after ``TransformationFactory("relugrad.omlt")``, where its inputs have some.

    Parameters
    ----------
    solver : str or solver
        A name for `SolverFactory`, or what it returned.
    model : ConcreteModel
        Every integer variable that occurs must have a value.
    **keywords
        For the solver's ``solve``.

    Returns
    -------
    results
        What ``solve`` returned.

    Raises
    ------
    ModelError
        If an integer variable has no value, the solver is unknown, is not installed, takes no start or finds no point.

    Examples
    --------
    >>> m = pyo.ConcreteModel()
    >>> m.x = pyo.Var(bounds=(0, 2.5), domain=pyo.Integers, initialize=1)
    >>> m.o = pyo.Objective(expr=m.x, sense=pyo.maximize)
    >>> results = solve_from_start("appsi_highs", m)
    >>> m.x.value
    2.0
    """
    if not hasattr(model, "component_data_objects") or not _is_solver(solver):
        raise ModelError(
            f"solve_from_start was given {shown(solver)} and {shown(model)}: give a solver, or its name, and a model, "
            "in this order"
        )
    opt = pyo.SolverFactory(solver) if isinstance(solver, str) else solver
    if isinstance(opt, UnknownSolver):
        raise ModelError(
            f"Pyomo knows no solver '{solver}': give a name that SolverFactory knows, such as 'appsi_highs'"
        )
    name = solver if isinstance(solver, str) else getattr(opt, "name", type(opt).__name__)
    takes_discrete = "warmstart_discrete_vars" in getattr(opt, "config", ())
    if not (takes_discrete or getattr(opt, "warm_start_capable", bool)()):
        raise ModelError(
            f"the interface of solver '{name}' takes no start: use 'appsi_highs' (not 'highs'), "
            "'scip_direct', 'cbc', 'relugrad.exact', or a commercial solver's interface, or solve without a start"
        )
    if isinstance(solver, str) and not opt.available(exception_flag=False):
        raise ModelError(f"solver '{name}' is not installed: install it, or use 'appsi_highs'")
    _refuse_missing_values(model)
    try:
        if not takes_discrete:
            return opt.solve(model, warmstart=True, **keywords)
        with _told_to_start(opt, model):
            return opt.solve(model, **keywords)
    except (RuntimeError, PyomoException) as error:  # Pyomo has no one class for it
        if "feasible solution was not found" not in str(error):
            raise
        raise ModelError(
            f"solver '{name}' found no feasible point, so that the model keeps its values: give it more time, or let "
            "SolverFactory('relugrad').solve(model) name the rows in conflict"
        ) from error


def _is_solver(given: Any) -> bool:
    """Whether it is a solver's name or object; arrays too may have a method `solve`."""
    return isinstance(given, str) or (hasattr(given, "solve") and hasattr(given, "available"))


def _refuse_missing_values(model: Any) -> None:
    """Refuse integer variables without a value, where they occur."""
    variables = model.component_data_objects(pyo.Var, active=True, descend_into=True)
    missing = {id(each): each.name for each in variables if each.value is None and not each.is_continuous()}
    if not missing:
        return
    used = {id(each) for part in _parts(model) for each in identify_variables(part.expr, include_fixed=False)}
    if names := [name for number, name in missing.items() if number in used]:
        raise ModelError(
            f"integer variables have no value, so there is no start: {listed(names)}. Search first, with "
            "SolverFactory('relugrad').solve(model), and apply 'relugrad.omlt' to the model with these values"
        )


def _parts(model: Any) -> Iterator[Any]:
    """Active constraints and objectives."""
    yield from model.component_data_objects((pyo.Constraint, pyo.Objective), active=True, descend_into=True)


@contextmanager
def _told_to_start(opt: Any, model: Any) -> Iterator[None]:
    """A solver of Pyomo's newer interface that starts from values; SCIP from all of them."""
    before = opt.config.warmstart_discrete_vars
    opt.config.warmstart_discrete_vars = True
    gives_all = hasattr(opt, "_mipstart") and hasattr(opt, "_obj_var")  # what Pyomo's interfaces to SCIP have
    if gives_all:
        opt._mipstart = lambda: _add_all_values(opt, model)
    try:
        yield
    finally:
        opt.config.warmstart_discrete_vars = before
        if gives_all:
            del opt._mipstart


def _add_all_values(opt: Any, model: Any) -> None:
    """Give SCIP the values of all variables, and of the column that stands for the objective."""
    scip = opt._solver_model
    columns = opt._pyomo_var_to_solver_var_map
    is_complete = all(variable.value is not None for variable in columns)
    solution = scip.createSol() if is_complete else scip.createPartialSol()
    for variable, column in columns.items():
        if variable.value is not None:
            solution[column] = variable.value
    if is_complete:
        objectives = list(model.component_data_objects(pyo.Objective, active=True, descend_into=True))
        solution[opt._obj_var] = pyo.value(objectives[0]) if objectives else 0.0
    scip.addSol(solution)
