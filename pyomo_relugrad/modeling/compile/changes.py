"""What changed in a model since it was last looked at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from operator import is_
from typing import Any

from pyomo.contrib.observer.component_collector import (
    collect_components_from_expr,
    collector_handlers,
    handle_skip,
)
from pyomo.core.base.block import BlockData
from pyomo.core.base.constraint import Constraint
from pyomo.core.base.objective import Objective

from pyomo_relugrad.modeling.block.guards import NetworkOutputExpression
from pyomo_relugrad.modeling.compile.components import active_blocks, is_unknown

# Variables and parameters are looked for among the inputs of a network as among the terms of a sum.
collector_handlers[NetworkOutputExpression] = handle_skip


class UnwatchableError(Exception):
    """A model has parts whose changes are not noticed."""


@dataclass(frozen=True, eq=False)
class Changes:
    """Where a parameter or a fixed variable has another value now.

    Parameters
    ----------
    constraints : iterable of ConstraintData, optional
        Active constraints in which it stands.
    objective : bool, optional
        Whether it stands in the active objective.
    """

    constraints: Iterable[Any] = ()
    objective: bool = False


class Watch:
    """Watches a model for changes, but for those of bounds of variables, which are read each time.

    Expressions cannot be changed, so that a constraint is what it was where its expression is the same object.

    Parameters
    ----------
    model : BlockData
        Is not kept alive.

    Raises
    ------
    UnwatchableError
        If the model holds something whose changes would not be noticed.
    """

    def __init__(self, model: BlockData) -> None:
        self._form = list(_form(model))
        #: Where a variable or parameter stands, by its id.
        self._places: dict[int, list[Any]] = {}
        variables, parameters, self._expressions = dict[int, Any](), dict[int, Any](), list[tuple[Any, Any]]()
        for place in _stated(model):
            expressions, read, given, external = collect_components_from_expr(place.expr)
            if external:
                raise UnwatchableError(f"{place.name} calls an external function")
            self._expressions += [(expression, expression.expr) for expression in expressions]
            for kind, found in ((variables, read), (parameters, given)):
                for part in found:
                    kind[id(part)] = part
                    self._places.setdefault(id(part), []).append(place)
        self._parameters = [(part, part.value) for part in parameters.values()]
        self._variables = [(part, part.domain) for part in variables.values() if not part.fixed]
        self._fixed = [(part, part.domain, part.value) for part in variables.values() if part.fixed]

    def changes(self, model: BlockData) -> Changes | None:
        """What changed in the model since this was asked last.

        Returns
        -------
        Changes or None
            None where anything but numbers changed: constraints, an expression, the objective, what is fixed, a domain.

        Raises
        ------
        UnwatchableError
            As on creation.
        """
        form = list(_form(model))
        is_as_it_was = (
            len(form) == len(self._form)
            and all(map(is_, form, self._form))
            and all(expression.expr is own for expression, own in self._expressions)
            and not any(part.fixed or part.domain is not domain for part, domain in self._variables)
            and all(part.fixed and part.domain is domain for part, domain, _ in self._fixed)
        )
        if not is_as_it_was:
            return None
        changed = [part for part, value in self._parameters if part.value != value]
        changed += [part for part, _, value in self._fixed if part.value != value]
        if not changed:
            return Changes()
        self._parameters = [(part, part.value) for part, _ in self._parameters]
        self._fixed = [(part, domain, part.value) for part, domain, _ in self._fixed]
        places = {id(place): place for part in changed for place in self._places[id(part)]}
        constraints = [place for place in places.values() if place.ctype is Constraint]
        return Changes(constraints, len(constraints) < len(places))


def _form(model: BlockData) -> Iterator[Any]:
    """Everything in a model by whose identity it is seen whether the model has the form that it had.

    These are the components, whether they are active, and what states them.
    """
    for block in active_blocks(model):
        for component in block.component_objects(descend_into=False):
            yield component
            yield component.active
            if component.ctype in (Constraint, Objective):
                for data in component.values() if component.active else ():
                    yield from (data, data.active, data.expr, getattr(data, "sense", None))
            elif component.active and is_unknown(component.ctype):
                raise UnwatchableError(f"{component.ctype.__name__} is not known")


def _stated(model: BlockData) -> Iterator[Any]:
    """The active constraints and objectives of a model."""
    for block in active_blocks(model):
        for ctype in (Constraint, Objective):
            yield from block.component_data_objects(ctype, active=True, descend_into=False)
