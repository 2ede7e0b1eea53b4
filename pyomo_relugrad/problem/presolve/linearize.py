"""What integrality and convexity make linear: products, maxima and special ordered sets as rows, binaries and networks.

A product with an integer factor is exact in four rows per binary digit of the integer; any other one is an expression.
A maximum that is only ever
pressed down is exact in one row per piece; any other one is a small ReLU network.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np

from pyomo_relugrad import deadline
from pyomo_relugrad.arrays import Array
from pyomo_relugrad.deadline import OutOfTime
from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.expression import ExpressionBuilder
from pyomo_relugrad.network import Network, crown_bounds, interval_bounds
from pyomo_relugrad.network.building import Affine, HiddenLayers, largest
from pyomo_relugrad.problem.embedding import EmbeddedExpression, EmbeddedNetwork
from pyomo_relugrad.problem.operations import BinaryDigits, Follower, Maximum, Product, SpecialOrderedSet, WindowChoice
from pyomo_relugrad.problem.presolve.extension import Extension
from pyomo_relugrad.problem.presolve.implied_bounds import function_implied_bounds
from pyomo_relugrad.problem.presolve.reduction import Reduced, same_columns
from pyomo_relugrad.problem.presolve.row_tightening import RowTightening, loosened
from pyomo_relugrad.problem.problem import Problem
from pyomo_relugrad.problem.stages import NetworkBounds

#: Most values that an integer factor of a product may have.
MAX_VALUES = 1024

#: Rounds in which bounds pass from column to column; each is a pass over the networks, the operations and the rows.
MAX_ROUNDS = 10

#: Share of the time left that bounds by CROWN may take.
CROWN_SHARE = 0.1


def linearize_operations(problem: Problem) -> Reduced | None:
    """State operations and special ordered sets by rows, binaries and networks.

    Raises
    ------
    ModelError
        If a bound is missing that the rows of a set need; names the column.
    """
    if not problem.operations and not problem.ordered_sets:
        return None
    return same_columns(_Linearization(problem).result())


class _Linearization:
    """The rows, columns and networks of one problem's operations and sets."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._extension = Extension(problem)
        self._lower, self._upper = _bounds(problem)
        self._held = _held_columns(problem)
        self._followers: list[Follower] = list(problem.followers)
        self._digits: dict[int, BinaryDigits] = {}
        self._networks: list[EmbeddedNetwork] = []
        self._network_of: dict[bytes, Network] = {}
        self._expressions: list[EmbeddedExpression] = []
        self._builder = ExpressionBuilder()

    def result(self) -> Problem:
        """The problem without operations and sets."""
        for ordered_set in self._problem.ordered_sets:
            self._state_set(ordered_set)
        operations = self._problem.operations
        for product in (operation for operation in operations if isinstance(operation, Product)):
            self._state_product(product)
        # What holds an outer maximum decides what holds an inner one.
        for maximum in (operation for operation in reversed(operations) if isinstance(operation, Maximum)):
            self._state_maximum(maximum)
        return replace(
            self._extension.problem(),
            networks=(*self._problem.networks, *self._networks),
            expressions=(*self._problem.expressions, *self._expressions),
            operations=(),
            ordered_sets=(),
            followers=tuple(self._followers),
        )

    # --- products -----------------------------------------------------------------------------------------------

    def _state_product(self, product: Product) -> None:
        """``w = (least + sum(2**j * digit_j)) * other``, each product with a digit by rows, or an expression."""
        factors = self._factors(product)
        if factors is None:
            self._expressions.append(self._as_expression(product))
            return
        integer, other = factors
        self._limit(product.output, *product.range(self._lower, self._upper))
        self._followers.append(product)
        digits = self._digits_of(integer)
        if digits.least == 0 and len(digits.outputs) == 1:
            self._state_binary_product(product.output, digits.outputs[0], other)
            return
        columns, coefficients = [product.output, other], [1.0, -float(digits.least)]
        for position, digit in enumerate(digits.outputs):
            low, high = min(self._lower[other], 0.0), max(self._upper[other], 0.0)
            part = self._extension.add_column(low, high, name=self._problem.column_name(product.output))
            self._state_binary_product(part, digit, other)
            self._followers.append(Product(part, digit, other))
            columns.append(part)
            coefficients.append(-(2.0**position))
        self._add_row(columns, coefficients, 0.0, 0.0)

    def _factors(self, product: Product) -> tuple[int, int] | None:
        """The integer factor with the fewest values, and the other one; None where bounds or an integer are missing."""
        n_values = self._upper - self._lower
        pairs = [(product.first, product.second), (product.second, product.first)]
        pairs = [
            (integer, other)
            for integer, other in pairs
            if self._problem.integers[integer] and n_values[integer] < MAX_VALUES and np.isfinite(n_values[other])
        ]
        return min(pairs, key=lambda pair: float(n_values[pair[0]]), default=None)

    def _as_expression(self, product: Product) -> EmbeddedExpression:
        """The product as a smooth function."""
        factors = [self._builder.input(column) for column in (product.first, product.second)]
        expression, inputs = self._builder.build([self._builder.product(*factors)])
        name = self._problem.column_name(product.output)
        return EmbeddedExpression(expression, np.array(inputs), np.array([product.output]), name)

    def _digits_of(self, column: int) -> BinaryDigits:
        """The binary digits of an integer; a binary is its own one."""
        if column not in self._digits:
            least, largest_value = int(self._lower[column]), int(self._upper[column])
            self._digits[column] = self._new_digits(column, least, largest_value - least)
        return self._digits[column]

    def _new_digits(self, column: int, least: int, span: int) -> BinaryDigits:
        if (least, span) == (0, 1):
            return BinaryDigits([column], column, 0)
        name = self._problem.column_name(column)
        columns = [self._extension.add_column(0.0, 1.0, True, name) for _ in range(span.bit_length())]
        self._add_row([column, *columns], [1.0, *(-(2.0**j) for j in range(len(columns)))], least, least)
        digits = BinaryDigits(columns, column, least)
        self._followers.append(digits)
        return digits

    def _state_binary_product(self, output: int, binary: int, other: int) -> None:
        """``output = binary * other`` by the four rows of McCormick, which are exact at 0 and 1."""
        low, high = self._lower[other], self._upper[other]
        if binary == other:
            self._add_row([output, binary], [1.0, -1.0], 0.0, 0.0)
            return
        self._add_row([output, binary], [1.0, -high], -np.inf, 0.0)
        self._add_row([output, binary], [1.0, -low], 0.0, np.inf)
        self._add_row([output, other, binary], [1.0, -1.0, -low], -np.inf, -low)
        self._add_row([output, other, binary], [1.0, -1.0, -high], -high, np.inf)

    # --- maxima -------------------------------------------------------------------------------------------------

    def _state_maximum(self, maximum: Maximum) -> None:
        """A row for each piece where nothing gains by a value above the maximum, a network otherwise."""
        low, high = maximum.range(self._lower, self._upper)
        if self._held[maximum.output] or self._problem.lower[maximum.output] > low:
            self._networks.append(self._as_network(maximum))
            self._held[maximum.inputs] = True
            return
        self._limit(maximum.output, low, high)
        self._followers.append(maximum)
        columns = [maximum.output, *maximum.inputs.tolist()]
        for coefficients, offset in zip((-maximum.matrix).tolist(), maximum.offset.tolist(), strict=True):
            self._add_row(columns, [1.0, *coefficients], offset, np.inf)

    def _as_network(self, maximum: Maximum) -> EmbeddedNetwork:
        """Equal maxima share one network, so that they are evaluated together."""
        key = maximum.matrix.tobytes() + maximum.offset.tobytes()
        if key not in self._network_of:
            n_pieces, n_inputs = maximum.matrix.shape
            hidden = HiddenLayers()
            pieces = Affine.variable(0, (n_inputs,)).mapped(maximum.matrix, (n_pieces,)).shifted(maximum.offset)
            layers = hidden.with_output(largest(pieces, np.arange(n_pieces)[None], hidden))
            self._network_of[key] = Network(n_inputs, layers, name="maximum")
        name = self._problem.column_name(maximum.output)
        return EmbeddedNetwork(self._network_of[key], maximum.inputs, np.array([maximum.output]), name)

    # --- special ordered sets -----------------------------------------------------------------------------------

    def _state_set(self, ordered_set: SpecialOrderedSet) -> None:
        """One binary per window: columns outside of the chosen one are zero."""
        n_windows = len(ordered_set.windows)
        if n_windows == 1:
            return
        columns = ordered_set.columns.tolist()
        if ordered_set.kind == 1 and all(self._is_binary(column) for column in columns):
            self._add_row(columns, [1.0] * len(columns), -np.inf, 1.0)
            return
        for column in columns:
            self._demand_bounds(column, f"special ordered set '{ordered_set.name}'")
        binaries = [self._extension.add_column(0.0, 1.0, True, ordered_set.name) for _ in range(n_windows)]
        self._add_row(binaries, [1.0] * n_windows, 1.0, 1.0)
        self._followers.append(WindowChoice(binaries, ordered_set))
        for column, inside in zip(columns, ordered_set.windows.T, strict=True):
            allowing = [binaries[window] for window in np.flatnonzero(inside)]
            low, high = min(self._lower[column], 0.0), max(self._upper[column], 0.0)
            self._add_row([column, *allowing], [1.0, *[-high] * len(allowing)], -np.inf, 0.0)
            if low < 0.0:
                self._add_row([column, *allowing], [1.0, *[-low] * len(allowing)], 0.0, np.inf)

    def _is_binary(self, column: int) -> bool:
        return bool(self._problem.integers[column] and self._lower[column] == 0 and self._upper[column] == 1)

    # --- columns and rows ---------------------------------------------------------------------------------------

    def _demand_bounds(self, column: int, user: str) -> None:
        missing = [
            side
            for side, bound in (("lower", self._lower[column]), ("upper", self._upper[column]))
            if not np.isfinite(bound)
        ]
        if missing:
            raise ModelError(
                f"{user} needs both bounds of {self._problem.describe_column(column)}, which has no "
                f"{' and no '.join(missing)} bound, and none follows from the rest of the model: give it one"
            )

    def _limit(self, column: int, low: float, high: float) -> None:
        """Narrow the bounds of an operation's column to what its operands allow."""
        lower, upper = self._extension.lower, self._extension.upper
        lower[column], upper[column] = max(lower[column], low), min(upper[column], high)

    def _add_row(self, columns: Sequence[int], coefficients: Sequence[float], lower: float, upper: float) -> None:
        self._extension.add_row(columns, coefficients, lower, upper)
        for column, coefficient in zip(columns, coefficients, strict=True):
            if column < self._held.size:
                self._held[column] |= _holds(coefficient, lower, upper)


def _holds(coefficients: Array | float, lower: Array | float, upper: Array | float) -> Array:
    """Whether rows with these sides may keep columns with these coefficients from sinking."""
    return ((np.asarray(coefficients) > 0) & np.isfinite(lower)) | ((np.asarray(coefficients) < 0) & np.isfinite(upper))


def _held_columns(problem: Problem) -> Array:
    """(n,) booleans: columns of which something besides an operation may want a larger value, or an exact one."""
    held = problem.integers | problem.is_input | problem.is_output | (problem.cost < 0)
    rows = problem.rows.tocoo()
    row, column = rows.coords
    held[column[_holds(rows.data, problem.row_lower[row], problem.row_upper[row])]] = True
    if problem.quadratic is not None:
        held[problem.quadratic.indices] = True
    for ordered_set in problem.ordered_sets:
        held[ordered_set.columns] = True
    written = [column for part in (*problem.operations, *problem.followers) for column in part.outputs]
    held |= np.bincount(np.array(written, np.int64), minlength=held.size) > 1
    for operation in problem.operations:
        if isinstance(operation, Product):
            held[[operation.first, operation.second]] = True
    return held


def _bounds(problem: Problem) -> tuple[Array, Array]:
    """Bounds (n,) of all columns that follow from rows, networks and operations, rounded outward.

    Intervals bound the networks; then CROWN, where a factor or a column of a set lacks a bound, or is an output: its
    bounds become coefficients. That is given up where it takes long.
    """
    products = [each for each in problem.operations if isinstance(each, Product)]
    factors = [column for each in products for column in (each.first, each.second)]
    in_sets = [column for each in problem.ordered_sets for column in each.columns]
    needed = np.array([*factors, *in_sets], np.int64)
    lower, upper = _tightened(problem, problem.lower, problem.upper, needed, interval_bounds)
    if problem.is_output[needed].any() or not np.isfinite([lower[needed], upper[needed]]).all():
        with suppress(OutOfTime), deadline.time_limit(CROWN_SHARE * deadline.remaining()):
            lower, upper = _tightened(problem, lower, upper, needed, crown_bounds)
    return lower, upper


def _tightened(
    problem: Problem,
    lower: Array,
    upper: Array,
    needed: Array,
    bound: NetworkBounds,
) -> tuple[Array, Array]:
    """The bounds after rounds, until none that is needed is missing or no column gets its first."""
    tighten = RowTightening(problem)
    n_missing = _count_infinite(lower, upper)
    for _ in range(MAX_ROUNDS):
        implied = function_implied_bounds(problem, lower, upper, bound)
        lower, upper = np.maximum(lower, loosened(implied[0], -1)), np.minimum(upper, loosened(implied[1], 1))
        for operation in problem.operations:
            low, high = operation.range(lower, upper)
            lower[operation.output] = max(lower[operation.output], low)
            upper[operation.output] = min(upper[operation.output], high)
        lower, upper = (side[0] for side in tighten.rounds(lower[None], upper[None]))
        before, n_missing = n_missing, _count_infinite(lower, upper)
        if n_missing == before or not _count_infinite(lower[needed], upper[needed]):
            break
    return lower, upper


def _count_infinite(lower: Array, upper: Array) -> int:
    return int(np.isinf(lower).sum() + np.isinf(upper).sum())
