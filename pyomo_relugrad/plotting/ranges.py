"""Ranges of inputs, pre-activations and outputs over a box, and which ReLUs are stable."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyomo_relugrad.arrays import Array, ArrayLike
from pyomo_relugrad.errors import NetworkValueError
from pyomo_relugrad.network import Network, crown_bounds, input_box
from pyomo_relugrad.network.bounds import PreactivationBounds
from pyomo_relugrad.plotting.style import BLUE, GREY, INK, ORANGE, SKY, axes, calm, module_of_matplotlib
from pyomo_relugrad.readers.sources import load_network
from pyomo_relugrad.words import counted

# Colour by state; the order is that within a layer.
STATES = {"always active": BLUE, "unstable": ORANGE, "never active": SKY}
# Every group has this width, and this much space after it.
WIDTH, SPACE = 1.0, 0.25
# The scale is logarithmic where the ranges of two groups differ so many times.
LOGARITHMIC_FROM = 10
# Beyond it an axis has no room around a range.
LARGEST = 1e300


def plot_ranges(network: Any, lower: ArrayLike, upper: ArrayLike, ax: Any = None) -> Any:
    """Draw between which values every input, pre-activation and output lies over a box, as CROWN bounds it.

    A ReLU whose range does not contain zero is stable: it is linear over the box, and an exact formulation needs no
    binary variable for it. The longer the ranges of the others, the weaker the formulation's relaxation.

    Parameters
    ----------
    network : Network, or what `load_network` takes
    lower, upper : float or (n_inputs,) array
        The box; finite. Those of a network block are ``block.input_box()``, with ``block.scaled_network``.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    MissingPackageError
        If matplotlib is not installed.
    NetworkValueError
        If the bounds do not fit the network.

    Examples
    --------
    >>> network = Network.from_layers([[[1.0], [1.0]], [[1.0, -1.0]]], [[0.0, 5.0], [0.0]])
    >>> ax = plot_ranges(network, -1, 1)
    >>> [label.get_text().splitlines() for label in ax.get_xticklabels()][1]
    ['layer 1', '2 ReLUs', '1 unstable']
    """
    network = load_network(network)
    low, high = input_box(network, lower, upper)
    bounds = crown_bounds(network, low[None], high[None])
    groups = [(low, high), *_layers(bounds), (bounds.output_lower[0], bounds.output_upper[0])]
    if not all((abs(side) < LARGEST).all() for group in groups for side in group):
        raise NetworkValueError("a range of the network over the box is infinite: give a smaller box")
    ax = axes(ax, (max(6.4, 1.1 * len(groups)), 4.0))
    ax.axhline(0, color=INK, linewidth=0.8, zorder=1)
    seen = set()
    are_relus = [False, *(own.is_piecewise_linear for own in network.hidden_activations), False]
    for index, ((lowest, highest), has_states) in enumerate(zip(groups, are_relus, strict=True)):
        seen |= _draw_group(ax, index * (WIDTH + SPACE), lowest, highest, has_states)
    _scale(ax, groups)
    ax.set_xlim(-SPACE, len(groups) * (WIDTH + SPACE))
    ax.set_xticks([index * (WIDTH + SPACE) + WIDTH / 2 for index in range(len(groups))], _names(network, bounds))
    ax.set_ylabel("range over the box")
    calm(ax)
    ax.tick_params(axis="x", length=0)
    patch = module_of_matplotlib("patches").Patch
    handles = [patch(color=colour, label=state) for state, colour in STATES.items() if state in seen]
    if handles:
        ax.legend(
            handles=handles, frameon=False, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=len(handles),
            handlelength=1.0, handleheight=1.0, columnspacing=1.4, borderaxespad=0.0,
        )  # fmt: skip
    return ax


def _layers(bounds: PreactivationBounds) -> list[tuple[Array, Array]]:
    return [(lower[0], upper[0]) for lower, upper in zip(bounds.lower, bounds.upper, strict=True)]


def _names(network: Network, bounds: PreactivationBounds) -> list[str]:
    """What is written below each group."""
    hidden = []
    layers = zip(network.hidden_activations, network.widths, bounds.unstable, strict=True)
    for index, (activation, width, unstable) in enumerate(layers, start=1):
        relus = f"{counted(width, 'ReLU')}\n{int(unstable.sum())} unstable"
        hidden.append(f"layer {index}\n{relus if activation.is_piecewise_linear else f'{width} {activation.name}'}")
    return [counted(network.n_inputs, "input"), *hidden, counted(network.n_outputs, "output")]


def _draw_group(ax: Any, left: float, lower: Array, upper: Array, has_states: bool) -> set[str]:
    """One bar for each range, those of one state side by side; returns the states that occur."""
    names, palette = np.array(list(STATES)), [*STATES.values(), GREY]
    states = np.where(lower >= 0, 0, np.where(upper <= 0, 2, 1)) if has_states else np.full(len(lower), len(names))
    order = np.lexsort((-(lower + upper), states)) if has_states else np.arange(len(lower))
    width = min(WIDTH / len(lower), 0.12)
    begin = left + (WIDTH - width * len(lower)) / 2
    sides = begin + width * np.arange(len(lower))
    fill = 0.72 if len(lower) <= 40 else 1.0
    corners = [
        [(x, lower[i]), (x + fill * width, lower[i]), (x + fill * width, upper[i]), (x, upper[i])]
        for x, i in zip(sides.tolist(), order.tolist(), strict=True)
    ]
    colours = [palette[state] for state in states[order]]
    bars = module_of_matplotlib("collections").PolyCollection(
        corners, facecolors=colours, edgecolors=colours, linewidths=0.9, zorder=2
    )
    ax.add_collection(bars)  # their edges keep ranges of no length visible
    return set(names[states].tolist()) if has_states else set()


def _scale(ax: Any, groups: list[tuple[Array, Array]]) -> None:
    """The vertical axis: linear, or logarithmic away from zero where groups differ much in size."""
    low = min(float(lower.min(initial=0.0)) for lower, _ in groups)
    high = max(float(upper.max(initial=0.0)) for _, upper in groups)
    sizes = [float(np.maximum(abs(lower), abs(upper)).max(initial=0.0)) for lower, upper in groups]
    sizes = [size for size in sizes if size > 0]
    if sizes and max(sizes) > LOGARITHMIC_FROM * min(sizes):
        ax.set_yscale("symlog", linthresh=10 ** np.floor(np.log10(min(sizes))))
        ax.set_ylim(1.5 * low, 1.5 * high)
    else:
        margin = 0.05 * (high - low) or 1.0
        ax.set_ylim(low - margin, high + margin)
