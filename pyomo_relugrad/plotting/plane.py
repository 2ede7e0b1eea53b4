"""Networks on a plane: what a network is on a two-dimensional slice of its inputs, and its linear regions there."""

import numpy as np

from pyomo_relugrad.arrays import Array, ArrayLike
from pyomo_relugrad.errors import NetworkValueError
from pyomo_relugrad.network import Network
from pyomo_relugrad.network.building import substitute_inputs

# A pre-activation within this of zero, relative to the largest of its layer on the polygon, is zero.
ZERO = 1e-9


def plane_network(network: Network, origin: ArrayLike, directions: ArrayLike) -> Network:
    """The network as a function of two coordinates: ``t`` stands for the input ``origin + t @ directions``.

    Parameters
    ----------
    network : Network
    origin : (n_inputs,) array
    directions : (2, n_inputs) array
    """
    return substitute_inputs(network, np.asarray(directions, np.float64).T, np.asarray(origin, np.float64))


def box_on_plane(lower: ArrayLike, upper: ArrayLike, origin: ArrayLike, directions: ArrayLike) -> Array:
    """The part of a plane that lies in a box, as a convex polygon.

    Parameters
    ----------
    lower, upper : (n,) arrays
        Finite wherever a direction is not zero.
    origin : (n,) array
    directions : (2, n) array
        Linearly independent.

    Returns
    -------
    (k, 2) array
        The corners in order; no row where the plane misses the box, or meets it in less than a polygon.

    Raises
    ------
    NetworkValueError
        If a bound that is needed is infinite, or the directions are parallel.
    """
    start, plane = np.asarray(origin, np.float64), np.asarray(directions, np.float64)
    moves = (plane != 0).any(axis=0)
    low = (np.broadcast_to(np.asarray(lower, np.float64), start.shape) - start)[moves]
    high = (np.broadcast_to(np.asarray(upper, np.float64), start.shape) - start)[moves]
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise NetworkValueError("an input that varies on the slice has no finite bounds: give lower and upper bounds")
    stretch = np.linalg.svd(plane, compute_uv=False)
    if stretch[1] <= 1e-12 * stretch[0]:
        raise NetworkValueError("the directions of the slice are parallel, or one is zero: give two that differ")
    reach = 2 * float(np.linalg.norm(np.maximum(abs(low), abs(high))) / stretch[1])
    polygon = reach * np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    for row, least, most in zip(plane.T[moves], low, high, strict=True):
        for normal, limit in ((row, least), (-row, -most)):
            polygon = _split(polygon, polygon @ normal - limit)[0]
            if len(polygon) < 3:
                return np.zeros((0, 2))
    return polygon


def regions_on_plane(network: Network, polygon: ArrayLike, most: int = 100_000) -> list[Array]:
    """The linear regions of a network with two inputs inside a convex polygon.

    Layer after layer every polygon is cut along the lines on which a pre-activation is zero. On an uncut polygon
    the pre-activations of the next layer are affine, so their values at its corners tell which of them cut it.

    Parameters
    ----------
    network : Network
        With two inputs.
    polygon : (k, 2) array
        Corners in order.
    most : int, optional
        Regions after which to give up.

    Returns
    -------
    list of (k, 2) arrays
        Convex polygons that fill the given one.

    Raises
    ------
    NetworkValueError
        If there are more regions than `most`.

    Examples
    --------
    >>> network = Network.from_layers([[[1.0, 0.0], [1.0, -1.0]], [[1.0, 1.0]]], [[-0.5, 0.0], [0.0]])
    >>> len(regions_on_plane(network, [[0, 0], [1, 0], [1, 1], [0, 1]]))
    4
    """
    polygons = [np.asarray(polygon, np.float64)]
    for layer in range(len(network.widths)):
        corners = network.preactivations(np.concatenate(polygons))[layer]
        ends = np.cumsum([len(part) for part in polygons])[:-1]
        cut: list[Array] = []
        for part, values in zip(polygons, np.split(corners, ends), strict=True):
            cut += _cut(part, values)
            if len(cut) > most:
                raise NetworkValueError(f"the slice has more than {most} linear regions")
        polygons = cut
    return polygons


def _cut(polygon: Array, values: Array) -> list[Array]:
    """Cut a polygon (k, 2) along the zeros of affine functions, given by their values (k, m) at its corners."""
    threshold = ZERO * abs(values).max(initial=0.0)
    crossing = (values.min(axis=0) < -threshold) & (values.max(axis=0) > threshold)
    parts = [np.concatenate([polygon, values[:, crossing]], axis=1)]
    for column in range(2, 2 + int(crossing.sum())):
        pieces: list[Array] = []
        for part in parts:
            heights = part[:, column]
            is_cut = heights.min() < -threshold and heights.max() > threshold
            pieces += [piece for piece in _split(part, heights) if len(piece) >= 3] if is_cut else [part]
        parts = pieces
    return [part[:, :2] for part in parts]


def _split(polygon: Array, heights: Array) -> tuple[Array, Array]:
    """The parts of a convex polygon where an affine function is not negative, and where it is not positive.

    Parameters
    ----------
    polygon : (k, c) array
        Corners in order; all columns are interpolated along the edges.
    heights : (k,) array
        The function at the corners.
    """
    ahead, following = np.roll(heights, -1), np.roll(polygon, -1, axis=0)
    edges = np.flatnonzero(heights * ahead < 0)
    share = (heights[edges] / (heights[edges] - ahead[edges]))[:, None]
    crossings = polygon[edges] + share * (following[edges] - polygon[edges])
    corners = np.insert(polygon, edges + 1, crossings, axis=0)
    sides = np.insert(heights, edges + 1, 0.0)
    return corners[sides >= 0], corners[sides <= 0]
