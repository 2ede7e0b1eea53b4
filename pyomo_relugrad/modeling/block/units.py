"""Units of what users hand to a network block, so that the block's own rows and expressions are consistent."""

from __future__ import annotations

from typing import Any

from pyomo.core.base import units_container
from pyomo.core.base.units_container import PintUnitExtractionVisitor, UnitsError
from pyomo.core.expr.numvalue import native_numeric_types
from pyomo.core.expr.visitor import identify_variables

from pyomo_relugrad.modeling.block.guards import NetworkOutputExpression


def unit_of(term: Any) -> Any:
    """The unit of a variable or expression; None where none of its variables has one, or they do not fit together."""
    if type(term) in native_numeric_types:
        return None
    if all(variable.get_units() is None for variable in identify_variables(term, include_fixed=True)):
        return None  # without units, pint need not be installed
    try:
        unit = units_container.units.get_units(term)
    except UnitsError:
        return None
    return None if unit is units_container.units.dimensionless else unit


def in_unit(number: Any, unit: Any) -> Any:
    """A number, or None, in a unit, or in none."""
    return number if number is None or unit is None else number * unit


def _unit_of_output(visitor: Any, expression: NetworkOutputExpression, _: Any) -> Any:
    """A network computes with numbers: its outputs have the units of the variables that hold them."""
    return type(visitor)(visitor._pyomo_units_container).walk_expression(expression.block.outputs[expression.output])


def _register() -> None:
    """Make Pyomo's check of units know networks."""
    getattr(PintUnitExtractionVisitor, "node_type_method_map", {})[NetworkOutputExpression] = _unit_of_output


_register()
