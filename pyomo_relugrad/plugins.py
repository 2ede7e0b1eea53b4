"""The one place that registers the solver and the transformation with Pyomo."""

from pyomo.contrib.solver.common.factory import SolverFactory
from pyomo.core import TransformationFactory

from pyomo_relugrad.legacy_solver import LegacyRelugrad
from pyomo_relugrad.solver import Relugrad
from pyomo_relugrad.transform import ExpandToOmlt


def load() -> None:
    """Register with Pyomo's factories; ``import pyomo_relugrad`` does it."""
    SolverFactory.register("relugrad", doc="Local search over trained ReLU networks")(Relugrad, LegacyRelugrad)
    TransformationFactory.register("relugrad.omlt", doc="Expand network blocks into OMLT formulations")(ExpandToOmlt)
