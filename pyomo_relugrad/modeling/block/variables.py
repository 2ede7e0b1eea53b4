"""Variables of a network block: its own ones, those of the user, and rows that tie expressions to its own."""

import weakref
from collections.abc import Sequence
from typing import Any

from pyomo.core.base.constraint import Constraint
from pyomo.core.base.reference import Reference
from pyomo.core.base.var import Var
from pyomo.core.expr.relational_expr import EqualityExpression

from pyomo_relugrad.modeling.block.units import without_unit


def add_variables(block: Any, what: str, terms: Sequence[Any] | None, index: Any) -> list[int]:
    """Add the inputs or outputs of a block, own variables where none is given; return the positions of these.

    Parameters
    ----------
    block : ReluNetworkBlockData
    what : str
        "input" or "output".
    terms : sequence or None
        A variable, an expression or None for each position.
    index : RangeSet
        The positions.
    """
    name = f"{what}s"
    if terms is None:
        block.add_component(name, Var(index))
        return list(index)
    own = [position for position, term in enumerate(terms) if not _is_variable(term)]
    variables = dict(enumerate(terms))
    if own:
        tied = [position for position in own if terms[position] is not None]
        linked, links = Var(own), Constraint(tied)
        block.add_component(f"linked_{name}", linked)
        block.add_component(f"{what}_links", links)
        variables.update(linked.items())
        for position in tied:
            links[position] = EqualityExpression((linked[position], without_unit(terms[position])))
    _hold_reference(block, name, _reference(variables, index))
    return own


def _is_variable(term: Any) -> bool:
    return bool(getattr(term, "is_variable_type", lambda: False)())


def _reference(variables: dict[int, Any], index: Any) -> Any:
    """A `Reference` to the variables."""
    reference = Reference(variables, ctype=Var)
    reference._index_set = index
    reference.referent = "variables given to the block"
    return reference


def _hold_reference(block: Any, name: str, reference: Any) -> None:
    """Make variables of the user available as an attribute that is no declared component.

    Declared, they would be met a second time by all that goes through variables, or as a type of component that
    Pyomo's transformations refuse.
    """
    reference._name, reference._parent = name, weakref.ref(block)
    block.__dict__[name] = reference
