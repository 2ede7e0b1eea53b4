"""Random small models in families: share of feasible points and of proven optima that the search finds.

    python benchmarks/random_models.py --models 50 --time-limit 5

Optima are proven by HiGHS on the OMLT big-M expansion. The last columns count points reported feasible where the proof
says that there are none (must be 0), and the mean time until the optimum was met.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from omlt_oracle import proven_optimum
from random_models import FAMILIES, random_problem

from pyomo_relugrad.solve import search


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=50, help="models per family")
    parser.add_argument("--time-limit", type=float, default=5.0, help="seconds per model")
    parser.add_argument("--families", nargs="*", default=FAMILIES, choices=FAMILIES)
    parser.add_argument("--first-seed", type=int, default=0)
    arguments = parser.parse_args()
    print(
        f"{'family':10} {'models':>6} {'feasible':>8} {'found':>6} {'optimal':>7} {'false':>5} {'time to optimum':>15}"
    )
    for family in arguments.families:
        print(row(family, arguments.models, arguments.first_seed, arguments.time_limit), flush=True)


def row(family: str, models: int, first_seed: int, time_limit: float) -> str:
    feasible = found = optimal = false = unproven = 0
    times = []
    for seed in range(first_seed, first_seed + models):
        problem = random_problem(family, seed)
        optimum = proven_optimum(problem)
        if optimum is None:
            unproven += 1
            continue
        target = optimum + 1e-4 * max(abs(optimum), 1e-3)
        result = search(problem, time_limit=time_limit, callback=lambda p, goal=target: _reached(p, goal))
        if not np.isfinite(optimum):
            false += result.incumbent is not None
            continue
        feasible += 1
        if result.incumbent is not None:
            found += 1
            if result.incumbent.objective <= target:
                optimal += 1
                times.append(result.elapsed)
    note = f"   ({unproven} not proven)" if unproven else ""
    mean = np.mean(times) if times else np.nan
    return f"{family:10} {models:6} {feasible:8} {found:6} {optimal:7} {false:5} {mean:13.2f} s{note}"


def _reached(progress, target: float) -> bool:
    best = progress.incumbent
    return best is not None and best.is_feasible and best.objective <= target


if __name__ == "__main__":
    main()
