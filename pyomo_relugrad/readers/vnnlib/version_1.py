"""VNN-LIB 1.0: inputs ``X_i`` and outputs ``Y_j`` of one network, declared one by one.

It is described in Demarchi, Guidotti, Pulina and Tacchella, "Supporting standardization of neural networks verification
with VNN-LIB and CoCoNet" (2023).
"""

import re
from collections.abc import Sequence
from typing import Literal

from pyomo_relugrad.errors import PropertyFileError
from pyomo_relugrad.readers.vnnlib.formula import Conjunction, Formulas, Variable, joined
from pyomo_relugrad.readers.vnnlib.property import Property, cases_of
from pyomo_relugrad.readers.vnnlib.syntax import List, shown

_MAX_VARIABLES = 2**22
_VARIABLE = re.compile(r"([XY])_(\d+)")


class Version1:
    """Turns the statements of one file into a property."""

    def __init__(self) -> None:
        self._declared: set[Variable] = set()

    def read(self, statements: Sequence[List], name: str) -> Property:
        """The property that the statements after the version make."""
        formulas = Formulas(self._variable, ("<=", ">=", "="), "1.0")
        alternatives: list[list[Conjunction]] = []
        for statement in statements:
            if statement.keyword in ("declare-const", "declare-fun"):
                self._declare(statement)
            elif statement.keyword == "assert" and len(statement.items) == 2:
                alternatives.append(formulas.condition(statement.items[1], statement.line))
            else:
                raise PropertyFileError(
                    f"line {statement.line}: {shown(statement.keyword)} is not a declaration or an assertion: write "
                    "declare-const or assert"
                )
        n_inputs, n_outputs = self._size("X"), self._size("Y")
        return Property(n_inputs, n_outputs, cases_of(joined(alternatives), n_inputs, n_outputs), name)

    def _declare(self, statement: List) -> None:
        named = statement.items[1] if len(statement.items) > 2 else ""
        variable = _parsed(named) if isinstance(named, str) else None
        if variable is None or statement.items[-1] != "Real":
            raise PropertyFileError(
                f"line {statement.line}: only real variables X_0, X_1, ... and Y_0, ... are taken: declare these"
            )
        if variable[1] >= _MAX_VARIABLES:
            raise PropertyFileError(f"line {statement.line}: the index of {named} is too large: number from 0 on")
        self._declared.add(variable)

    def _size(self, kind: Literal["X", "Y"]) -> int:
        count = sum(1 for own, _ in self._declared if own == kind)
        if not count or max(index for own, index in self._declared if own == kind) != count - 1:
            raise PropertyFileError(
                f"the variables {kind}_0, {kind}_1, ... are not declared without a gap: declare them from 0 on"
            )
        return count

    def _variable(self, token: str, line: int) -> Variable | None:
        variable = _parsed(token)
        if variable is not None and variable not in self._declared:
            raise PropertyFileError(
                f"line {line}: the variable {token} is not declared: add (declare-const {token} Real)"
            )
        return variable


def _parsed(token: str) -> Variable | None:
    match = _VARIABLE.fullmatch(token)
    return None if match is None else ("X" if match[1] == "X" else "Y", int(match[2]))
