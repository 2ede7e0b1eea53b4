"""The one place that registers the solvers and the transformation with Pyomo."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from pyomo.common import dependencies
from pyomo.contrib.solver.common.factory import SolverFactory
from pyomo.core import TransformationFactory


def load() -> None:
    """Register with Pyomo's factories; ``import pyomo_relugrad`` does it."""
    _leave_scipy_alone()
    SolverFactory.register("relugrad", doc="Local search over trained ReLU networks")(
        _on_demand("modeling.solver.local", "Relugrad"), _on_demand("modeling.solver.legacy", "LegacyRelugrad")
    )
    SolverFactory.register("relugrad.exact", doc="Search and proof over trained ReLU networks")(
        _on_demand("modeling.solver.exact", "RelugradExact"), _on_demand("modeling.solver.exact", "LegacyRelugradExact")
    )
    expansion = TransformationFactory.register("relugrad.omlt", doc="Expand network blocks into OMLT formulations")
    expansion(_on_demand("modeling.omlt.transform", "ExpandToOmlt"))


def _leave_scipy_alone() -> None:
    """Let Pyomo load SciPy's statistics, interpolation and more when it needs them, not whenever SciPy is imported.

    That takes half a second, a quarter of the first solve in a process.
    """
    finder = getattr(dependencies, "DeferredImportCallbackFinder", None)
    getattr(finder, "_callbacks", {}).pop("scipy", None)


def _on_demand(module: str, name: str) -> Callable[..., Any]:
    """A function that makes an object of the class, whose module is imported when the first one is made."""

    def create(*arguments: Any, **options: Any) -> Any:
        return getattr(import_module(f"pyomo_relugrad.{module}"), name)(*arguments, **options)

    return create
