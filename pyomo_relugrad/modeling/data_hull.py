"""`DataHull`: variables of a Pyomo model kept where the data are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from pyomo.common.gc_manager import PauseGC
from pyomo.core.base.block import BlockData
from pyomo.core.base.component import Component
from pyomo.core.base.constraint import Constraint
from pyomo.core.base.set import Binary
from pyomo.core.base.var import Var
from pyomo.core.expr.numeric_expr import LinearExpression
from pyomo.core.util import quicksum
from scipy.cluster.vq import kmeans2

from pyomo_relugrad.arrays import Array, ArrayLike
from pyomo_relugrad.checks import check_number, is_whole, numbers, refuse_unknown
from pyomo_relugrad.errors import ModelError, NetworkValueError
from pyomo_relugrad.modeling.block.arguments import listed_terms, resolve_terms
from pyomo_relugrad.modeling.block.entries import Entries
from pyomo_relugrad.modeling.block.keyword_block import KeywordBlock, KeywordRule
from pyomo_relugrad.modeling.block.units import without_unit
from pyomo_relugrad.modeling.extreme_points import extreme_points
from pyomo_relugrad.network import Network
from pyomo_relugrad.network.choices import column_names, encoded
from pyomo_relugrad.network.names import checked_names
from pyomo_relugrad.words import listed

#: Points of a hull, by default, before the hull is approximated from inside.
MAX_POINTS = 500
#: The cluster label that scikit-learn gives to noise.
NOISE = -1


@dataclass(frozen=True, eq=False)
class Hulls:
    """Data points whose convex hulls, one per cluster, are the region to stay in.

    Parameters
    ----------
    points : (k, n) array
    rows : (k,) int array
        Row of the data that each point is.
    clusters : (k,) array
        Label of each point's cluster.
    centre, range : (n,) arrays
        Of the data's columns; a constant column has range one.
    is_exact : bool
        Whether the hulls are those of all data.
    names : tuple of str, optional
        Of the data's columns, where they have some.
    """

    points: Array
    rows: Array
    clusters: Array
    centre: Array
    range: Array
    is_exact: bool
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, data: ArrayLike, clusters: Any = None, max_points: int | None = MAX_POINTS) -> Hulls:
        """Reduce data to the vertices of their hulls; the parameters are those of `DataHull`."""
        table = _table(data)
        names = _column_names(data)
        labels = _labels(clusters, table)
        if max_points is not None:
            check_number(max_points, "max_points", "a whole number of 1 or more, or None", partial(is_whole, least=1))
        parts = []
        for label in np.unique(labels[~_is_noise(labels)]):
            members = np.flatnonzero(labels == label)
            reduced = extreme_points(table[members], max_points)
            parts.append((members[reduced.rows], reduced.is_exact))
        rows = np.concatenate([part for part, _ in parts])
        low, high = table.min(axis=0), table.max(axis=0)
        return cls(
            points=table[rows],
            rows=rows,
            clusters=labels[rows],
            centre=0.5 * (low + high),
            range=np.where(high > low, high - low, 1.0),
            is_exact=all(exact for _, exact in parts),
            names=names,
        )


class DataHullData(BlockData):
    """One hull of a `DataHull`.

    Attributes
    ----------
    weights : Var
        The convex combination's weights, by row number of the data: only rows that are vertices have one.
    combination : Constraint
        Each input is the combination of the vertices, both sides measured from the middle of the data's column and
        divided by its range; within `margin`.
    convexity : Constraint
        The weights sum to one. With clusters, by label: they sum to one in the active cluster and to zero in others.
    active_cluster : Var
        With clusters: binary, by label.
    one_cluster : Constraint
        With clusters: exactly one is active.
    """

    def __init__(self, component: Component) -> None:
        super().__init__(component)
        self._hulls: Hulls | None = None

    def build(
        self,
        inputs: Any,
        data: ArrayLike | Hulls,
        clusters: Any = None,
        margin: float = 0.0,
        max_points: int | None = MAX_POINTS,
    ) -> None:
        """Add the variables and rows; for rules of an indexed block.

        The parameters are those of `DataHull`. `data` may also be `Hulls`, so that blocks share one reduction.

        Raises
        ------
        ModelError
            If the block has a hull already, or an argument does not fit; names the block.
        """
        if self._hulls is not None:
            raise ModelError(f"data hull '{self.name}' is built already: make another one")
        try:
            hulls = data if isinstance(data, Hulls) else Hulls.of(_in_order(data, inputs), clusters, max_points)
            terms = _terms(inputs, hulls)
            check_number(margin, "the margin", "a finite number of 0 or more", lambda given: 0.0 <= given < np.inf)
        except ModelError as error:
            raise ModelError(f"data hull '{self.name}': {error}") from error
        self._hulls = hulls
        with PauseGC():
            self._add_weights(hulls)
            self._add_combination(hulls, terms, float(margin))

    def _add_weights(self, hulls: Hulls) -> None:
        rows, labels = hulls.rows.tolist(), hulls.clusters.tolist()
        names = sorted(set(labels))
        self.weights = Var(rows, bounds=(0, 1))
        if len(names) == 1:
            self.convexity = Constraint(expr=quicksum(self.weights.values()) == 1)
            return
        self.active_cluster = Var(names, domain=Binary)
        self.one_cluster = Constraint(expr=quicksum(self.active_cluster.values()) == 1)
        self.convexity = Constraint(names)
        for name in names:
            members = [self.weights[row] for row, label in zip(rows, labels, strict=True) if label == name]
            self.convexity[name] = quicksum(members) == self.active_cluster[name]

    def _add_combination(self, hulls: Hulls, terms: list[Any], margin: float) -> None:
        scaled = (hulls.points - hulls.centre) / hulls.range
        weights = list(self.weights.values())
        self.combination = Constraint(range(len(terms)))
        for position, term in enumerate(terms):
            combined = LinearExpression(linear_coefs=(-scaled[:, position]).tolist(), linear_vars=weights)
            middle, width = float(hulls.centre[position]), float(hulls.range[position])
            gap = combined + without_unit(term) / width
            target = middle / width
            self.combination[position] = (target - margin, gap, target + margin) if margin else gap == target

    @property
    def hulls(self) -> Hulls:
        """The points that span the region, and which rows of the data they are."""
        if self._hulls is None:
            raise ModelError(f"data hull '{self.name}' is not built yet: call build(inputs, data)")
        return self._hulls


class DataHull(KeywordBlock, data=DataHullData):
    """Keep variables in the convex hull of data, or in one of the hulls of its clusters.

    A network knows its training data and guesses elsewhere; an optimizer goes where the guess is best. In the hull of
    the data it cannot leave what the network has seen (the trust region of D. Maragno et al., Mixed-integer
    optimization with constraint learning, Operations Research 2023). The block consists of ordinary variables and
    linear rows, so every solver understands it.

    Parameters
    ----------
    *args
        Index sets, as for `Block`.
    inputs : variables or expressions
        One per column of the data: an indexed `Var` or `Reference`, a slice, a sequence, or a mapping; ``nn.inputs``
        of a network block too. Where the data are a frame whose columns have names, keys that are these names count,
        in any order; positions and sequences are in the order of the columns. A network block stands for its inputs:
        then the columns of a frame go by the names of these, and may hold categories.
    data : (n_rows, n_inputs) array or data frame
        The inputs that the network was trained on, in the units of `inputs`.
    clusters : int or (n_rows,) labels, optional
        Stay in the hull of one cluster, so that gaps between clusters are avoided as well; this adds a binary
        variable per cluster. Labels are those of a clustering, such as scikit-learn's ``fit_predict``: integers or
        strings, with rows labelled -1 as noise that is left out. A number asks for that many clusters by k-means.
    margin : float, optional
        Share of each column's range by which the inputs may leave the hull. Default 0.
    max_points : int or None, optional
        Rows of the data, per cluster, that become columns of the model. Only vertices of the hull do; where there are
        more of them, as in most data with over six columns, a hull of `max_points` vertices far apart from each other
        takes its place. It lies inside the hull of the data, so nothing new is let in; ``hulls.is_exact`` tells.
        Default 500; None keeps all vertices.
    **kwargs
        As for `Block`: `rule`, `name`, `doc`, `concrete`.

    Notes
    -----
    Rows that are no vertices are found exactly: by Qhull in up to five dimensions, by linear programs beyond. On an
    indexed block `inputs` may be a function ``f(parent, *index)`` or a mapping by the block's index; the data are
    reduced once. The other way is Pyomo's `rule`, which calls `DataHullData.build`.

    Raises
    ------
    ModelError
        If shapes do not fit, or the data have NaN or infinite entries.

    Examples
    --------
    >>> import numpy as np
    >>> import pyomo.environ as pyo
    >>> m = pyo.ConcreteModel()
    >>> m.x = pyo.Var(["temperature", "pressure"])
    >>> m.hull = DataHull(inputs=m.x, data=[[300, 1.0], [350, 1.5], [400, 2.5], [340, 1.6]])
    >>> list(m.hull.weights)
    [0, 1, 2]
    >>> m.o = pyo.Objective(expr=m.x["temperature"] - 100 * m.x["pressure"], sense=pyo.maximize)
    >>> results = pyo.SolverFactory("appsi_highs").solve(m)
    >>> round(m.x["temperature"].value, 6), round(m.x["pressure"].value, 6)
    (300.0, 1.0)
    """

    def __init__(
        self,
        *args: Any,
        inputs: Any = None,
        data: Any = None,
        clusters: Any = None,
        margin: float = 0.0,
        max_points: int | None = MAX_POINTS,
        **kwargs: Any,
    ) -> None:
        by_keywords = inputs is not None or data is not None
        if by_keywords and kwargs.get("rule") is not None:
            raise ModelError("DataHull takes inputs and data or rule, not both: give them to build() in the rule")
        if by_keywords and (inputs is None or data is None):
            missing = "inputs" if inputs is None else "data"
            raise ModelError(f"DataHull has no {missing}: give inputs=... and data=...")
        if by_keywords:
            kwargs["rule"] = _SharedReduction(inputs, margin, data, clusters, max_points)
        super().__init__(*args, **kwargs)


class _SharedReduction(KeywordRule):
    """Reduces the data once for all indices."""

    def __init__(self, inputs: Any, margin: float, data: Any, *reduction: Any) -> None:
        super().__init__("data hull", {"inputs": inputs})
        self._margin, self._data, self._reduction = margin, data, reduction

    def __call__(self, block: DataHullData, *_: Any, **unknown: Any) -> None:
        known = ("inputs", "data", "clusters", "margin", "max_points")
        refuse_unknown(unknown, "DataHull", known, ", and those of a Block")
        inputs = self.argument("inputs", block)
        if not isinstance(self._data, Hulls):
            try:
                self._data = Hulls.of(_in_order(self._data, inputs), *self._reduction)
            except ModelError as error:
                raise ModelError(f"data hull '{block.name}': {error}") from error
        block.build(inputs, self._data, margin=self._margin)


def _in_order(data: Any, inputs: Any) -> Any:
    """A data frame as rows of a network block's inputs, with a number for each category; other data as they are.

    Raises
    ------
    ModelError
        If columns are missing, hold no numbers, or have categories that the network does not know.
    """
    network = getattr(inputs, "network", None)
    if not isinstance(network, Network) or not network.input_names:
        return data
    names = column_names(network.input_names, network.choices)
    if not hasattr(data, "columns"):
        if network.choices:
            raise ModelError(f"the network has categories: give the data as a frame with the columns {listed(names)}")
        return data
    missing = [name for name in names if name not in data.columns]
    if missing:
        raise ModelError(f"the data have no column {listed(missing)}: give the columns {listed(names)}")
    try:
        return encoded(data, network.input_names, network.choices)
    except (NetworkValueError, TypeError, ValueError) as error:
        raise ModelError(f"the data: {error}") from None


def _table(data: Any) -> Array:
    """The data as a float64 table.

    Raises
    ------
    ModelError
        If they are not a table of finite numbers with at least one row and one column.
    """
    table = numbers(data, "data", "a table of numbers, rows by inputs").copy()
    if table.ndim != 2 or 0 in table.shape:
        raise ModelError(f"the data have shape {table.shape}: give a table (rows, inputs), at least one of each")
    if not np.isfinite(table).all():
        row, column = np.argwhere(~np.isfinite(table))[0].tolist()
        raise ModelError(f"the data have {table[row, column]} in row {row}, column {column}: drop or fill such rows")
    return table


def _column_names(data: Any) -> tuple[str, ...]:
    """Names of a data frame's columns; none where there are none, or they are not text.

    Raises
    ------
    ModelError
        If two columns have one name.
    """
    names = tuple(getattr(data, "columns", ()))
    try:
        return checked_names(names, len(names), "column") if all(isinstance(name, str) for name in names) else ()
    except NetworkValueError as error:
        raise ModelError(f"the data: {error}") from None


def _labels(clusters: Any, table: Array) -> Array:
    """Cluster label (n_rows,) of each row; all the same where there are no clusters.

    Raises
    ------
    ModelError
        If there is not one label per row, or all rows are noise.
    """
    if clusters is None:
        return np.zeros(len(table), np.int64)
    if np.ndim(clusters) == 0:
        return _cluster(table, clusters)
    labels = np.asarray(clusters)
    if labels.shape != (len(table),):
        raise ModelError(f"the cluster labels have shape {labels.shape}: give one label for each of {len(table)} rows")
    if _is_noise(labels).all():
        raise ModelError("the cluster labels say that all rows are noise (-1): give another label to some")
    return labels


def _is_noise(labels: Array) -> Array:
    """Which labels (n_rows,) say that the row belongs to no cluster."""
    return np.array([label == NOISE for label in labels.tolist()], bool)


def _cluster(table: Array, count: Any) -> Array:
    """Labels by k-means on the columns divided by their ranges."""
    wanted = f"one label per row, or a whole number from 1 to {len(table)}"
    check_number(count, "clusters", wanted, lambda given: is_whole(given, 1) and given <= len(table))
    ranges = np.ptp(table, axis=0)
    scaled = (table - table.mean(axis=0)) / np.where(ranges > 0, ranges, 1.0)
    return np.asarray(kmeans2(scaled, int(count), minit="++", seed=0)[1])


def _terms(inputs: Any, hulls: Hulls) -> list[Any]:
    """One variable or expression per column."""
    entries = Entries("input", hulls.points.shape[1], (), hulls.names, owner="data")
    if isinstance(getattr(inputs, "network", None), Network):
        inputs = inputs.inputs
    terms = [inputs] if isinstance(inputs, BlockData) else listed_terms(inputs, entries)
    if len(terms) != entries.size:
        raise ModelError(
            f"the data have {entries.size} columns, but {len(terms)} inputs were given: give an input for each column"
        )
    return resolve_terms(terms, entries)
