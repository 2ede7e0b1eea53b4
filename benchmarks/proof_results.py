"""What the experiment on proofs writes: traces as CSV, tables as Markdown, plots."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from proof_plots import plot_gaps, plot_shares

#: Proven: the bound is above the value by at most this, relative to the value or absolute where the value is below 1.
GAP = 1e-4
#: Seconds, value and bound, in the sense of maximization.
Moment = tuple[float, float, float]
#: Moments at which the table shows gaps.
TABLE_SECONDS = (1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0)


@dataclass(frozen=True)
class Trace:
    """One run: its value and bound whenever one of them moved, and when it ended."""

    moments: tuple[Moment, ...]
    end: float

    @property
    def value(self) -> float:
        """The best value, minus infinity without a feasible point."""
        return self.moments[-1][1] if self.moments else -np.inf

    @property
    def bound(self) -> float:
        """The last bound, infinite without one."""
        return self.moments[-1][2] if self.moments else np.inf

    @property
    def gaps(self) -> list[tuple[float, float]]:
        """Time and gap, relative to the value, absolute where the value is below 1; infinite without point or bound."""
        return [
            (seconds, max(bound - value, 0.0) / max(1.0, abs(value)) if np.isfinite(value) else np.inf)
            for seconds, value, bound in self.moments
        ]

    @property
    def first_feasible(self) -> float:
        """Seconds to the first feasible point, infinite without one."""
        return min((seconds for seconds, value, _ in self.moments if np.isfinite(value)), default=np.inf)

    @property
    def proof(self) -> float:
        """Seconds to a gap of `GAP`, infinite if it was not reached."""
        return min((seconds for seconds, gap in self.gaps if gap <= GAP * (1 + 1e-6)), default=np.inf)

    def gap_at(self, moment: float) -> float:
        """The gap after so many seconds."""
        return min((gap for seconds, gap in self.gaps if seconds <= moment), default=np.inf)

    def __str__(self) -> str:
        return (
            f"value {self.value:.6g}, bound {self.bound:.6g}, first point {_seconds(self.first_feasible)}, "
            f"proof {_seconds(self.proof)}, ended after {self.end:.1f} s"
        )


Traces = dict[tuple[str, str], Trace]


class TraceFile:
    """A CSV file that grows by a run at a time: a row per moment, and one for the run's end."""

    def __init__(self, path: Path, known: Traces) -> None:
        self._file = path.open("w", newline="")
        self._write = csv.writer(self._file).writerow
        self._write(["instance", "route", "seconds", "value", "bound"])
        for (instance, route), trace in known.items():
            self.add(instance, route, trace)

    def __enter__(self) -> TraceFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, instance: str, route: str, trace: Trace) -> None:
        """Write a run."""
        for seconds, value, bound in [*trace.moments, (trace.end, trace.value, trace.bound)]:
            self._write([instance, route, f"{seconds:.3f}", repr(float(value)), repr(float(bound))])
        self._file.flush()


def read_traces(files: Iterable[Path]) -> Traces:
    """Runs of several files; where one is in several, the last counts."""
    traces: Traces = {}
    for path in files:
        found: dict[tuple[str, str], list[Moment]] = {}
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                moment = float(row["seconds"]), float(row["value"]), float(row["bound"])
                found.setdefault((row["instance"], row["route"]), []).append(moment)
        traces |= {key: Trace(tuple(moments[:-1]), moments[-1][0]) for key, moments in found.items()}
    return traces


def report(folder: Path, traces: Traces, seconds: float, plots: bool) -> None:
    """Print and write the tables, and draw the plots."""
    if not traces:
        print("no runs")
        return
    tables = (
        _summary_table(traces, seconds),
        _overview_table(traces, seconds),
        _instance_table(traces, seconds),
        _exact_table(traces),
    )
    text = "\n\n".join("\n".join(lines) for lines in (*tables, _warnings(traces)) if lines)
    print("\n" + text)
    (folder / "table.md").write_text(text + "\n")
    if plots:
        plot_gaps(folder / "gaps.png", traces, seconds)
        plot_shares(folder / "shares.png", traces, seconds)


def _exact_table(traces: Traces) -> list[str]:
    """How much longer `exact` takes than the fastest other route, and whether that is more than a quarter and 0.1 s."""
    lines = list[str]()
    for name in dict.fromkeys(instance for instance, _ in traces):
        others = {route: trace.proof for (instance, route), trace in traces.items() if instance == name}
        own = others.pop("exact", None)
        if own is None or not others or not np.isfinite([own, *others.values()]).any():
            continue
        fastest = min(others, key=others.__getitem__)
        note = "more" if own > 1.25 * others[fastest] + 0.1 else ""
        lines.append(f"| {name} | {fastest} | {_seconds(others[fastest])} | {_seconds(own)} | {note} |")
    head = [
        "| instance | fastest other route | its proof | exact | above 1.25 times that + 0.1 s |",
        "|---|---|---:|---:|---|",
    ]
    return [*head, *lines] if lines else []


def routes_of(traces: Traces) -> list[str]:
    return list(dict.fromkeys(route for _, route in traces))


def _instance_table(traces: Traces, seconds: float) -> list[str]:
    moments = [moment for moment in TABLE_SECONDS if moment <= seconds]
    gaps = " | ".join(f"gap {moment:g} s" for moment in moments)
    lines = [
        f"| instance | route | first point | {gaps} | proof | value | bound |",
        "|---|---|" + "---:|" * (len(moments) + 4),
    ]
    shown = ""
    for (instance, route), trace in sorted(traces.items(), key=lambda item: _place(traces, item[0])):
        cells = " | ".join(_gap(trace.gap_at(moment)) for moment in moments)
        lines.append(
            f"| {instance if instance != shown else ''} | {route} | {_seconds(trace.first_feasible)} | {cells} | "
            f"{_seconds(trace.proof)} | {_number(trace.value)} | {_number(trace.bound)} |"
        )
        shown = instance
    return lines


def _overview_table(traces: Traces, seconds: float) -> list[str]:
    """Per instance and route the time to the proof, or the gap that is left at the time limit."""
    routes = routes_of(traces)
    lines = [f"| instance | {' | '.join(routes)} |", "|---|" + "---:|" * len(routes)]
    for instance in dict.fromkeys(instance for instance, _ in traces):
        own = [traces.get((instance, route)) for route in routes]
        lines.append(f"| {instance} | {' | '.join('' if t is None else _outcome(t, seconds) for t in own)} |")
    return lines


def _outcome(trace: Trace, seconds: float) -> str:
    if np.isfinite(trace.proof):
        return f"**{trace.proof:.2f} s**"
    return "no point" if np.isinf(trace.first_feasible) else f"gap {_gap(trace.gap_at(seconds))}"


def _place(traces: Traces, key: tuple[str, str]) -> tuple[int, int]:
    instances = list(dict.fromkeys(instance for instance, _ in traces))
    return instances.index(key[0]), routes_of(traces).index(key[1])


def _summary_table(traces: Traces, seconds: float) -> list[str]:
    lines = [
        "| route | instances | point found | proven | mean time to point | mean time to proof | mean gap, at most 1 |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for route in routes_of(traces):
        own = [trace for (_, name), trace in traces.items() if name == route]
        first, proof = ([getattr(trace, kind) for trace in own] for kind in ("first_feasible", "proof"))
        gap = np.mean([min(trace.gap_at(seconds), 1.0) for trace in own])
        lines.append(
            f"| {route} | {len(own)} | {np.isfinite(first).sum()} | {np.isfinite(proof).sum()} | "
            f"{_mean(first, seconds):.2f} s | {_mean(proof, seconds):.2f} s | {_gap(float(gap))} |"
        )
    return lines


def _mean(times: list[float], seconds: float) -> float:
    """Geometric mean shifted by 0.1 s; a run that did not get there counts as the time limit."""
    return float(np.exp(np.mean(np.log(np.minimum(times, seconds) + 0.1))) - 0.1)


def _warnings(traces: Traces) -> list[str]:
    """Where one route's point is better than another's bound allows: one of the two would be wrong."""
    lines = []
    for instance in dict.fromkeys(instance for instance, _ in traces):
        own = {route: trace for (name, route), trace in traces.items() if name == instance}
        best = max(own, key=lambda route: own[route].value)
        least = min(own, key=lambda route: own[route].bound)
        excess = own[best].value - own[least].bound
        if excess > 1e-5 * max(1.0, abs(own[best].value)):
            lines.append(f"Contradiction on {instance}: {best} has a point {excess:.2g} above the bound of {least}.")
    return lines


def _gap(gap: float) -> str:
    if not np.isfinite(gap):
        return "-"
    return "0" if gap <= 1e-9 else f"{gap:.1e}" if gap < 1e-3 else f"{gap:.3g}"


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if np.isfinite(seconds) else "-"


def _number(value: float) -> str:
    return f"{value:.6g}" if np.isfinite(value) else "-"
