"""Properties of networks in the VNN-LIB format, version 1.0: what a counterexample has to satisfy.

A file declares inputs ``X_i`` and outputs ``Y_j`` and asserts linear inequalities between them, joined by ``and`` and
``or``. It is read into cases, any one of which is enough: a box of inputs and rows on inputs and outputs.

VNN-LIB is described in Demarchi, Guidotti, Pulina and Tacchella, "Supporting standardization of neural networks
verification with VNN-LIB and CoCoNet" (2023).
"""

from __future__ import annotations

import gzip
import re
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import TypeAlias

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.errors import PropertyFileError

MAX_CASES = 100_000
_MAX_DEPTH = 100
_MAX_VARIABLES = 2**22

_TOKEN = re.compile(r"[()]|[^\s();]+|;[^\n]*|\n")
_VARIABLE = re.compile(r"([XY])_(\d+)")


@dataclass(frozen=True)
class List:
    """A parenthesised list of the file and the line on which it begins."""

    items: tuple[Expression, ...]
    line: int


Expression: TypeAlias = List | str


@dataclass(frozen=True, eq=False)
class Case:
    """One way to a counterexample: an input in a box, with rows that hold for it and its outputs.

    Parameters
    ----------
    lower, upper : (n_inputs,) arrays
        Infinite where the file sets no bound.
    input_rows : (m, n_inputs) array
    output_rows : (m, n_outputs) array
    limits : (m,) array
        ``input_rows @ x + output_rows @ y <= limits``.
    """

    lower: Array
    upper: Array
    input_rows: Array
    output_rows: Array
    limits: Array

    def violation(self, x: Array, y: Array) -> float:
        """The largest amount by which the point misses a bound or a row; at most 0 if it satisfies all."""
        excess = self.input_rows @ x + self.output_rows @ y - self.limits
        return float(max(np.max(self.lower - x), np.max(x - self.upper), np.max(excess, initial=-np.inf)))


@dataclass(frozen=True, eq=False)
class Property:
    """What a counterexample satisfies: any one of the cases.

    Parameters
    ----------
    n_inputs, n_outputs : int
    cases : tuple of Case
        None if the file contradicts itself.
    name : str, optional
    """

    n_inputs: int
    n_outputs: int
    cases: tuple[Case, ...]
    name: str = ""


def load_vnnlib(path: str | PathLike[str]) -> Property:
    """Read a property file, plain or compressed (``.gz``).

    Raises
    ------
    PropertyFileError
        If the file cannot be read or is not in the format; names the line.
    """
    name = fspath(path)
    try:
        content = Path(name).read_bytes()
        text = (gzip.decompress(content) if name.endswith(".gz") else content).decode()
    except FileNotFoundError as error:
        raise PropertyFileError(f"{name} cannot be read: there is no such file") from error
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise PropertyFileError(f"{name} cannot be read: {error}") from error
    return parse_vnnlib(text, name)


def parse_vnnlib(text: str, name: str = "property") -> Property:
    """Read a property from text.

    Parameters
    ----------
    text : str
    name : str, optional
        What messages call it.

    Raises
    ------
    PropertyFileError
        If the text is not in the format; names the line.

    Examples
    --------
    >>> case, = parse_vnnlib('''
    ...     (declare-const X_0 Real) (declare-const Y_0 Real) (declare-const Y_1 Real)
    ...     (assert (>= X_0 0.0)) (assert (<= X_0 1.0))
    ...     (assert (<= Y_0 Y_1))
    ... ''').cases
    >>> case.lower, case.upper, case.output_rows, case.limits
    (array([0.]), array([1.]), array([[ 1., -1.]]), array([0.]))
    """
    try:
        return _Reader(name).read(_parsed(text))
    except PropertyFileError as error:
        raise PropertyFileError(f"{name}: {error}") from None


def _parsed(text: str) -> list[List]:
    """The top-level lists of the text."""
    open_lists: list[tuple[list[Expression], int]] = [([], 1)]
    line = 1
    for match in _TOKEN.finditer(text):
        token = match.group()
        if token == "\n":
            line += 1
        elif token == "(":
            if len(open_lists) > _MAX_DEPTH:
                raise PropertyFileError(f"line {line}: lists are nested more than {_MAX_DEPTH} deep")
            open_lists.append(([], line))
        elif token == ")":
            if len(open_lists) == 1:
                raise PropertyFileError(f"line {line}: a closing parenthesis without an opening one")
            items, start = open_lists.pop()
            open_lists[-1][0].append(List(tuple(items), start))
        elif not token.startswith(";"):
            open_lists[-1][0].append(token)
    if len(open_lists) > 1:
        raise PropertyFileError(f"line {open_lists[-1][1]}: a list that is not closed: is the file truncated?")
    statements = open_lists[0][0]
    for statement in statements:
        if not isinstance(statement, List) or not statement.items:
            raise PropertyFileError(f"expected declarations and assertions, got {str(statement)[:40]!r}")
    return [statement for statement in statements if isinstance(statement, List)]


@dataclass(frozen=True)
class _Linear:
    """A linear expression ``sum of coefficients[(kind, index)] * variable + constant``."""

    coefficients: dict[tuple[str, int], float]
    constant: float = 0.0

    def plus(self, other: _Linear, factor: float = 1.0) -> _Linear:
        coefficients = dict(self.coefficients)
        for variable, value in other.coefficients.items():
            coefficients[variable] = coefficients.get(variable, 0.0) + factor * value
        return _Linear(coefficients, self.constant + factor * other.constant)

    def times(self, factor: float) -> _Linear:
        return _Linear({}).plus(self, factor)


Conjunction: TypeAlias = tuple[_Linear, ...]
"""Expressions that all must be at most zero."""


class _Reader:
    """Turns statements into a property."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._declared: set[tuple[str, int]] = set()

    def read(self, statements: list[List]) -> Property:
        alternatives: list[list[Conjunction]] = []
        for statement in statements:
            keyword = statement.items[0]
            if keyword in ("declare-const", "declare-fun"):
                self._declare(statement)
            elif keyword == "assert" and len(statement.items) == 2:
                alternatives.append(self._condition(statement.items[1], statement.line))
            else:
                raise PropertyFileError(f"line {statement.line}: {keyword!r} is not a declaration or an assertion")
        sizes = {kind: self._size(kind) for kind in "XY"}
        conjunctions = _joined(alternatives)
        cases = [case for case in (_case(own, sizes) for own in conjunctions) if (case.lower <= case.upper).all()]
        return Property(sizes["X"], sizes["Y"], tuple(cases), Path(self._name).stem)

    def _declare(self, statement: List) -> None:
        variable = _VARIABLE.fullmatch(statement.items[1]) if isinstance(statement.items[1], str) else None
        if len(statement.items) < 3 or variable is None or statement.items[-1] != "Real":
            raise PropertyFileError(f"line {statement.line}: only real variables X_0, X_1, ... and Y_0, ... are taken")
        if int(variable[2]) >= _MAX_VARIABLES:
            raise PropertyFileError(f"line {statement.line}: the index of {variable[0]} is too large")
        self._declared.add((variable[1], int(variable[2])))

    def _size(self, kind: str) -> int:
        count = sum(1 for own, _ in self._declared if own == kind)
        if not count or max(index for own, index in self._declared if own == kind) != count - 1:
            raise PropertyFileError(f"the variables {kind}_0, {kind}_1, ... are not declared without a gap")
        return count

    def _condition(self, expression: Expression, line: int) -> list[Conjunction]:
        """The alternatives, any one of which makes the condition hold."""
        if not isinstance(expression, List) or not expression.items:
            raise PropertyFileError(f"line {line}: expected a condition, got {str(expression)[:40]!r}")
        keyword, *arguments = expression.items
        if keyword == "and":
            return _joined([self._condition(argument, expression.line) for argument in arguments])
        if keyword == "or":
            return [own for argument in arguments for own in self._condition(argument, expression.line)]
        if keyword in ("<=", ">=", "=") and len(arguments) == 2:
            left, right = (self._linear(argument, expression.line) for argument in arguments)
            below, above = left.plus(right, -1.0), right.plus(left, -1.0)
            return [{"<=": (below,), ">=": (above,), "=": (below, above)}[keyword]]
        raise PropertyFileError(
            f"line {expression.line}: {str(keyword)[:40]!r} with {len(arguments)} arguments is not a condition of "
            "VNN-LIB 1.0 (and, or, <=, >= of two sides)"
        )

    def _linear(self, expression: Expression, line: int) -> _Linear:
        if isinstance(expression, str):
            return self._atom(expression, line)
        keyword, *arguments = expression.items or ("",)
        parts = [self._linear(argument, expression.line) for argument in arguments]
        if keyword == "+" and parts:
            return _sum(parts, 1.0)
        if keyword == "-" and parts:
            return parts[0].times(-1.0) if len(parts) == 1 else _sum(parts, -1.0)
        if keyword == "*" and parts:
            return _product(parts, expression.line)
        raise PropertyFileError(f"line {expression.line}: {str(keyword)[:40]!r} is not a linear expression")

    def _atom(self, token: str, line: int) -> _Linear:
        variable = _VARIABLE.fullmatch(token)
        if variable is not None:
            key = (variable[1], int(variable[2]))
            if key not in self._declared:
                raise PropertyFileError(f"line {line}: the variable {token} is not declared")
            return _Linear({key: 1.0})
        try:
            value = float(token)
        except ValueError:
            raise PropertyFileError(
                f"line {line}: {token[:40]!r} is neither a number nor a variable X_i, Y_i"
            ) from None
        if not np.isfinite(value):
            raise PropertyFileError(f"line {line}: the number {token[:40]!r} is not finite")
        return _Linear({}, value)


def _sum(parts: list[_Linear], sign: float) -> _Linear:
    result = parts[0]
    for part in parts[1:]:
        result = result.plus(part, sign)
    return result


def _product(parts: list[_Linear], line: int) -> _Linear:
    result = parts[0]
    for part in parts[1:]:
        if result.coefficients and part.coefficients:
            raise PropertyFileError(f"line {line}: a product of variables is not linear")
        result = result.times(part.constant) if result.coefficients else part.times(result.constant)
    return result


def _joined(alternatives: list[list[Conjunction]]) -> list[Conjunction]:
    """All ways to take one alternative of each condition: the disjunctive normal form of their conjunction."""
    common = tuple(row for own in alternatives if len(own) == 1 for row in own[0])
    result: list[Conjunction] = [common]
    for own in alternatives:
        if len(own) != 1:
            if len(result) * len(own) > MAX_CASES:
                raise PropertyFileError(f"the property has more than {MAX_CASES} cases")
            result = [first + second for first in result for second in own]
    return result


def _case(conjunction: Conjunction, sizes: dict[str, int]) -> Case:
    """A box from the rows on one input, and the other rows."""
    lower, upper = np.full(sizes["X"], -np.inf), np.full(sizes["X"], np.inf)
    others: list[_Linear] = []
    for row in conjunction:
        used = [(variable, value) for variable, value in row.coefficients.items() if value != 0.0]
        if len(used) == 1 and used[0][0][0] == "X":
            ((_, index), value), bound = used[0], 0.0 - row.constant / used[0][1]
            if value > 0.0:
                upper[index] = min(upper[index], bound)
            else:
                lower[index] = max(lower[index], bound)
        else:
            others.append(row)
    rows = {kind: np.zeros((len(others), size)) for kind, size in sizes.items()}
    for i, row in enumerate(others):
        for (kind, index), value in row.coefficients.items():
            rows[kind][i, index] = value
    return Case(lower, upper, rows["X"], rows["Y"], np.array([0.0 - row.constant for row in others]))
