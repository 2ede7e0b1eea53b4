"""The one place that registers the solvers and the transformation with Pyomo."""

from pyomo.contrib.solver.common.factory import SolverFactory
from pyomo.core import TransformationFactory

from pyomo_relugrad.omlt.transform import ExpandToOmlt
from pyomo_relugrad.solver.exact import LegacyRelugradExact, RelugradExact
from pyomo_relugrad.solver.legacy import LegacyRelugrad
from pyomo_relugrad.solver.local import Relugrad


def load() -> None:
    """Register with Pyomo's factories; ``import pyomo_relugrad`` does it."""
    SolverFactory.register("relugrad", doc="Local search over trained ReLU networks")(Relugrad, LegacyRelugrad)
    exact = SolverFactory.register("relugrad.exact", doc="Search and proof over trained ReLU networks")
    exact(RelugradExact, LegacyRelugradExact)
    TransformationFactory.register("relugrad.omlt", doc="Expand network blocks into OMLT formulations")(ExpandToOmlt)
