"""Expressions whose coefficients depend on parameters and fixed variables: read once, evaluated often."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from pyomo.core.expr.numvalue import native_numeric_types, value
from pyomo.repn import generate_standard_repn

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.modeling.compile.columns import Columns


class OtherFormError(Exception):
    """Numbers changed so that the model has another form."""


class Coefficients:
    """Numbers, some of which are expressions of parameters and fixed variables.

    Parameters
    ----------
    numbers : sequence of numbers and Pyomo expressions
    """

    def __init__(self, numbers: Sequence[Any]) -> None:
        self._changing = [(at, number) for at, number in enumerate(numbers) if not _is_number(number)]
        self._values = np.array([number if _is_number(number) else 0.0 for number in numbers], np.float64)

    @property
    def are_constant(self) -> bool:
        """Whether all of them are numbers."""
        return not self._changing

    def values(self) -> Array:
        """What they are now, finite.

        Raises
        ------
        OtherFormError
            If one has no finite value.
        """
        values = self._values.copy()
        try:
            for at, number in self._changing:
                values[at] = value(number)
        except (ArithmeticError, TypeError, ValueError) as error:
            raise OtherFormError from error
        if not np.isfinite(values).all():
            raise OtherFormError
        return values


class ParametricForm:
    """An expression ``coefficients @ v[columns] + constant``, with squares and products where these are read.

    Parameters
    ----------
    expression : Pyomo expression
    columns : Columns
    quadratic : bool, optional
        Whether there may be squares and products.

    Raises
    ------
    OtherFormError
        If it is something else.
    """

    def __init__(self, expression: Any, columns: Columns, quadratic: bool = False) -> None:
        try:
            repn = generate_standard_repn(expression, quadratic=quadratic, compute_values=False)
        except Exception as error:  # whatever Pyomo does not know: reading all of it names the error
            raise OtherFormError from error
        if repn.nonlinear_expr is not None:
            raise OtherFormError
        own = np.array(columns.of_all(repn.linear_vars), np.int64)
        order = np.argsort(own)
        #: In ascending order.
        self.columns = own[order]
        self.coefficients = Coefficients([repn.linear_coefs[place] for place in order.tolist()])
        self._constant = Coefficients([repn.constant])
        self.has_constant_products = Coefficients(repn.quadratic_coefs if quadratic else ()).are_constant

    @property
    def constant(self) -> float:
        """What it is now."""
        return float(self._constant.values()[0])


def _is_number(number: Any) -> bool:
    return number.__class__ in native_numeric_types
