"""What the pictures have in common: matplotlib on demand, colours that everybody can tell apart, calm axes."""

from importlib import import_module
from typing import Any

from pyomo_relugrad.errors import MissingPackageError

#: Colours of Okabe and Ito without yellow and black, which are hard to see on white or are used for frames.
BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"
LINE_COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
#: Line styles and marks for each further round through the colours.
LINE_STYLES = (("solid", "o"), ((0, (1, 1)), "s"), ("dashdot", "^"))
INK, GREY, PALE = "#222222", "#767676", "#DDDDDD"


def module_of_matplotlib(name: str) -> Any:
    """A module of matplotlib, imported only now.

    Raises
    ------
    MissingPackageError
        If matplotlib is not installed.
    """
    try:
        return import_module(f"matplotlib.{name}")
    except ImportError as error:
        raise MissingPackageError(
            'matplotlib is needed for pictures: python -m pip install "pyomo_relugrad[plot]"'
        ) from error


def axes(ax: Any, size: tuple[float, float]) -> Any:
    """The Axes to draw on: those given, or new ones of a figure of that size in inches."""
    if ax is None:
        _, ax = module_of_matplotlib("pyplot").subplots(figsize=size, layout="constrained")
    return ax


def calm(ax: Any, has_lines: bool = True) -> None:
    """Leave the left and the lower edge of the frame only, in grey; with pale lines behind what is drawn."""
    if has_lines:
        ax.grid(axis="y", color=PALE, linewidth=0.6)
        ax.set_axisbelow(True)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color(GREY)
    ax.tick_params(color=GREY)
