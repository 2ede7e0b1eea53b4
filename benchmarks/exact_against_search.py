"""Whether `relugrad.exact` is behind `relugrad` after equal time: values, bounds and first points of both.

    OMP_NUM_THREADS=1 python benchmarks/exact_against_search.py --seconds 6 20 --seeds 0 1 --only onoff water

Models are random ones of each family of the generator, small and large, and those of the folder ``../shared/models``
beside the repository, at several sizes, where it is present. Each run has a model built anew, and the order of the two
changes from seed to seed. Prints a line for each pair; an exact value that is behind by more than the asked gap is
marked. A search whose steps depend on the clock ends elsewhere when it is run again; so with several seeds their mean
difference is printed, positive where exact is better, and the last line names the models on which the median over the
seeds is behind.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import math
import statistics
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyomo.environ as pyo
from machine import describe_machine

import pyomo_relugrad  # noqa: F401 - registers the solvers
from pyomo_relugrad.programs import HIGHS_THREAD

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from random_models import FAMILIES, as_pyomo, random_problem

MODELS = Path(__file__).parents[2] / "shared" / "models"
#: Name, module of the suite, builder and its arguments.
SUITE = (
    ("water20", "budgets", "water_potability", {"samples": 20}),
    ("onoff36", "horizons", "predictive_control", {"hours": 36, "on_off": True}),
    ("onoff48", "horizons", "predictive_control", {"hours": 48, "on_off": True}),
    ("control72", "horizons", "predictive_control", {"hours": 72}),
    ("commitment", "horizons", "unit_commitment", {}),
    ("batches10", "horizons", "state_task_network", {"events": 10, "hours": 20.0}),
    ("city4", "placing", "city_planning", {"apartments": 4}),
    ("city8", "placing", "city_planning", {"apartments": 8}),
    ("workload24", "placing", "workload_dispatching", {"rows": 4, "width": 6}),
    ("workload48", "placing", "workload_dispatching", {"rows": 6, "width": 8}),
    ("wine", "design", "wine_blending", {}),
    ("wine8", "design", "wine_blending", {"wines": 8}),
    ("diet", "design", "diet_classes", {}),
    ("capacities", "design", "capacity_expansion", {}),
    ("capacities60", "design", "capacity_expansion", {"plants": 60, "components": 12}),
    ("tail30", "budgets", "tail_value", {"scenarios": 30}),
    ("chance30", "budgets", "chance_constrained_value", {"scenarios": 30}),
)
RELATIVE_GAP, ABSOLUTE_GAP = 1e-4, 1e-6


@dataclass(frozen=True)
class Run:
    """What one solver came to: value, bound, and seconds to its first point; None where there is none."""

    value: float | None
    bound: float | None
    first: float | None


def models() -> Iterator[tuple[str, Callable[[], Any]]]:
    """Names, and functions that build the models."""
    for family in FAMILIES:
        for is_large in (False, True):
            name = f"{family}-large" if is_large else family
            yield name, lambda family=family, is_large=is_large: as_pyomo(random_problem(family, 0, is_large))
    if not MODELS.exists():
        return
    sys.path[:0] = [str(MODELS / "suite"), str(MODELS / "production")]
    yield "production", lambda: importlib.import_module("production").build(MODELS / "production" / "networks")
    for name, module, builder, sizes in SUITE:
        yield name, partial(getattr(importlib.import_module(module), builder), **sizes)


def solve(build: Callable[[], Any], solver: str, seconds: float, seed: int) -> Run:
    """One run, on a model built anew and with no other run's threads beside it."""
    model = build()
    results = pyo.SolverFactory(solver).solve(model, time_limit=seconds, seed=seed, load_solutions=False)
    for thread in threading.enumerate():
        if thread.name == HIGHS_THREAD:
            thread.join()  # it does not always stop when told to
    history = results.extra_info["history"]
    maximizes = results.problem.sense == pyo.maximize
    bound = results.problem.upper_bound if maximizes else results.problem.lower_bound
    return Run(history[-1][1] if history else None, bound, history[0][0] if history else None)


def is_behind(search: Run, exact: Run, maximizes: bool) -> bool:
    """Whether the exact value is worse by more than the asked gap."""
    if search.value is None or exact.value is None:
        return exact.value is None and search.value is not None
    worse = (search.value - exact.value) * (1.0 if maximizes else -1.0)
    return worse > max(ABSOLUTE_GAP, RELATIVE_GAP * abs(search.value))


def pair(name: str, build: Callable[[], Any], seconds: float, seed: int) -> tuple[Run, Run, bool]:
    """Prints a row of the table; the two runs, and whether the objective is maximized."""
    solvers = ["relugrad", "relugrad.exact"]
    runs = {solver: solve(build, solver, seconds, seed) for solver in (solvers if seed % 2 == 0 else solvers[::-1])}
    search, exact = (runs[solver] for solver in solvers)
    maximizes = next(build().component_data_objects(pyo.Objective, active=True)).sense == pyo.maximize
    mark = "behind" if is_behind(search, exact, maximizes) else ""
    numbers = [search.value, exact.value, exact.bound, search.first, exact.first]
    cells = " ".join(f"{'-' if number is None else format(number, '.6g'):>11}" for number in numbers)
    print(f"{name:15} {'max' if maximizes else 'min'} {seconds:7g} {seed:4} {cells} {mark}", flush=True)
    return search, exact, maximizes


def median(runs: Iterable[Run], maximizes: bool) -> Run:
    """A run with the median of the values, the worse one of two; runs without a point are the worst."""
    values = sorted((run.value for run in runs if run.value is not None), reverse=maximizes)
    place = len(tuple(runs)) // 2
    return Run(values[place] if place < len(values) else None, None, None)


def mean_lead(searches: Iterable[Run], exacts: Iterable[Run], maximizes: bool) -> float:
    """By how much exact is better in the mean, relative to the search's values; NaN where one of them has no point."""
    pairs = [(search.value, exact.value) for search, exact in zip(searches, exacts, strict=True)]
    if any(value is None for both in pairs for value in both):
        return math.nan
    leads = [(exact - search) / max(abs(search), ABSOLUTE_GAP / RELATIVE_GAP) for search, exact in pairs]
    return statistics.mean(leads) * (1.0 if maximizes else -1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", nargs="+", type=float, default=[6.0, 20.0], help="time limits (default 6 and 20)")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--only", nargs="+", default=[""], help="only models whose names begin like one of these")
    arguments = parser.parse_args()
    logging.getLogger("pyomo").setLevel(logging.ERROR)
    print(describe_machine(), flush=True)
    titles = " ".join(f"{title:>11}" for title in ("relugrad", "exact", "bound", "first", "exact first"))
    print(f"{'model':15}     {'seconds':>7} {'seed':>4} {titles}")
    behind = []
    for name, build in models():
        if not name.startswith(tuple(arguments.only)):
            continue
        for seconds in arguments.seconds:
            searches, exacts, senses = zip(*(pair(name, build, seconds, s) for s in arguments.seeds), strict=True)
            if len(arguments.seeds) > 1:
                print(f"{name:15} mean difference {mean_lead(searches, exacts, senses[0]):+.2%}", flush=True)
            if is_behind(median(searches, senses[0]), median(exacts, senses[0]), senses[0]):
                behind.append(f"{name} ({seconds:g} s)")
    print("behind in the median of the seeds:", ", ".join(behind) or "none")


if __name__ == "__main__":
    main()
