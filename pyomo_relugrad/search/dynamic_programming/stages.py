"""A problem in stages: in which order its columns are chosen, and what the later ones ask of the earlier."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import EmbeddedNetwork, Problem

#: Networks that make a horizon, at least.
MIN_NETWORKS = 3
#: Numbers that a state may consist of.
MAX_STATE = 4
#: Decisions of a stage that are few.
MAX_DECISIONS = 2


@dataclass(frozen=True, eq=False)
class HorizonStage:
    """One network with the columns that are chosen before it and after it.

    Parameters
    ----------
    network : EmbeddedNetwork
    before : (k,) int array
        Columns chosen before the network is evaluated, integers first.
    after : (l,) int array
        Columns chosen once its outputs are known: what equations derive from these, then what no network reads.
    state_columns, state_rows : int arrays
        What the later stages depend on: values of columns, and the activity of rows that have columns in later stages.
    """

    network: EmbeddedNetwork
    before: Array
    after: Array
    state_columns: Array
    state_rows: Array

    @property
    def columns(self) -> Array:
        """The columns of the stage in the order in which they are known."""
        return np.concatenate([self.before, self.network.outputs, self.after])


def stages_in_order(problem: Problem) -> tuple[HorizonStage, ...]:
    """The stages of a problem in which networks depend on each other, empty where there are none.

    A network depends on another by reading its output, or what equations derive from that output. There are none where
    some state would be of more than `MAX_STATE` numbers, or fewer than `MIN_NETWORKS`, which make no horizon.

    Parameters
    ----------
    problem : Problem
        As `presolve` leaves it.
    """
    if len(problem.networks) < MIN_NETWORKS:
        return ()
    is_derived = _derived_columns(problem)
    if not ((is_derived | problem.is_output) & problem.is_input).any():
        return ()
    order, derived = _order(problem, is_derived)
    networks = [problem.networks[index] for index in order]
    place = _places(problem, networks, derived)
    parts = list(_parts(problem, networks, place, derived))
    columns = [np.concatenate([before, network.outputs, after]) for network, before, after in parts]
    states = list(_states(problem, networks, columns))
    if max(len(state_columns) + len(state_rows) for state_columns, state_rows in states) > MAX_STATE:
        return ()
    return tuple(HorizonStage(*part, *state) for part, state in zip(parts, states, strict=True))


def are_narrow(problem: Problem, stages: tuple[HorizonStage, ...]) -> bool:
    """Whether each state is one number and follows from few decisions, so that sweeps leave out next to nothing."""
    return all(
        stage.state_columns.size + stage.state_rows.size <= 1 and stage.before.size <= MAX_DECISIONS for stage in stages
    )


def _derived_columns(problem: Problem) -> Array:
    """(n,) booleans: what equations, one after another, may derive from outputs of networks."""
    equations = problem.rows[problem.row_lower == problem.row_upper].tocoo()
    row, column = equations.coords
    free = (equations.data != 0) & (problem.lower < problem.upper)[column]
    size = problem.n_columns + equations.shape[0]
    ends = column[free], problem.n_columns + row[free]
    links = sparse.coo_array((np.ones(ends[0].size), ends), shape=(size, size))
    label = connected_components(links, directed=False)[1]
    in_equation = np.isin(np.arange(problem.n_columns), column[free])
    with_output = np.isin(label[: problem.n_columns], label[: problem.n_columns][problem.is_output])
    return in_equation & with_output & ~problem.is_output & ~problem.integers


def _order(problem: Problem, is_derived: Array) -> tuple[list[int], list[list[int]]]:
    """The networks, by number, such that each comes after those that it depends on.

    With them, per network, the columns that equations derive once it is evaluated. Where equations leave the direction
    open, the networks keep their order.
    """
    known = ~is_derived & ~problem.is_output | (problem.lower == problem.upper)
    equations = problem.rows[problem.row_lower == problem.row_upper]
    row = np.repeat(np.arange(equations.shape[0]), np.diff(equations.indptr))
    order, derived = list[int](), list[list[int]]()
    waiting = list(range(len(problem.networks)))
    while waiting:
        found = _follow_equations(known, row, equations.indices, equations.shape[0], is_derived)
        if derived:
            derived[-1] += found
        ready = [index for index in waiting if known[problem.networks[index].inputs].all()]
        if not ready:
            first = next(index for index in waiting if not _waits(problem, known, index))
            known[problem.networks[first].inputs] = True
            continue
        for index in ready:
            known[problem.networks[index].outputs] = True
        order += ready
        derived += [[] for _ in ready]
        waiting = [index for index in waiting if index not in set(ready)]
    derived[-1] += _follow_equations(known, row, equations.indices, equations.shape[0], is_derived)
    return order, derived


def _waits(problem: Problem, known: Array, index: int) -> bool:
    """Whether a network reads an output that is not known yet."""
    inputs = problem.networks[index].inputs
    return bool((problem.is_output[inputs] & ~known[inputs]).any())


def _follow_equations(known: Array, row: Array, column: Array, n_rows: int, is_derived: Array) -> list[int]:
    """Mark what equations with one unknown give as known, in place, and return it in the order found."""
    found = list[int]()
    while True:
        unknown = ~known[column]
        single = (np.bincount(row, unknown, n_rows) == 1)[row] & unknown & is_derived[column]
        if not single.any():
            return found
        found += np.unique(column[single]).tolist()
        known[column[single]] = True


def _places(problem: Problem, networks: list[EmbeddedNetwork], derived: list[list[int]]) -> Array:
    """(n,) ints: the stage of each column.

    Inputs come with the first network that reads them. Other columns follow their neighbours in rows: integers come
    with the first of them, since they decide what the others may be, and continuous columns with the last.
    """
    last = len(networks) - 1
    place = np.full(problem.n_columns, -1)
    for index in range(last, -1, -1):
        place[networks[index].inputs] = index
    for index, network in enumerate(networks):
        place[network.outputs] = index
        place[derived[index]] = index
    entries = problem.rows.tocoo()
    row, column = entries.coords
    is_fixed = problem.lower == problem.upper
    while (waiting := (place < 0) & ~is_fixed).any():
        first, latest = _row_spans(problem, np.where(is_fixed, -1, place))
        early, late = np.full(problem.n_columns, last + 1), np.full(problem.n_columns, -1)
        np.minimum.at(early, column, first[row])
        np.maximum.at(late, column, latest[row])
        reached = waiting & (late >= 0)
        if not reached.any():
            place[waiting] = last
            break
        place[reached] = np.where(problem.integers, early, late)[reached]
    return np.where(is_fixed, -1, place)


def _parts(
    problem: Problem, networks: list[EmbeddedNetwork], place: Array, derived: list[list[int]]
) -> Iterator[tuple[EmbeddedNetwork, Array, Array]]:
    """Each network with the columns before and after it."""
    every = np.array([column for columns in derived for column in columns], np.int64)
    chosen = ~problem.is_output & (place >= 0) & ~np.isin(np.arange(problem.n_columns), every)
    early = problem.integers | problem.is_input
    for index, network in enumerate(networks):
        here = chosen & (place == index)
        before = np.flatnonzero(here & early)
        after = np.concatenate([np.array(derived[index], np.int64), np.flatnonzero(here & ~early)])
        yield network, before[np.argsort(~problem.integers[before], kind="stable")], after


def _states(problem: Problem, networks: list[EmbeddedNetwork], columns: list[Array]) -> Iterator[tuple[Array, Array]]:
    """After each stage: the known columns that later stages read, and the rows that are open."""
    place = np.full(problem.n_columns, -1)
    for index, part in enumerate(columns):
        place[part] = index
    needed = np.full(problem.n_columns, -1)
    for index, network in enumerate(networks):
        needed[network.inputs] = index
    if problem.quadratic is not None:
        quadratic = problem.quadratic.tocoo()
        np.maximum.at(needed, quadratic.coords[0], place[quadratic.coords[1]])
    first, latest = _row_spans(problem, place)
    for index in range(len(columns)):
        live = np.flatnonzero((place >= 0) & (place <= index) & (needed > index))
        rows = np.flatnonzero((first <= index) & (latest > index))
        yield live, _distinct(problem, rows, live, (place >= 0) & (place <= index))


def _row_spans(problem: Problem, place: Array) -> tuple[Array, Array]:
    """The first and the last stage of each row (m,) that can bind; redundant rows have no span."""
    entries = problem.rows.tocoo()
    row, column = entries.coords
    inside = place[column] >= 0
    first, latest = np.full(problem.n_rows, np.iinfo(np.int64).max), np.full(problem.n_rows, -1)
    np.minimum.at(first, row[inside], place[column[inside]])
    np.maximum.at(latest, row[inside], place[column[inside]])
    return first, latest


def _distinct(problem: Problem, rows: Array, live: Array, known: Array) -> Array:
    """The rows whose known parts are multiples neither of each other nor of a live column."""
    keys = {((column,), (1.0,)) for column in live.tolist()}
    kept = []
    for row in rows.tolist():
        entries = slice(problem.rows.indptr[row], problem.rows.indptr[row + 1])
        columns, values = problem.rows.indices[entries], problem.rows.data[entries]
        columns, values = columns[known[columns]], values[known[columns]]
        order = np.argsort(columns)
        key = (tuple(columns[order].tolist()), tuple(np.round(values[order] / values[order][0], 12).tolist()))
        if key not in keys:
            keys.add(key)
            kept.append(row)
    return np.array(kept, np.int64)
