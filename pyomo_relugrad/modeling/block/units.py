"""Units of what users hand to a network block, so that the block's own rows and expressions are consistent."""

from collections.abc import Iterator
from typing import Any

from pyomo.core.base import units_container
from pyomo.core.base.units_container import PintUnitExtractionVisitor, UnitsError
from pyomo.core.expr.numvalue import native_numeric_types

from pyomo_relugrad.modeling.block.guards import NetworkOutputExpression


def unit_of(term: Any) -> Any:
    """The unit of a variable or expression; None where nothing in it has one, or they do not fit together."""
    if not any(map(_has_unit, _leaves(term))):
        return None  # without units, pint need not be installed
    try:
        unit = units_container.units.get_units(term)
    except UnitsError:
        return None
    return None if unit is units_container.units.dimensionless else unit


def _leaves(term: Any) -> Iterator[Any]:
    """Variables, parameters and units in a term."""
    if type(term) in native_numeric_types:
        return
    if term.is_expression_type():
        for argument in term.args:
            yield from _leaves(argument)
    else:
        yield term


def _has_unit(leaf: Any) -> bool:
    return not hasattr(leaf, "get_units") or leaf.get_units() is not None  # units themselves have no such method


def in_unit(number: Any, unit: Any) -> Any:
    """A number, or None, in a unit, or in none; a number with a unit of its own as it is."""
    return number if number is None or unit is None or unit_of(number) is not None else number * unit


def without_unit(term: Any) -> Any:
    """A variable or expression divided by its unit."""
    unit = unit_of(term)
    return term if unit is None else term / unit


def _unit_of_output(visitor: Any, expression: NetworkOutputExpression, _: Any) -> Any:
    """A network computes with numbers: its outputs have the units of the variables that hold them."""
    return type(visitor)(visitor._pyomo_units_container).walk_expression(expression.block.outputs[expression.output])


# Pyomo's check of units is to know networks.
getattr(PintUnitExtractionVisitor, "node_type_method_map", {})[NetworkOutputExpression] = _unit_of_output
