"""The one place that registers the solvers and the transformation with Pyomo."""

from pyomo.contrib.solver.common.factory import SolverFactory
from pyomo.core import TransformationFactory

from pyomo_relugrad.exact_solver import LegacyRelugradExact, RelugradExact
from pyomo_relugrad.legacy_solver import LegacyRelugrad
from pyomo_relugrad.solver import Relugrad
from pyomo_relugrad.transform import ExpandToOmlt


def load() -> None:
    """Register with Pyomo's factories; ``import pyomo_relugrad`` does it."""
    SolverFactory.register("relugrad", doc="Local search over trained ReLU networks")(Relugrad, LegacyRelugrad)
    exact = SolverFactory.register("relugrad.exact", doc="Search and proof over trained ReLU networks")
    exact(RelugradExact, LegacyRelugradExact)
    TransformationFactory.register("relugrad.omlt", doc="Expand network blocks into OMLT formulations")(ExpandToOmlt)
