"""What each part of the search brings on published models, families apart.

    OMP_NUM_THREADS=1 python benchmarks/ablation.py --seconds 5 --seeds 0 1 --results ablation.csv
    python benchmarks/ablation.py --table --results ablation.csv

Every model of ``../shared/models/suite`` beside the repository, and for each family one of another size and seed
(`published_families.py`), is searched as it is and without each part. A part is left out by the settings of the method.
Where a part cannot matter it is not left out: it had nothing to yield there, or the search had ended before. Runs are
added to the file of results; those that it has are not repeated. The table shows by how much the best value was worse
without a part, relative to the value with all parts, as the mean over the models and seeds of a family.
"""

from __future__ import annotations

import argparse
import csv
import logging
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from machine import describe_machine
from published_families import CASES, FOLDERS

from pyomo_relugrad.modeling.compile import compile_model
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.run import Options, Past
from pyomo_relugrad.search import Auto, Neighbourhoods, SequentialLp
from pyomo_relugrad.search.dynamic_programming.search import DynamicProgramming
from pyomo_relugrad.solve.local import solve_locally

#: For each family a model that the suite does not have.
OTHERS = (
    "auto-3", "trees7-3", "city5-8", "students60-3", "workload20-3", "commitment6-1", "water15-3", "control36-3",
    "onoff36-2", "counterfactual150-3", "wine4-3", "tail15-5", "chance15-5", "capacities30-3", "diet-1", "batches6",
)  # fmt: skip
SUITE, WHOLE = FOLDERS[0], "nothing"
#: What `Auto` leaves out by name: such a part matters where it is not barren.
METHODS = ("dynamic-programming", "exact-choice", "column-generation", "region-generation", "exchange", "decisions")
METHODS += ("smoothing",)
PARTS: dict[str, Auto] = {WHOLE: Auto()} | {name: Auto(without=frozenset({name})) for name in METHODS}
#: What the search by neighbourhoods has; it runs where there are integers.
ARMS = {
    "exchanges": Neighbourhoods(without=frozenset({"exchanges"})),
    "flips": Neighbourhoods(without=frozenset({"flips"})),
    "boxes": Neighbourhoods(without=frozenset({"window", "integers", "box"})),
    "whole program": Neighbourhoods(without=frozenset({"whole"})),
    "all but descents": Neighbourhoods(without=frozenset({"exchanges", "flips", "window", "integers", "box", "whole"})),
    "shares by gains": Neighbourhoods(floor=1.0, exploration=1.0),
    "integer descents": Neighbourhoods(sequential=SequentialLp(integer_descent_share=0.0)),
}
PARTS |= {name: Auto(neighbourhoods=neighbourhoods) for name, neighbourhoods in ARMS.items()}
PARTS["first-order starts"] = Auto(neighbourhoods=Neighbourhoods(sequential=SequentialLp(first_order_share=0.0)))
PARTS["quick sweeps"] = Auto(stagewise=DynamicProgramming(first_points=DynamicProgramming.points))
#: A search that ended by itself within this share of the time ended by the first method that had something to yield.
EARLY = 0.5

Key = tuple[str, str, int]


def models(names: list[str]) -> dict[str, Any]:
    """Name -> what builds the model, the suite's first."""
    from suite import MODELS  # beside the repository

    others = {case.name: case.build for case in CASES if case.name in OTHERS}
    found = {name: case.build for name, case in MODELS.items()} | others
    return {name: build for name, build in found.items() if not names or any(part in name for part in names)}


def family(name: str) -> str:
    """The name without size and seed."""
    return name.partition("-")[0].rstrip("0123456789")


def matters(part: str, problem: Problem, barren: set[str], is_early: bool) -> bool:
    """Whether leaving a part out can change anything."""
    fruitful = [name for name in METHODS if name not in barren]
    if part in METHODS:
        return part in (fruitful[:1] if is_early else fruitful)
    if part == "quick sweeps":
        return "dynamic-programming" not in barren
    return not is_early and (part not in ARMS or bool(problem.integers.any()))


def search(problem: Problem, part: str, seconds: float, seed: int) -> tuple[float, float, Past]:
    """Value in the model's sense, seconds, and what the methods left."""
    past = Past()
    options = Options(time_limit=seconds, seed=seed, method=PARTS[part], threads=1)
    result = solve_locally(problem, options, past=past)
    value = np.nan if result.incumbent is None else problem.reported(result.incumbent.objective)
    return float(value), result.elapsed, past


def run_all(path: Path, seconds: float, seeds: list[int], names: list[str]) -> None:
    """Add what is missing to the file of results."""
    known = {(row["model"], row["without"], int(row["seed"])) for row in rows(path)}
    with path.open("a", newline="") as file:
        write = csv.writer(file).writerow
        for name, build in models(names).items():
            problem = compile_model(build()).problem
            sense = 1 if problem.maximize else -1
            for seed in seeds:
                value, elapsed, past = search(problem, WHOLE, seconds, seed)
                barren, is_early = past.barren, elapsed < EARLY * seconds
                for part in PARTS:
                    if (name, part, seed) in known or not (part == WHOLE or matters(part, problem, barren, is_early)):
                        continue
                    found = value if part == WHOLE else search(problem, part, seconds, seed)[0]
                    write([name, part, seed, sense, repr(found)])
                    file.flush()
                    print(f"{name:20}{seed:3} {part:22}{found:14.7g}", flush=True)


def rows(path: Path) -> list[dict[str, str]]:
    """The runs of a file, none where there is none."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file, ["model", "without", "seed", "sense", "value"]))


def losses(path: Path) -> dict[str, dict[str, list[float]]]:
    """Part -> family -> how much worse each run was, relative; infinite where there was no point."""
    values = {(row["model"], row["without"], row["seed"]): float(row["value"]) for row in rows(path)}
    signs = {row["model"]: float(row["sense"]) for row in rows(path)}
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for (name, part, seed), value in values.items():
        whole = values[name, WHOLE, seed]
        loss = signs[name] * (whole - value) / max(abs(whole), 1e-9)
        found[part][family(name)].append(np.inf if np.isnan(value) else loss)
    return found


def table(path: Path) -> str:
    """A row per family, a column per part."""
    found = losses(path)
    families = list(found.pop(WHOLE, {}))
    parts = [part for part in PARTS if part in found]
    lines = ["| | " + " | ".join(parts) + " |", "|---|" + "---:|" * len(parts)]
    for one in families:
        means = [np.mean(found[part][one]) if found[part][one] else np.nan for part in parts]
        lines.append(f"| {one} | " + " | ".join(map(_cell, means)) + " |")
    return "\n".join(lines)


def _cell(loss: float) -> str:
    if np.isnan(loss):
        return "-"
    return "no point" if np.isinf(loss) else f"{100 * loss:.2f}".replace("-0.00", "0.00")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0, help="for each run (default 5)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--only", nargs="+", default=[], help="run only models whose name contains one of these")
    parser.add_argument("--results", type=Path, default=Path("ablation.csv"), help="file of the runs")
    parser.add_argument("--table", action="store_true", help="run nothing")
    given = parser.parse_args()
    if not given.table:
        if not FOLDERS[0].is_dir():
            parser.error(f"there are no models in {FOLDERS[0]}")
        sys.path[:0] = map(str, FOLDERS)
        logging.getLogger("pyomo").setLevel(logging.ERROR)
        print(describe_machine())
        run_all(given.results, given.seconds, given.seeds, given.only)
    print(table(given.results))


if __name__ == "__main__":
    main()
