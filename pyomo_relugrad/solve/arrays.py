"""The searches on plain arrays: maximize or minimize a network's outputs over a box or a polytope."""

from __future__ import annotations

import inspect
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any, ParamSpec, TypeVar

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array, ArrayLike, Weight
from pyomo_relugrad.checks import check_flag, named_arguments, numbers, vector
from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.network import Network, by_name, rows_by_name, spread
from pyomo_relugrad.problem import EmbeddedNetwork, Problem
from pyomo_relugrad.readers.sources import load_network
from pyomo_relugrad.run import Callback, Method, Options, Progress, SearchLog, SearchResult
from pyomo_relugrad.search.boundedness import columns_without_end
from pyomo_relugrad.solve.local import solve_locally
from pyomo_relugrad.solve.optimum import Optimum
from pyomo_relugrad.words import MAX_LISTED

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


@named_arguments
def maximize(
    network: Any,
    objective: ArrayLike | None = None,
    lower: ArrayLike = -np.inf,
    upper: ArrayLike = np.inf,
    *,
    input_objective: ArrayLike | None = None,
    A: Weight = None,
    row_lower: ArrayLike = -np.inf,
    row_upper: ArrayLike = np.inf,
    method: str | Method = "auto",
    time_limit: float = 10.0,
    iteration_limit: int | None = None,
    seed: int = 0,
    start: ArrayLike | None = None,
    callback: Callable[[Progress], bool | None] | None = None,
    threads: int | None = None,
    executor: Executor | None = None,
    solutions: int = 1,
    device: str | None = None,
    tee: bool = False,
) -> Optimum:
    """Look for inputs that make a network's outputs large.

    Where the network's inputs and outputs have names, numbers for them may be given under these, as a mapping or a
    series in any order; so may the columns of `A`, as a data frame.

    Parameters
    ----------
    network : Network, or what `load_network` takes
        A path, a module, a Keras model, an estimator and so on.
    objective : (n_outputs,) array, optional
        Weights of the outputs; may be left out where there is one output.
    lower, upper : float or (n_inputs,) array, optional
        Bounds on the inputs. An input may do without where the rows bound it, or where the objective has a bound
        whatever the input.
    input_objective : (n_inputs,) array, optional
        Weights of the inputs, zero by default.
    A : (m, n_inputs) array, optional
        Rows on the inputs: ``row_lower <= A @ x <= row_upper``.
    row_lower, row_upper : float or (m,) array, optional
    method : str or Method, optional
        A name in `pyomo_relugrad.search.METHODS`, or a value such as ``Ppga(batch=64)``.
    time_limit : float, optional
        Seconds.
    iteration_limit : int, optional
        Batched steps; with ``time_limit=float("inf")`` a seed always gives the same answer.
    seed : int, optional
    start : (n_inputs,) array, optional
        A warm start.
    callback : callable, optional
        Called with a `Progress`; the search ends when it returns True.
    threads : int, optional
        Processor cores that the search may use; by default all that this process may use.
    executor : concurrent.futures.Executor, optional
        What runs searches beside the first one, in place of processes on this machine.
    solutions : int, optional
        Distinct points that are wanted: with fewer the search goes on, though its best one is proven.
    device : str, optional
        Where points move that descend together, by PyTorch's name: "cuda", for example.
    tee : bool, optional
        Whether to print the log.

    Returns
    -------
    Optimum

    Raises
    ------
    ModelError
        If shapes disagree, a number is NaN, the method is unknown or lacks what it needs, nothing bounds the search,
        or no feasible point was found.

    Examples
    --------
    >>> network = Network.from_layers([[[1.0, -1.0], [-1.0, 1.0]], [[1.0, 2.0]]], [[0.0, 0.0], [0.0]])
    >>> best = maximize(network, lower=0, upper=1, iteration_limit=500)
    >>> best.x, best.value
    (array([0., 1.]), 2.0)
    """
    problem = array_problem(load_network(network), objective, lower, upper, input_objective, (A, row_lower, row_upper))
    options = Options(
        time_limit, iteration_limit, seed, method,
        threads=threads, executor=executor, solutions=solutions, device=device,
    )  # fmt: skip
    return _optimum(problem, options, start, callback, tee)


def _optimum(
    problem: Problem, options: Options, start: ArrayLike | None, callback: Callback | None, tee: bool
) -> Optimum:
    """Search a problem of `array_problem`."""
    refuse_without_end(problem)
    network = problem.networks[0].network
    n = network.n_inputs
    begin = None
    check_flag(tee, "tee", "; the solvers of Pyomo write the log to a file, logfile='run.log'")
    if start is not None:
        given = _vector(spread(start, network.choices, 0.0), "start", n, network.input_names)
        if not np.isfinite(given).all():
            place = int(np.flatnonzero(~np.isfinite(given))[0])
            raise ModelError(f"start[{place}] is {given[place]}: give finite numbers")
        begin = np.concatenate([given, np.full(network.n_outputs, np.nan)])
    solve = _solve_with_log if tee else solve_locally
    result = solve(problem, options, start=begin, callback=callback)
    best = result.incumbent
    if best is None:
        advice = (
            f"{result.reason}: change one of them" if result.reason else "check the bounds and rows, or give more time"
        )
        raise ModelError(f"no feasible point was found ({result.stop.value} after {result.elapsed:.1f} s); {advice}")
    return Optimum.at(best, result, problem.maximize, network)


def _solve_with_log(problem: Problem, options: Options, start: Array | None, callback: Callback | None) -> SearchResult:
    """A search whose log is printed."""
    log, begin = SearchLog([sys.stdout]), time.perf_counter()

    def report(progress: Progress) -> bool:
        log.progress(progress)
        return callback is not None and bool(callback(progress))

    log.header(problem, options.in_words(proves=False), 0.0)
    with log.ticking(lambda: time.perf_counter() - begin):
        result = solve_locally(problem, options, start=start, callback=report)
    log.summary(result)
    return result


def refuse_without_end(problem: Problem) -> None:
    """Refuse a problem of `array_problem` that may have no best point, because nothing bounds it.

    Raises
    ------
    ModelError
        If neither bounds and rows bound the inputs, nor the networks the objective; names the inputs.
    """
    columns = columns_without_end(problem).tolist()
    if columns:
        shown = ", ".join(problem.column_name(column) for column in columns[:MAX_LISTED])
        more = ", ..." if len(columns) > MAX_LISTED else ""
        raise ModelError(
            "the objective may be unbounded: a search needs finite bounds on the decision variables, but "
            f"{shown}{more} has none; give lower and upper bounds, or rows that bound them"
        )


def _with_arguments_of(
    function: Callable[Arguments, Result],
) -> Callable[[Callable[..., Result]], Callable[Arguments, Result]]:
    """Give a function the signature of another one, for `help` and type checkers."""

    def decorate(follower: Callable[..., Result]) -> Callable[Arguments, Result]:
        follower.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
        return follower

    return decorate


@named_arguments
@_with_arguments_of(maximize)
def minimize(
    network: Any,
    objective: ArrayLike | None = None,
    lower: ArrayLike = -np.inf,
    upper: ArrayLike = np.inf,
    *,
    input_objective: ArrayLike | None = None,
    A: Weight = None,
    row_lower: ArrayLike = -np.inf,
    row_upper: ArrayLike = np.inf,
    start: ArrayLike | None = None,
    callback: Callable[[Progress], bool | None] | None = None,
    time_limit: float = 10.0,
    tee: bool = False,
    **options: Any,
) -> Optimum:
    """Look for inputs that make a network's outputs small; the arguments are those of `maximize`.

    Examples
    --------
    >>> network = Network.from_layers([[[1.0, -1.0], [-1.0, 1.0]], [[1.0, 2.0]]], [[0.0, 0.0], [1.0]])
    >>> minimize(network, lower=0, upper=1, iteration_limit=500).value
    1.0
    """
    network, rows = load_network(network), (A, row_lower, row_upper)
    problem = array_problem(network, objective, lower, upper, input_objective, rows, maximize=False)
    return _optimum(problem, Options(time_limit, **options), start, callback, tee)


def array_problem(
    network: Network,
    objective: ArrayLike | None,
    lower: ArrayLike,
    upper: ArrayLike,
    input_objective: ArrayLike | None = None,
    rows: tuple[Weight, ArrayLike, ArrayLike] = (None, -np.inf, np.inf),
    maximize: bool = True,
) -> Problem:
    """The problem behind `maximize`: columns are the inputs, then the outputs; `rows` is (A, row_lower, row_upper)."""
    n, k, choices = network.n_inputs, network.n_outputs, network.choices
    weights = _weights(network, input_objective, objective)
    matrix, row_lower, row_upper = rows
    sides = [numbers(side, name) for name, side in (("row_lower", row_lower), ("row_upper", row_upper))]
    if matrix is None and any(np.isfinite(side).any() for side in sides):
        raise ModelError("row_lower and row_upper are bounds of the rows in A, which is not given: give A too")
    matrix = _row_matrix(matrix, n, network.input_names)
    m, chosen = matrix.shape[0], _choice_rows(network)
    low = _of_inputs(network, lower, "lower", fill=0.0)
    high = _of_inputs(network, upper, "upper", fill=1.0)
    binary, sums = chosen.any(axis=0), np.ones(len(chosen))
    input_rows = sparse.vstack([sparse.csr_array(matrix), sparse.csr_array(chosen)])
    return Problem(
        cost=-weights if maximize else weights,
        lower=np.concatenate([np.where(binary, np.maximum(low, 0.0), low), np.full(k, -np.inf)]),
        upper=np.concatenate([np.where(binary, np.minimum(high, 1.0), high), np.full(k, np.inf)]),
        integers=np.concatenate([binary, np.zeros(k, bool)]),
        rows=sparse.hstack([input_rows, sparse.csr_array((m + len(chosen), k))], format="csr"),
        row_lower=np.append(_vector(row_lower, "row_lower", m), sums),
        row_upper=np.append(_vector(row_upper, "row_upper", m), sums),
        networks=(EmbeddedNetwork(network, np.arange(n), n + np.arange(k), network.name),),
        maximize=maximize,
        column_names=_column_names(network),
        row_names=(*(f"row {row}" for row in range(m)), *(f"one category of {own.name}" for own in choices)),
    )


def _weights(network: Network, input_objective: ArrayLike | None, objective: ArrayLike | None) -> Array:
    """Weights of the inputs, then of the outputs; not all are zero."""
    k = network.n_outputs
    if objective is None and k > 1:
        raise ModelError(
            f"the network has {k} outputs: give their {k} weights as the objective, such as [1{', 0' * (k - 1)}]"
            if k <= MAX_LISTED
            else f"the network has {k} outputs: give their {k} weights as the objective"
        )
    own = _of_inputs(network, 0.0 if input_objective is None else input_objective, "input_objective", fill=0.0)
    given = 1.0 if objective is None else objective
    weights = np.concatenate([own, _vector(given, "objective", k, network.output_names, "output")])
    if not weights.any():
        raise ModelError(
            "the objective is zero: give weights of the outputs, or none where there is one output; bounds on the "
            "inputs are lower=... and upper=..."
        )
    return weights


def _of_inputs(network: Network, values: ArrayLike, name: str, fill: float) -> Array:
    """A number per input; the categories of a choice that is not given have the value `fill`."""
    return _vector(spread(values, network.choices, fill), name, network.n_inputs, network.input_names)


def _choice_rows(network: Network) -> Array:
    """Rows (n_choices, n_inputs) whose sums say how many categories are chosen."""
    rows = np.zeros((len(network.choices), network.n_inputs))
    for row, choice in zip(rows, network.choices, strict=True):
        row[list(choice.positions)] = 1.0
    return rows


def _column_names(network: Network) -> tuple[str, ...]:
    """Names of inputs and outputs; none at all where the network has none."""
    if not network.input_names:
        return ()
    outputs = network.output_names or tuple(f"output {position}" for position in range(network.n_outputs))
    return (*network.input_names, *outputs)


def _row_matrix(given: Any, n_inputs: int, names: Sequence[str]) -> Weight:
    """Coefficients (m, n_inputs) of the rows, none where there are no rows."""
    if given is None:
        return np.zeros((0, n_inputs))
    if sparse.issparse(given):
        matrix = sparse.csr_array(given)
        matrix.data = numbers(matrix.data, "A")
    else:
        matrix = rows_by_name(given, numbers(given, "A"), names)
    if matrix.ndim != 2 or matrix.shape[1] != n_inputs:
        raise ModelError(
            f"A has shape {matrix.shape}: give a table of shape (rows, {n_inputs}), a row to each constraint"
        )
    if isinstance(matrix, np.ndarray) and not np.isfinite(matrix).all():
        row, column = np.argwhere(~np.isfinite(matrix))[0].tolist()
        raise ModelError(f"A[{row}, {column}] is {matrix[row, column]}: give finite numbers")
    return matrix


def _vector(values: Any, argument: str, size: int, names: Sequence[str] = (), what: str = "input") -> Array:
    """Numbers by position, from an array, one number for all, or from what has the names as its keys."""
    return vector(by_name(values, names, what, argument), argument, size)
