"""Best value and bound over time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.plotting.style import BLUE, GREY, LINE_COLOURS, LINE_STYLES, axes, calm, module_of_matplotlib
from pyomo_relugrad.plotting.trajectory import Trajectory, trajectory

# Incumbents that are marked one by one; more are a line.
MAX_MARKS = 40
# The time axis is logarithmic where the run is so many times longer than its first incumbent took.
LOGARITHMIC_FROM = 20
BROKEN = (0, (4, 2))
# The first bounds may be far off; beyond the values and the last bounds so many times their range is shown.
BOUND_ROOM = 3


def plot_progress(results: Any, ax: Any = None) -> Any:
    """Draw the best value, and the bound where one is known, over time.

    Parameters
    ----------
    results : result, or mapping from label to result
        A result is what a solve with ``relugrad`` or ``relugrad.exact`` returned, what `maximize` or `minimize`
        returned, or a sequence of pairs (seconds, objective), such as a benchmark's. All must have the same sense.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    MissingPackageError
        If matplotlib is not installed.
    ModelError
        If a result has no history.

    Examples
    --------
    >>> from pyomo_relugrad import Network, maximize
    >>> network = Network.from_layers([[[1.0, -1.0], [-1.0, 1.0]], [[1.0, 2.0]]], [[0.0, 0.0], [0.0]])
    >>> best = maximize(network, lower=0, upper=1, iteration_limit=500)
    >>> ax = plot_progress(best)
    >>> ax.get_xlabel()
    'time [s]'
    """
    is_named = isinstance(results, Mapping) and not hasattr(results, "solver")  # Pyomo's are mappings too
    runs = {name: trajectory(result) for name, result in (results if is_named else {"": results}).items()}
    ax = axes(ax, (7.2 if is_named else 6.4, 3.8))
    end = max((run.end for run in runs.values()), default=0.0)
    for index, (name, run) in enumerate(runs.items()):
        further, colour_index = divmod(index, len(LINE_COLOURS))
        colour, style = LINE_COLOURS[colour_index], LINE_STYLES[further % len(LINE_STYLES)]
        _draw_value(ax, run, f"{name}  " if is_named else "best value ", colour, style)
        _draw_bound(ax, run, colour if is_named else GREY)
    if is_named and any(len(run.bounds) for run in runs.values()):
        ax.plot([], [], color=GREY, linestyle=BROKEN, linewidth=1.4, label="bound")
    elif not is_named:
        _fill_gap(ax, runs[""])
    _scale_time(ax, list(runs.values()), end)
    _scale_values(ax, list(runs.values()))
    ax.set_ylabel("objective")
    calm(ax)
    if is_named:
        ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0)
    else:
        ax.legend(frameon=False, loc="best")
    return ax


def _draw_value(ax: Any, run: Trajectory, prefix: str, colour: str, style: tuple[Any, str]) -> None:
    """The best value as a line until the run's end, its last one in the legend."""
    if not len(run.values):
        ax.plot([], [], color=colour, label=f"{prefix}no feasible point")
        return
    times, values = _steps(run.values, run.end)
    line, mark = style
    ax.plot(
        times, values, drawstyle="steps-post", color=colour, linestyle=line, linewidth=1.8, markersize=4,
        marker=mark if len(run.values) <= MAX_MARKS else None, markevery=range(len(run.values)),
        label=f"{prefix}{run.value:.6g}",
    )  # fmt: skip


def _draw_bound(ax: Any, run: Trajectory, colour: str) -> None:
    """The bound as a broken line; in grey it is the only one, and has the gap in the legend."""
    if len(run.bounds):
        times, bounds = _steps(run.bounds, run.end)
        gap = f", gap {_percent(run.gap)}" if math.isfinite(run.gap) else ""
        label = f"bound {run.bound:.6g}{gap}" if colour == GREY else "_bound"  # no entry
        ax.plot(times, bounds, drawstyle="steps-post", color=colour, linestyle=BROKEN, linewidth=1.4, label=label)


def _fill_gap(ax: Any, run: Trajectory) -> None:
    if len(run.values) and len(run.bounds):
        moments = np.unique(np.concatenate([run.values[:, 0], run.bounds[:, 0], [run.end]]))
        moments = moments[moments >= max(run.values[0, 0], run.bounds[0, 0])]
        between = (_at(run.values, moments), _at(run.bounds, moments))
        ax.fill_between(moments, *between, step="post", color=BLUE, alpha=0.08, linewidth=0)


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share >= 1e-4 else "closed" if share <= 1e-9 else "< 0.01 %"


def _steps(pairs: Array, end: float) -> tuple[Array, Array]:
    """Times and values of a step function, its last value held until the end."""
    return np.append(pairs[:, 0], max(end, pairs[-1, 0])), np.append(pairs[:, 1], pairs[-1, 1])


def _at(pairs: Array, moments: Array) -> Array:
    """A step function at moments that are not before its first step."""
    values: Array = pairs[np.searchsorted(pairs[:, 0], moments, side="right") - 1, 1]
    return values


def _scale_time(ax: Any, runs: list[Trajectory], end: float) -> None:
    """From the first incumbent to the end, logarithmic where the first ones would stick to the edge otherwise."""
    ax.set_xlabel("time [s]")
    begins = [max(float(run.values[0, 0]), 1e-3) for run in runs if len(run.values)]
    if begins and end >= LOGARITHMIC_FROM * min(begins):
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(module_of_matplotlib("ticker").FuncFormatter(lambda moment, _: f"{moment:g}"))
        ax.set_xlim(0.8 * min(begins), 1.1 * end)
    elif end > 0:
        ax.set_xlim(0, 1.03 * end)


def _scale_values(ax: Any, runs: list[Trajectory]) -> None:
    """All values and last bounds, but of the first bounds only what is near."""
    shown = np.concatenate([np.append(run.values[:, 1], run.bounds[-1:, 1]) for run in runs] or [np.zeros(0)])
    if not shown.size:
        return
    low, high = float(shown.min()), float(shown.max())
    room = BOUND_ROOM * (high - low) or 0.05 * max(abs(high), 1e-3)
    bounds = np.concatenate([run.bounds[:, 1] for run in runs])
    low = max(low - room, float(bounds.min(initial=low)))
    high = min(high + room, float(bounds.max(initial=high)))
    margin = 0.06 * (high - low) or room
    ax.set_ylim(low - margin, high + margin)
    with suppress(AttributeError):  # an axis of the user's own may have other labels
        ax.ticklabel_format(axis="y", useOffset=False)
