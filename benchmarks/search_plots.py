"""Plots of the search benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from figures import panels, save
from search_results import SAME, Comparison, primal_gap

FIRST_SECOND, SMALLEST_GAP = 0.01, 1e-6
COLUMNS = 6


def plot_values(path: Path, comparison: Comparison) -> None:
    """Best value over time, a panel per instance."""
    figure, axes = panels(comparison.instances, COLUMNS, 2.6, 1.9, sharex=True)
    moments = _moments(comparison)
    for axis, instance in zip(axes, comparison.instances, strict=True):
        for method in comparison.methods:
            values = comparison.median_path(instance, method, moments)
            values[np.isinf(values)] = np.nan
            axis.step(
                moments, np.where(np.isfinite(values), values, np.nan), where="post", **_style(comparison, method)
            )
        axis.set(xscale="log", xlim=(FIRST_SECOND, comparison.seconds))
    figure.supxlabel("seconds", fontsize=9)
    figure.supylabel("best value", fontsize=9)
    save(figure, axes, path)


def plot_methods(path: Path, comparison: Comparison) -> None:
    """The share of instances on which a method leads at time t, and the mean primal gap over time."""
    titles = ["share of the instances on which it leads", "mean gap to the best known value"]
    figure, (left, right) = panels(titles, 2, 4.7, 3.0)
    moments = _moments(comparison)
    best = [comparison.best(instance) for instance in comparison.instances]
    paths = {
        method: np.array([comparison.median_path(instance, method, moments) for instance in comparison.instances])
        for method in comparison.methods
    }
    lead = np.max(list(paths.values()), axis=0)
    for method, values in paths.items():
        style = _style(comparison, method)
        leads = np.isfinite(values) & (values >= lead - SAME * np.where(np.isfinite(lead), np.abs(lead), 0.0))
        left.step(moments, leads.mean(axis=0), where="post", **style)
        gaps = np.mean([primal_gap(line, top) for line, top in zip(values, best, strict=True)], axis=0)
        right.step(moments, np.maximum(gaps, SMALLEST_GAP), where="post", **style)
    left.set(ylim=(-0.02, 1.02))
    right.set(yscale="log")
    for axis in (left, right):
        axis.set(xscale="log", xlim=(FIRST_SECOND, comparison.seconds), xlabel="seconds")
    save(figure, [left, right], path)


def _moments(comparison: Comparison) -> np.ndarray:
    return np.geomspace(FIRST_SECOND, comparison.seconds, 300)


def _style(comparison: Comparison, method: str) -> dict[str, Any]:
    """The default in red, HiGHS in black, the others in the order in which they ran."""
    fixed = {"auto": "#d62728", "highs": "#000000"}
    others = ["#1f77b4", "#17becf", "#2ca02c", "#bcbd22", "#9467bd", "#e377c2", "#ff7f0e", "#8c564b", "#7f7f7f"]
    rest = [name for name in comparison.methods if name not in fixed]
    colour = fixed[method] if method in fixed else others[rest.index(method) % len(others)]
    return {"label": method, "color": colour, "linewidth": 2.0 if method == "auto" else 1.2, "alpha": 0.9}
