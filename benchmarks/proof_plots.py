"""Plots of the experiment on proofs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from figures import panels, save

#: OMLT's formulation in greys and browns, what is built on this package's arrays in colours.
COLOURS = {
    "omlt": "#000000",
    "started": "#8c8c8c",
    "started-crown": "#c8a165",
    "started-rescaled": "#8c5a2b",
    "started-no-stable": "#bcbd22",
    "milp-lp": "#2ca02c",
    "branch": "#1f77b4",
    "exact": "#d62728",
}
SMALLEST_GAP, LARGEST_GAP, FIRST_SECOND = 5e-5, 1e3, 0.01
COLUMNS = 4


def plot_gaps(path: Path, traces: dict[tuple[str, str], Any], seconds: float) -> None:
    """Gap over time, a panel per instance; a dot marks the proof."""
    instances = list(dict.fromkeys(instance for instance, _ in traces))
    figure, axes = panels(instances, COLUMNS, 2.9, 2.0, sharex=True, sharey=True)
    for axis, instance in zip(axes, instances, strict=True):
        for (name, route), trace in traces.items():
            if name == instance:
                _plot_gap(axis, route, trace, seconds)
        axis.set(xscale="log", yscale="log", xlim=(FIRST_SECOND, seconds), ylim=(SMALLEST_GAP / 2, LARGEST_GAP))
    figure.supxlabel("seconds", fontsize=9)
    figure.supylabel("gap", fontsize=9)
    save(figure, axes, path)


def _plot_gap(axis: Any, route: str, trace: Any, seconds: float) -> None:
    """One line, empty where there is no gap; it ends with the proof or goes on to the time limit."""
    moments = [(moment, gap) for moment, gap in trace.gaps if np.isfinite(gap)]
    moments += [(min(trace.proof, seconds), moments[-1][1])] if moments else []
    times, gaps = (np.array(values) for values in zip(*moments, strict=True)) if moments else (np.zeros(0), np.zeros(0))
    times, gaps = np.maximum(times, FIRST_SECOND), np.clip(gaps, SMALLEST_GAP, LARGEST_GAP)
    axis.step(times, gaps, where="post", **_style(route))
    if np.isfinite(trace.proof):
        axis.plot(times[-1], gaps[-1], "o", markersize=4, color=COLOURS[route])


def plot_shares(path: Path, traces: dict[tuple[str, str], Any], seconds: float) -> None:
    """Share of the instances with a feasible point, and with a proof, over time."""
    kinds = {"first_feasible": "share of the instances with a point", "proof": "share proven to 1e-4"}
    figure, axes = panels([*kinds.values()], 2, 4.5, 2.8, sharey=True)
    moments = np.geomspace(FIRST_SECOND, seconds, 300)
    for axis, kind in zip(axes, kinds, strict=True):
        for route in dict.fromkeys(route for _, route in traces):
            times = np.array([getattr(trace, kind) for (_, name), trace in traces.items() if name == route])
            axis.step(moments, [np.mean(times <= moment) for moment in moments], where="post", **_style(route))
        axis.set(xscale="log", xlim=(FIRST_SECOND, seconds), ylim=(-0.02, 1.02), xlabel="seconds")
    save(figure, axes, path)


def _style(route: str) -> dict[str, Any]:
    ours = route in ("milp-lp", "branch", "exact")
    return {"label": route, "color": COLOURS[route], "linewidth": 1.8 if ours else 1.2, "alpha": 0.9}
