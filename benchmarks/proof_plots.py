"""Plots of the experiment on proofs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

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
    plt = _pyplot()
    instances = list(dict.fromkeys(instance for instance, _ in traces))
    columns = min(COLUMNS, len(instances))
    rows = -(-len(instances) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(2.9 * columns, 2.1 * rows + 0.6), sharex=True, sharey=True, squeeze=False
    )
    for axis in axes.flat[len(instances) :]:
        axis.set_axis_off()
    for axis, instance in zip(axes.flat, instances, strict=False):
        for route, trace in ((route, trace) for (name, route), trace in traces.items() if name == instance):
            moments = [(t, gap) for t, gap in trace.gaps if np.isfinite(gap)]
            moments += [(seconds if np.isinf(trace.proof) else trace.proof, moments[-1][1])] if moments else []
            shown = [(max(t, FIRST_SECOND), min(max(gap, SMALLEST_GAP), LARGEST_GAP)) for t, gap in moments]
            axis.step(*(np.array(shown).T if shown else ([], [])), where="post", **_style(route))
            if np.isfinite(trace.proof):
                axis.plot(max(trace.proof, FIRST_SECOND), shown[-1][1], "o", markersize=4, color=_style(route)["color"])
        axis.set_title(instance, fontsize=9)
        axis.set(xscale="log", yscale="log", xlim=(FIRST_SECOND, seconds), ylim=(SMALLEST_GAP / 2, LARGEST_GAP))
        axis.tick_params(labelsize=7)
        axis.grid(alpha=0.25)
    figure.supxlabel("seconds", fontsize=9)
    figure.supylabel("gap", fontsize=9)
    _finish(figure, axes, path)


def plot_shares(path: Path, traces: dict[tuple[str, str], Any], seconds: float) -> None:
    """Share of the instances with a feasible point, and with a proof, over time."""
    plt = _pyplot()
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), sharey=True, squeeze=False)
    moments = np.geomspace(FIRST_SECOND, seconds, 300)
    for axis, kind, title in zip(axes.flat, ("first_feasible", "proof"), ("a point", "a proof to 1e-4"), strict=True):
        for route in dict.fromkeys(route for _, route in traces):
            times = np.array([getattr(trace, kind) for (_, name), trace in traces.items() if name == route])
            axis.step(moments, [np.mean(times <= moment) for moment in moments], where="post", **_style(route))
        axis.set(xscale="log", xlim=(FIRST_SECOND, seconds), ylim=(-0.02, 1.02), xlabel="seconds")
        axis.set_title(f"share of the instances with {title}", fontsize=9)
        axis.grid(alpha=0.25)
    _finish(figure, axes, path)


def _style(route: str) -> dict[str, Any]:
    ours = route in ("milp-lp", "branch", "exact")
    return {"label": route, "color": COLOURS[route], "linewidth": 1.8 if ours else 1.2, "alpha": 0.9}


def _finish(figure: Any, axes: Any, path: Path) -> None:
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=len(labels), fontsize=8, frameon=False)
    figure.tight_layout(rect=(0, 0.25 / figure.get_figheight(), 1, 1))
    figure.savefig(path, dpi=80, pil_kwargs={"optimize": True})


def _pyplot() -> Any:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt
