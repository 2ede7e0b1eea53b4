"""Networks and expressions brought into an order in which they can be evaluated: no column written twice, no circle."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem.embedding import EmbeddedFunction
from pyomo_relugrad.problem.presolve.extension import Extension
from pyomo_relugrad.problem.presolve.reduction import Reduced
from pyomo_relugrad.problem.problem import Problem

#: Under which it is noted of functions that there is nothing to separate.
IN_ORDER = "in order"


def separate_outputs(problem: Problem) -> Reduced | None:
    """Give fresh columns to outputs that are written before, or that close a circle of functions.

    A row ties each fresh column to the one in whose place it is written.
    """
    known = problem.function_structure.found
    if known.get(IN_ORDER) or (len(problem.functions) == 1 and _is_simple(problem.functions[0])):
        return None
    outputs = [embedded.outputs.copy() for embedded in problem.functions]
    originals = _separate_repeated(outputs, problem.n_columns)
    originals += _break_circles(problem.functions, outputs, problem.n_columns + len(originals))
    if not originals:
        known[IN_ORDER] = True
        return None
    return Reduced(_with_copies(problem, outputs, np.array(originals)), np.arange(problem.n_columns))


def _is_simple(embedded: EmbeddedFunction) -> bool:
    """Whether all outputs of a function are columns of their own."""
    written = set(embedded.outputs.tolist())
    return len(written) == embedded.outputs.size and written.isdisjoint(embedded.inputs.tolist())


def _separate_repeated(outputs: Sequence[Array], n_columns: int) -> list[int]:
    """Replace outputs that are written before by fresh columns, numbered from `n_columns`; return what these copy."""
    every = np.concatenate([np.zeros(0, np.int64), *outputs])
    repeated = np.ones(every.size, bool)
    repeated[np.unique(every, return_index=True)[1]] = False
    originals = every[repeated].tolist()
    every[repeated] = n_columns + np.arange(len(originals))
    ends = np.cumsum([columns.size for columns in outputs])
    for columns, end in zip(outputs, ends, strict=True):
        columns[:] = every[end - columns.size : end]
    return originals


def _break_circles(functions: Sequence[EmbeddedFunction], outputs: Sequence[Array], n_columns: int) -> list[int]:
    """The same for what the circle reads of the first function of each circle."""
    originals: list[int] = []
    while (circle := _first_circle(functions, outputs)).size:
        read = np.concatenate([functions[each].inputs for each in circle.tolist()])
        columns = outputs[circle[0]]
        closing = np.isin(columns, read)
        fresh = n_columns + len(originals) + np.arange(int(closing.sum()))
        originals += columns[closing].tolist()
        columns[closing] = fresh
    return originals


def _first_circle(functions: Sequence[EmbeddedFunction], outputs: Sequence[Array]) -> Array:
    """The functions that feed each other around the first one that feeds itself; none where there is no such."""
    if not functions:
        return np.zeros(0, np.int64)
    inputs = np.concatenate([embedded.inputs for embedded in functions])
    reader = np.repeat(np.arange(len(functions)), [embedded.inputs.size for embedded in functions])
    written = np.concatenate(outputs)
    writer = np.full(max(int(inputs.max()), int(written.max())) + 1, -1)
    writer[written] = np.repeat(np.arange(len(functions)), [columns.size for columns in outputs])
    source = writer[inputs]
    linked = source >= 0
    shape = (len(functions), len(functions))
    feeds = sparse.csr_array((np.ones(int(linked.sum())), (source[linked], reader[linked])), shape=shape)
    _, label = connected_components(feeds, directed=True, connection="strong")
    in_circle = (np.bincount(label)[label] > 1) | (feeds.diagonal() > 0)
    return np.flatnonzero(label == label[np.argmax(in_circle)]) if in_circle.any() else np.zeros(0, np.int64)


def _with_copies(problem: Problem, outputs: Sequence[Array], originals: Array) -> Problem:
    """The problem with a free copy of each original, tied to it by a row, and functions that write these outputs."""
    extension = Extension(problem)
    for original in originals.tolist():
        copy = extension.add_column(-np.inf, np.inf, name=problem.column_name(original))
        extension.add_row([copy, original], [1.0, -1.0], 0.0, 0.0)
    n_networks = len(problem.networks)
    networks = zip(problem.networks, outputs[:n_networks], strict=True)
    expressions = zip(problem.expressions, outputs[n_networks:], strict=True)
    return replace(
        extension.problem(),
        networks=tuple(replace(embedded, outputs=own) for embedded, own in networks),
        expressions=tuple(replace(embedded, outputs=own) for embedded, own in expressions),
    )
