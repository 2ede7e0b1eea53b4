"""A smooth function of several inputs with several outputs, over batches of points."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.expression.operations import Application, Multiplication, Norm, Operation, WeightedSum, arguments_of
from pyomo_relugrad.expression.recent import RecentResults
from pyomo_relugrad.expression.relaxation import LinearBounds, linear_bounds
from pyomo_relugrad.expression.tape import Tape
from pyomo_relugrad.network.bounds import Boxes


@dataclass(frozen=True)
class Expression:
    """A smooth function. It is made by an `ExpressionBuilder`; two of equal operations are equal.

    Where it is not defined, its values and derivatives are NaN or infinite: there is no warning and no exception.

    Parameters
    ----------
    n_inputs : int
    operations : tuple of operations
        What is computed from the inputs. Arguments are numbers: first come the inputs, then the operations.
    outputs : tuple of int
        The numbers of what is put out.
    """

    n_inputs: int
    operations: tuple[Operation, ...]
    outputs: tuple[int, ...]

    def __post_init__(self) -> None:
        for number, operation in enumerate(self.operations, start=self.n_inputs):
            if not all(0 <= argument < number for argument in arguments_of(operation)):
                raise ModelError(f"Operation {number} of an expression reads what comes after it; put it later.")
        if not all(0 <= output < self.n_inputs + len(self.operations) for output in self.outputs):
            raise ModelError("An expression puts out what it does not compute; number inputs, then operations.")

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[type, tuple[int, tuple[Operation, ...], tuple[int, ...]]]:
        return type(self), (self.n_inputs, self.operations, self.outputs)  # hashes are not those of another process

    @property
    def n_outputs(self) -> int:
        """Number of outputs."""
        return len(self.outputs)

    @cached_property
    def tape(self) -> Tape:
        """The steps by which it is evaluated."""
        return Tape.of(self.n_inputs, self.operations, self.outputs)

    def value(self, points: Array) -> Array:
        """Outputs at points.

        Parameters
        ----------
        points : (B, n_inputs) array

        Returns
        -------
        (B, n_outputs) array
        """
        with np.errstate(all="ignore"):
            return self.tape.outputs.take(self.tape.evaluate(points)).T

    def jacobian(self, points: Array) -> Array:
        """Derivatives of all outputs at points.

        Parameters
        ----------
        points : (B, n_inputs) array

        Returns
        -------
        (B, n_outputs, n_inputs) array
        """
        unit = np.eye(self.n_outputs)[:, :, None]
        with np.errstate(all="ignore"):
            values = self.tape.evaluate(points)
            seeds = np.broadcast_to(unit, (*unit.shape[:2], len(points)))
            return self.tape.pull_back(values, seeds).transpose(2, 1, 0)

    def pull_back(self, points: Array, gradient: Array) -> Array:
        """Gradients of the inputs, for gradients of the outputs: the product of the gradient and the Jacobian.

        Parameters
        ----------
        points : (B, n_inputs) array
        gradient : (B, n_outputs) array

        Returns
        -------
        (B, n_inputs) array
        """
        with np.errstate(all="ignore"):
            values = self.tape.evaluate(points)
            return self.tape.pull_back(values, gradient.T[:, None])[:, 0].T

    def range(self, lower: Array, upper: Array) -> tuple[Array, Array]:
        """Bounds of the outputs over boxes, rounded outward; infinite where nothing is known.

        They hold where all outputs are defined. Over a box in which they are nowhere, the lower bounds are infinite and
        above the upper ones.

        Parameters
        ----------
        lower, upper : (B, n_inputs) arrays
            They may be infinite.

        Returns
        -------
        lower, upper : (B, n_outputs) arrays
        """
        low, high = self._recent.of(self._range, lower, upper)
        return low, high

    def _range(self, lower: Array, upper: Array) -> tuple[Array, Array]:
        with np.errstate(all="ignore"):
            ranges = self.tape.enclose(lower, upper)
            low, high = (self.tape.outputs.take(side).T for side in ranges)
            if self._reads_twice:  # then interval arithmetic is not exact
                bounds = linear_bounds(self.tape, ranges, _middles(lower, upper))
                boxes = Boxes(lower, upper)
                below, above = bounds.lower_slopes.swapaxes(0, 1), bounds.upper_slopes.swapaxes(0, 1)
                low = np.maximum(low, boxes.minima(below).T + bounds.lower_offsets)
                high = np.minimum(high, bounds.upper_offsets - boxes.minima(-above).T)
            nowhere = np.any(ranges[0] > ranges[1], axis=0)[:, None]
            return np.where(nowhere, np.inf, low), np.where(nowhere, -np.inf, high)

    def contracted(self, lower: Array, upper: Array, outputs: tuple[Array, Array]) -> tuple[Array, Array, Array, Array]:
        """Smaller boxes, in which are all points where the outputs are defined and within bounds.

        Parameters
        ----------
        lower, upper : (B, n_inputs) arrays
            They may be infinite.
        outputs : pair of (B, n_outputs) arrays
            Bounds of the outputs.

        Returns
        -------
        lower, upper : (B, n_inputs) arrays
            Where there is no such point, sides may cross.
        output_lower, output_upper : (B, n_outputs) arrays
            Smaller bounds of the outputs.
        """
        with np.errstate(all="ignore"):
            low, high = self.tape.enclose(lower, upper)
            self.tape.outputs.narrow(low, high, (outputs[0].T, outputs[1].T))
            self.tape.contract(low, high)
            crossed = (low > high).any(axis=0)
        low[:, crossed], high[:, crossed] = np.inf, -np.inf
        inputs = slice(self.n_inputs)
        return low[inputs].T, high[inputs].T, self.tape.outputs.take(low).T, self.tape.outputs.take(high).T

    def relaxation(self, lower: Array, upper: Array, at: Array | None = None) -> LinearBounds:
        """Linear functions below and above the outputs over boxes; they hold where the expression is defined.

        Parameters
        ----------
        lower, upper : (B, n_inputs) arrays
            They may be infinite.
        at : (B, n_inputs) array, optional
            The points at which the functions are to be close; by default the middles of the boxes. Tangents and planes
            at several points together enclose an expression more tightly.
        """
        return LinearBounds(
            *self._recent.of(self._relaxation, lower, upper, _middles(lower, upper) if at is None else at)
        )

    def _relaxation(self, lower: Array, upper: Array, at: Array) -> LinearBounds:
        with np.errstate(all="ignore"):
            return linear_bounds(self.tape, self.tape.enclose(lower, upper), at)

    def describe(self) -> str:
        """What is in it, for messages.

        Examples
        --------
        >>> from pyomo_relugrad.expression import ExpressionBuilder
        >>> builder = ExpressionBuilder()
        >>> x, y = builder.input("x"), builder.input("y")
        >>> builder.build([builder.sum([builder.function("exp", x), builder.product(x, y)])]).expression.describe()
        'a function of 2 inputs with 1 exp, 1 product'
        """
        kinds = Counter(map(_kind, self.operations))
        kinds.pop("sum", None)
        parts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        return f"{'an affine' if not parts else 'a'} function of {self.n_inputs} inputs{' with ' * bool(parts)}{parts}"

    @cached_property
    def _reads_twice(self) -> bool:
        """Whether some input or operation is read by several operations."""
        counts = Counter(argument for operation in self.operations for argument in arguments_of(operation))
        return max(counts.values(), default=0) > 1

    @cached_property
    def _recent(self) -> RecentResults:
        """What was computed over boxes: presolve, programs and searches ask for the same again and again."""
        return RecentResults()

    @cached_property
    def _hash(self) -> int:
        return hash((self.n_inputs, self.operations, self.outputs))


#: The product of two inputs.
PRODUCT = Expression(2, (Multiplication(0, 1),), (2,))


def _middles(lower: Array, upper: Array) -> Array:
    """The middles of boxes; the finite side, or zero, where they are infinite."""
    with np.errstate(all="ignore"):
        middle = lower + (upper - lower) / 2
    side = np.where(np.isfinite(lower), lower, np.where(np.isfinite(upper), upper, 0.0))
    return np.where(np.isfinite(middle), middle, side)


def _kind(operation: Operation) -> str:
    """The kind of an operation in a word."""
    if isinstance(operation, WeightedSum):
        return "sum"
    if isinstance(operation, Norm):
        return "norm"
    if not isinstance(operation, Application):
        return "product"
    return operation.function.name
