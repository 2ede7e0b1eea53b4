"""Data reduced to the points that span their convex hulls, one hull per cluster. Knows no Pyomo."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy.cluster.vq import kmeans2

from pyomo_relugrad.arrays import Array, ArrayLike
from pyomo_relugrad.checks import check_number, is_whole, numbers, readable
from pyomo_relugrad.errors import ModelError, NetworkValueError
from pyomo_relugrad.modeling.data_hull.extreme_points import extreme_points
from pyomo_relugrad.network import checked_names

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


def _table(data: Any) -> Array:
    """The data as a float64 table."""
    table = numbers(data, "data", "a table of numbers, rows by inputs").copy()
    if table.ndim != 2 or 0 in table.shape:
        raise ModelError(f"the data have shape {table.shape}: give a table (rows, inputs), at least one of each")
    if not np.isfinite(table).all():
        row, column = np.argwhere(~np.isfinite(table))[0].tolist()
        raise ModelError(f"the data have {table[row, column]} in row {row}, column {column}: drop or fill such rows")
    return table


def _column_names(data: Any) -> tuple[str, ...]:
    """Names of a data frame's columns, all different; none where there are none, or they are not text."""
    names = tuple(getattr(data, "columns", ()))
    try:
        return checked_names(names, len(names), "column") if all(isinstance(name, str) for name in names) else ()
    except NetworkValueError as error:
        raise ModelError(f"the data: {error}") from None


def _labels(clusters: Any, table: Array) -> Array:
    """Cluster label (n_rows,) of each row; all the same where there are no clusters."""
    if clusters is None:
        return np.zeros(len(table), np.int64)
    clusters = readable(clusters)
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
