"""``SolverFactory('relugrad.exact')``: local search and proof over a Pyomo model with trained ReLU networks."""

from __future__ import annotations

from pyomo.common.config import document_class_CONFIG

from pyomo_relugrad.modeling.solver.config import ExactConfig
from pyomo_relugrad.modeling.solver.legacy import LegacyRelugrad
from pyomo_relugrad.modeling.solver.local import Relugrad
from pyomo_relugrad.solve import solve_exactly


@document_class_CONFIG(methods=["solve"])
class RelugradExact(Relugrad):
    """Solves linear and mixed-integer models with trained ReLU networks, and proves it.

    Local searches find good points, and branch and bound over the networks' inputs or a MILP proves a bound; see
    `pyomo_relugrad.solve`. The solution is called ``optimal`` only where the bound is within ``rel_gap`` or ``abs_gap``
    of it; after a time limit, Ctrl-C or the callback, the results hold the best point, the bound and so the gap.

    Examples
    --------
    >>> import pyomo.environ as pyo
    >>> import pyomo_relugrad
    >>> network = pyomo_relugrad.Network.from_layers([[[1.0], [-1.0]], [[1.0, 0.5]]], [[-0.5, 0.2], [0.0]])
    >>> model = pyo.ConcreteModel()
    >>> model.x = pyo.Var(bounds=(0, 1))
    >>> model.nn = pyomo_relugrad.ReluNetworkBlock(network=network, inputs=[model.x])
    >>> model.profit = pyo.Objective(expr=model.nn.outputs[0] - model.x / 4, sense=pyo.maximize)
    >>> results = pyo.SolverFactory("relugrad.exact").solve(model, time_limit=60)
    >>> str(results.solver.termination_condition), round(pyo.value(model.profit), 4)
    ('optimal', 0.25)
    """

    CONFIG = ExactConfig()
    config: ExactConfig
    proves = True
    name = "relugrad.exact"
    _find = staticmethod(solve_exactly)


@document_class_CONFIG(methods=["solve"])
class LegacyRelugradExact(LegacyRelugrad, RelugradExact):
    """What ``pyo.SolverFactory('relugrad.exact')`` returns: `RelugradExact` with Pyomo's classic results."""

    CONFIG = RelugradExact.CONFIG
