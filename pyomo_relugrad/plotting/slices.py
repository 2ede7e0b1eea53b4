"""A two-dimensional slice of a network: its values, its linear regions, and the walk of a search."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyomo_relugrad.arrays import Array, ArrayLike
from pyomo_relugrad.checks import numbers, readable
from pyomo_relugrad.errors import NetworkValueError
from pyomo_relugrad.network import Network, by_name, input_box
from pyomo_relugrad.plotting.plane import box_on_plane, plane_network, regions_on_plane
from pyomo_relugrad.plotting.style import INK, axes, calm, module_of_matplotlib
from pyomo_relugrad.readers.sources import load_network
from pyomo_relugrad.words import counted, listed

# Values are computed on a grid of so many points a side.
GRID = 300
# Beyond so many regions their borders would hide the values.
MAX_REGIONS = 20_000


def plot_slice(
    network: Any,
    point: ArrayLike,
    directions: ArrayLike = (0, 1),
    *,
    lower: ArrayLike,
    upper: ArrayLike,
    objective: ArrayLike | None = None,
    path: ArrayLike | None = None,
    borders: bool = True,
    ax: Any = None,
) -> Any:
    """Draw a network on a plane through a point: values as colours, borders of linear regions as lines.

    Parameters
    ----------
    network : Network, or what `load_network` takes
    point : (n_inputs,) array
        The plane goes through it.
    directions : pair of int, or (2, n_inputs) array, optional
        Two inputs that vary while the others stay as they are at the point; or two vectors, and the axes then count
        steps along them from the point. ``directions=[b - a, c - a]`` at the point ``a`` is the plane of three points.
    lower, upper : float or (n_inputs,) array
        The box; what is drawn is the part of the plane that lies in it.
    objective : (n_outputs,) array, optional
        Weights of the outputs; may be left out where there is one output.
    path : (k, n_inputs) array, optional
        Points in their order, such as a search's incumbents; they are projected onto the plane. The first is a
        circle, the last a star.
    borders : bool, optional
        Whether the linear regions are computed and drawn. They are exact.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    MissingPackageError
        If matplotlib is not installed.
    NetworkValueError
        If the plane misses the box, shapes disagree, or there are too many regions for their borders to be drawn.

    Examples
    --------
    >>> network = Network.from_layers([[[1.0, -1.0], [-1.0, 1.0]], [[1.0, 2.0]]], [[0.0, 0.0], [0.0]])
    >>> ax = plot_slice(network, [0.5, 0.5], lower=0, upper=1)
    >>> ax.get_title(loc="left")
    '2 linear regions'
    """
    network = load_network(network)
    origin, plane, names = _plane(network, point, directions)
    weights = _weights(network, objective)
    low, high = input_box(network, lower, upper)
    polygon = box_on_plane(low, high, origin, plane)
    if not len(polygon):
        raise NetworkValueError("the slice misses the box: take a point between lower and upper")
    on_plane = plane_network(network, origin, plane)
    ax = axes(ax, (6.4, 4.8))
    _draw_values(ax, on_plane, weights, polygon)
    if borders:
        _draw_borders(ax, on_plane, polygon)
    if path is not None:
        _draw_path(ax, (network.batch(path) - origin) @ np.linalg.pinv(plane))
    ax.locator_params(axis="x", nbins=6)  # long numbers would touch
    ax.set_xlabel(names[0])
    ax.set_ylabel(names[1])
    calm(ax, has_lines=False)
    return ax


def _plane(network: Network, point: ArrayLike, directions: ArrayLike) -> tuple[Array, Array, tuple[str, str]]:
    """Origin (n,) and directions (2, n) of the plane, and the labels of the axes."""
    origin = numbers(by_name(point, network.input_names, "input", "the point"), "the point").copy()
    if origin.shape != (network.n_inputs,):
        raise NetworkValueError(
            f"the point has shape {origin.shape}: give one number for each of {network.n_inputs} inputs"
        )
    if not np.isfinite(origin).all():
        raise NetworkValueError(f"the point has {listed(origin[~np.isfinite(origin)].tolist())}: give finite numbers")
    plane = np.asarray(readable(directions))
    if plane.shape == (2, network.n_inputs) and plane.ndim == 2:
        return origin, plane.astype(np.float64), ("steps along the first direction", "steps along the second direction")
    if plane.shape != (2,) or not np.issubdtype(plane.dtype, np.integer):
        raise NetworkValueError(
            f"the directions have shape {plane.shape}: give two inputs, such as (0, 1), or two vectors of length "
            f"{network.n_inputs}"
        )
    if plane.min() < 0 or plane.max() >= network.n_inputs or plane[0] == plane[1]:
        raise NetworkValueError(
            f"the directions are the inputs {plane.tolist()}: give two different ones from 0 to {network.n_inputs - 1}"
        )
    origin[plane] = 0.0  # the axes show the inputs themselves
    return origin, np.eye(network.n_inputs)[plane], (f"input {plane[0]}", f"input {plane[1]}")


def _weights(network: Network, objective: ArrayLike | None) -> Array:
    if objective is None and network.n_outputs > 1:
        raise NetworkValueError(f"the network has {network.n_outputs} outputs: give their weights as the objective")
    given = by_name(objective, network.output_names, "output", "the objective")
    weights = np.ones(1) if given is None else numbers(given, "the objective")
    if weights.shape != (network.n_outputs,):
        raise NetworkValueError(f"the objective has shape {weights.shape}: give {network.n_outputs} weights")
    return weights


def _draw_borders(ax: Any, on_plane: Network, polygon: Array) -> None:
    """The borders of the linear regions, whose number is the title."""
    try:
        regions = regions_on_plane(on_plane, polygon, MAX_REGIONS)
    except NetworkValueError as error:
        raise NetworkValueError(f"{error}: take a smaller box, or borders=False") from error
    style = {"facecolors": "none", "edgecolors": "white", "linewidths": 0.5, "alpha": 0.75}
    ax.add_collection(module_of_matplotlib("collections").PolyCollection(regions, **style), autolim=False)
    ax.set_title(counted(len(regions), "linear region"), loc="left", fontsize="medium", pad=9)


def _draw_values(ax: Any, on_plane: Network, weights: Array, polygon: Array) -> None:
    """The values as an image, cut to the polygon, with a colour bar."""
    low, high = polygon.min(axis=0), polygon.max(axis=0)
    first, second = (np.linspace(low[k], high[k], GRID) for k in (0, 1))
    points = np.stack(np.meshgrid(first, second), axis=-1).reshape(-1, 2)
    values = (on_plane.value(points) @ weights).reshape(GRID, GRID)
    outline = module_of_matplotlib("patches").Polygon(polygon, facecolor="none", edgecolor="none")
    ax.add_patch(outline)
    inside = module_of_matplotlib("path").Path(polygon).contains_points(points, radius=1e-9).reshape(GRID, GRID)
    shown = values[inside] if inside.any() else values
    half = (high - low) / (2 * (GRID - 1))  # pixels are centred at the points
    image = ax.imshow(
        values, origin="lower", aspect="auto", interpolation="bilinear", cmap="viridis",
        vmin=shown.min(), vmax=shown.max(),
        extent=(low[0] - half[0], high[0] + half[0], low[1] - half[1], high[1] + half[1]),
    )  # fmt: skip
    image.set_clip_path(outline)
    ax.set_xlim(low[0], high[0])
    ax.set_ylim(low[1], high[1])
    bar = ax.figure.colorbar(image, ax=ax, pad=0.02)
    bar.set_label("output" if len(weights) == 1 else "objective")
    bar.outline.set_visible(False)


def _draw_path(ax: Any, path: Array) -> None:
    """The path in ink with a white rim, readable on every colour."""
    effects = module_of_matplotlib("patheffects")
    rim = [effects.Stroke(linewidth=3.2, foreground="white"), effects.Normal()]
    ax.plot(*path.T, color=INK, linewidth=1.4, path_effects=rim, zorder=3)
    marks = {"color": INK, "markeredgecolor": "white", "linestyle": "none", "zorder": 4, "clip_on": False}
    ax.plot(*path[1:-1].T, marker="o", markersize=4, markeredgewidth=0.7, **marks)
    ax.plot(*path[0], marker="o", markersize=8, markeredgewidth=1.2, **marks)
    ax.plot(*path[-1], marker="*", markersize=15, markeredgewidth=1.0, **marks)
