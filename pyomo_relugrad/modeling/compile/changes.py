"""What changed in a model since it was last looked at, as Pyomo's own detector notices it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from weakref import proxy

from pyomo.contrib.observer.component_collector import collector_handlers, handle_skip
from pyomo.contrib.observer.model_observer import ModelChangeDetector, Observer, Reason
from pyomo.core.base.block import BlockData

from pyomo_relugrad.modeling.block.guards import NetworkOutputExpression
from pyomo_relugrad.modeling.compile.components import is_unknown

# The detector looks for variables and parameters among the inputs of a network as among the terms of a sum.
collector_handlers[NetworkOutputExpression] = handle_skip


@dataclass(frozen=True, eq=False)
class Changes:
    """What changed in a model, apart from bounds of variables.

    Parameters
    ----------
    is_structural : bool
        Whether anything but numbers changed: constraints, an expression, the objective, what is fixed, a domain.
    constraints : sequence of ConstraintData, optional
        Active constraints in which a parameter or a fixed variable has another value now.
    objective : bool, optional
        Whether the active objective is such a component, too.
    """

    is_structural: bool
    constraints: Iterable[Any] = ()
    objective: bool = False


class _Detector(ModelChangeDetector):
    """Pyomo's detector, which takes the types of components for known that compiling knows, and no other."""

    def _check_for_unknown_active_components(self) -> None:
        for ctype in self._model.collect_ctypes(active=True, descend_into=True):
            if is_unknown(ctype):
                raise NotImplementedError(f"{ctype.__name__} is not known")


class Watch(Observer):
    """Watches a model for changes.

    Parameters
    ----------
    model : BlockData
        Is not kept alive.

    Raises
    ------
    Exception
        If the model holds something that Pyomo's detector does not know.
    """

    def __init__(self, model: BlockData) -> None:
        self._forget()
        self._detector = _Detector(proxy(model), [self])
        self._forget()

    def changes(self) -> Changes:
        """What changed since this was asked last.

        Raises
        ------
        Exception
            As on creation; the watch is of no use any more.
        """
        self._detector.update()
        changes = Changes(True) if self._is_structural else self._numbers()
        self._forget()
        return changes

    def _forget(self) -> None:
        self._is_structural = False
        self._fixed: list[Any] = []
        self._parameters: list[Any] = []

    def _numbers(self) -> Changes:
        """Where parameters and fixed variables stand whose values changed."""
        detector = self._detector
        constraints: dict[int, Any] = {}
        objectives: list[Any] = []
        for variable in self._fixed:
            constraints.update((id(each), each) for each in detector.get_constraints_impacted_by_var(variable))
            objectives += detector.get_objectives_impacted_by_var(variable)
        for parameter in self._parameters:
            constraints.update((id(each), each) for each in detector.get_constraints_impacted_by_param(parameter))
            objectives += detector.get_objectives_impacted_by_param(parameter)
        return Changes(False, constraints.values(), bool(objectives))

    # --- what the detector calls --------------------------------------------------------------------------------

    def _update_variables(self, variables: Mapping[Any, Reason]) -> None:
        self._is_structural |= any(reason & ~(Reason.bounds | Reason.value) for reason in variables.values())
        self._fixed += [variable for variable, reason in variables.items() if reason & Reason.value]

    def _update_parameters(self, params: Mapping[Any, Reason]) -> None:
        self._is_structural |= any(reason is not Reason.value for reason in params.values())
        self._parameters += params

    def _update_constraints(self, cons: Mapping[Any, Reason]) -> None:
        self._is_structural = True

    def _update_sos_constraints(self, cons: Mapping[Any, Reason]) -> None:
        self._is_structural = True

    def _update_objectives(self, objs: Mapping[Any, Reason]) -> None:
        self._is_structural = True
