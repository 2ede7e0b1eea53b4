"""Runs of search methods: kept in CSV files, compared in tables."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

#: Time and value of each new incumbent, in the problem's own sense; all benchmark instances are maximized.
History = list[tuple[float, float]]
#: By instance, method and seed.
Runs = dict[tuple[str, str, int], History]

#: A method leads, or ends best, within this of the best value, relative.
SAME = 1e-6


class RunFile:
    """A CSV file that grows by a run at a time: a row per incumbent, or one without time and value for none."""

    def __init__(self, path: Path, known: Runs) -> None:
        self._file = path.open("w", newline="")
        self._write = csv.writer(self._file).writerow
        self._write(["instance", "method", "seed", "seconds", "value"])
        for key, history in known.items():
            self.add(*key, history)

    def __enter__(self) -> RunFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, instance: str, method: str, seed: int, history: History) -> None:
        """Write a run."""
        for moment, value in history:
            self._write([instance, method, seed, f"{moment:.3f}", repr(float(value))])
        if not history:
            self._write([instance, method, seed, "", ""])
        self._file.flush()


def read_runs(files: Iterable[Path]) -> Runs:
    """Runs of several files; where one is in several, the last file counts."""
    runs: Runs = {}
    for path in files:
        found: Runs = {}
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                history = found.setdefault((row["instance"], row["method"], int(row["seed"])), [])
                if row["seconds"]:
                    history.append((float(row["seconds"]), float(row["value"])))
        runs |= found
    return runs


@dataclass(frozen=True, eq=False)
class Comparison:
    """Runs side by side. A run that is not there counts as one that found nothing.

    Parameters
    ----------
    runs : Runs
    limits : dict
        Seconds that each method had.
    """

    runs: Runs
    limits: dict[str, float]

    @property
    def methods(self) -> list[str]:
        """In the order in which they ran."""
        return list(dict.fromkeys(method for _, method, _ in self.runs))

    @property
    def instances(self) -> list[str]:
        """In the order in which they ran."""
        return list(dict.fromkeys(instance for instance, _, _ in self.runs))

    @property
    def seconds(self) -> float:
        """The longest of the limits."""
        return max(self.limits[method] for method in self.methods)

    @property
    def missing(self) -> list[tuple[str, str, int]]:
        """Runs that some method has not made although another has."""
        cells = dict.fromkeys((instance, seed) for instance, _, seed in self.runs)
        every = ((instance, method, seed) for instance, seed in cells for method in self.methods)
        return [key for key in every if key not in self.runs]

    def only_common(self) -> Comparison:
        """The instances and seeds that every method has run."""
        incomplete = {(instance, seed) for instance, _, seed in self.missing}
        kept = {key: history for key, history in self.runs.items() if (key[0], key[2]) not in incomplete}
        return Comparison(kept, self.limits)

    def best(self, instance: str) -> float:
        """The best value that any run found."""
        return max((final(history) for (name, _, _), history in self.runs.items() if name == instance), default=-np.inf)

    def histories(self, method: str) -> Iterator[tuple[str, History]]:
        """The instance and the history of each of a method's runs, missing ones included."""
        for instance, seed in dict.fromkeys((instance, seed) for instance, _, seed in self.runs):
            yield instance, self.runs.get((instance, method, seed), [])

    def median_path(self, instance: str, method: str, moments: np.ndarray) -> np.ndarray:
        """Best value (m,) at moments (m,), median over the seeds; minus infinity before the first."""
        seeds = dict.fromkeys(seed for name, _, seed in self.runs if name == instance)
        paths = [value_at(self.runs.get((instance, method, seed), []), moments) for seed in seeds]
        return np.median(paths, axis=0)


def final(history: History) -> float:
    """The last value, minus infinity where there is none."""
    return history[-1][1] if history else -np.inf


def value_at(history: History, moments: np.ndarray) -> np.ndarray:
    """Best values (m,) at moments (m,), minus infinity where there is none yet."""
    times = np.array([moment for moment, _ in history])
    values = np.maximum.accumulate([-np.inf, *(value for _, value in history)])
    return values[np.searchsorted(times, moments, side="right")]


def primal_gap(value: np.ndarray | float, best: float) -> np.ndarray:
    """Distance to the best known value, relative to the larger of the two, 0 to 1; 1 without a value."""
    value = np.asarray(value, np.float64)
    finite = np.where(np.isfinite(value), value, 0.0)
    gap = np.minimum(1.0, np.abs(best - finite) / np.maximum(np.maximum(np.abs(finite), abs(best)), 1e-9))
    return np.where(np.isfinite(value), np.where(finite * best < 0, 1.0, gap), 1.0)


def primal_integral(history: History, best: float, seconds: float) -> float:
    """Mean primal gap over the first so many seconds (Berthold, Measuring the impact of primal heuristics, 2013)."""
    times = np.array([0.0, *(min(moment, seconds) for moment, _ in history), seconds])
    gaps = primal_gap(np.array([-np.inf, *(value for _, value in history)]), best)
    return float(gaps @ np.diff(times) / seconds)


# --- tables ---------------------------------------------------------------------------------------------------------


def method_table(comparison: Comparison) -> list[str]:
    """Per method: how often it finds a point and ends best, its gap to the best known value, its primal integral."""
    lines = [
        f"| method | limit | runs with a point | ends best | within 0.1 % | median gap | worst gap "
        f"| primal integral to {comparison.seconds:g} s |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for method in comparison.methods:
        own = list(comparison.histories(method))
        shortfalls = np.array([_shortfall(final(history), comparison.best(instance)) for instance, history in own])
        integrals = [primal_integral(history, comparison.best(i), comparison.seconds) for i, history in own]
        lines.append(
            f"| {method} | {comparison.limits[method]:g} s | {np.isfinite(shortfalls).sum()} of {len(own)} "
            f"| {np.mean(shortfalls <= SAME):.0%} | {np.mean(shortfalls <= 1e-3):.0%} "
            f"| {np.median(shortfalls):.1e} | {shortfalls.max():.1e} | {np.mean(integrals):.4f} |"
        )
    return lines


def instance_table(comparison: Comparison) -> list[str]:
    """The last value of each method on each instance, median over the seeds; the best in bold."""
    methods = comparison.methods
    lines = [f"| instance | {' | '.join(methods)} |", "|---|" + "---:|" * len(methods)]
    for instance in comparison.instances:
        values = [comparison.median_path(instance, method, np.array([np.inf]))[0] for method in methods]
        cells = [_bold(value, _shortfall(value, max(values)) <= SAME) for value in values]
        lines.append(f"| {instance} | {' | '.join(cells)} |")
    return lines


def _shortfall(value: float, best: float) -> float:
    """How far a value is below the best, relative to the best; infinite without a value."""
    return (best - value) / max(abs(best), 1e-9) if np.isfinite(value) else np.inf


def _bold(value: float, is_best: bool) -> str:
    text = f"{value:.6g}" if np.isfinite(value) else "-"
    return f"**{text}**" if is_best else text
