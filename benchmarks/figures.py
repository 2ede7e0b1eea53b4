"""Figures of panels that share a legend, for the benchmarks' plots."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def panels(titles: list[str], columns: int, width: float, height: float, **shared: bool) -> tuple[Any, list[Any]]:
    """A figure, and an axis per title, each of so many inches. Matplotlib is imported no sooner."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    columns = min(columns, len(titles))
    rows = -(-len(titles) // columns)
    size = (width * columns, height * rows + 0.5)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained", **shared)
    for axis in axes.flat[len(titles) :]:
        axis.set_axis_off()
    for index, (axis, title) in enumerate(zip(axes.flat, titles, strict=False)):
        axis.set_title(title, fontsize=9)
        axis.tick_params(labelsize=7, labelbottom=not shared.get("sharex") or index + columns >= len(titles))
        axis.grid(alpha=0.25)
    return figure, list(axes.flat[: len(titles)])


def save(figure: Any, axes: list[Any], path: Path) -> None:
    """Add the legend of the first axis, and write the file, small."""
    handles, labels = axes[0].get_legend_handles_labels()
    columns = min(len(labels), int(figure.get_figwidth() / 1.3))
    figure.legend(handles, labels, loc="outside upper center", ncols=columns, fontsize=8, frameon=False)
    figure.savefig(path, dpi=80, pil_kwargs={"optimize": True})
