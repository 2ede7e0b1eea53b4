"""Random small nonlinear models in families: share of feasible points and of proven optima that the search finds.

    python benchmarks/nonlinear_models.py --models 50 --time-limit 5

Optima are proven by SCIP (``pip install pyscipopt``) on the OMLT big-M expansion. A run ends when it is within 1e-4 of
the optimum. ``refuted`` counts points reported feasible that violate a row by more than 1e-6 as Pyomo evaluates it, or
are better than the proven optimum (must be 0).
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import pyomo.environ as pyo

import pyomo_relugrad  # noqa: F401 - registers the solver

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from random_nonlinear import FAMILIES, largest_violation, proven_optimum, random_nonlinear_model

#: How far, relative to its size, an objective may be from the optimum.
GAP = 1e-4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=50, help="models per family")
    parser.add_argument("--time-limit", type=float, default=5.0, help="seconds per model")
    parser.add_argument("--families", nargs="*", default=FAMILIES, choices=FAMILIES)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--verbose", action="store_true", help="name the models that are not solved")
    arguments = parser.parse_args()
    print(f"{'family':9} {'models':>6} {'proven':>6} {'feasible':>8} {'optimal':>8} {'refuted':>7} {'mean time':>9}")
    for family in arguments.families:
        seeds = range(arguments.first_seed, arguments.first_seed + arguments.models)
        print(row(family, seeds, arguments.time_limit, arguments.verbose), flush=True)


def row(family: str, seeds: range, time_limit: float, verbose: bool) -> str:
    """One family: what was found, and how soon."""
    feasible = optimal = refuted = proven = 0
    times = []
    for seed in seeds:
        optimum = proven_optimum(random_nonlinear_model(family, seed))
        if optimum is None:
            continue
        proven += 1
        m = random_nonlinear_model(family, seed)
        for v in m.component_data_objects(pyo.Var):
            v.set_value(None)
        begin = time.perf_counter()
        found = solved(m, optimum, time_limit)
        times.append(time.perf_counter() - begin)
        gap = np.inf if found is None else (found - optimum) * m.o.sense / max(abs(optimum), 1.0)
        feasible += found is not None
        optimal += gap <= GAP
        refuted += found is not None and (gap < -GAP or largest_violation(m) > 1e-6)
        if verbose and gap > GAP:
            print(f"  {family} {seed}: {found} after {times[-1]:.2f} s, optimum {optimum}", flush=True)
    n = max(proven, 1)
    shares = f"{feasible / n:8.1%} {optimal / n:8.1%}"
    return f"{family:9} {len(seeds):6} {proven:6} {shares} {refuted:7} {np.mean(times or [np.nan]):7.2f} s"


def solved(m: pyo.ConcreteModel, optimum: float, time_limit: float) -> float | None:
    """The objective, as Pyomo evaluates it, of the point that the search loads; None where it has none."""
    limit = m.o.sense * optimum + GAP / 2 * max(abs(optimum), 1.0)
    results = pyo.SolverFactory("relugrad").solve(
        m,
        time_limit=time_limit,
        callback=lambda progress: progress.objective is not None and m.o.sense * progress.objective <= limit,
    )
    return pyo.value(m.o) if results.problem.number_of_solutions else None


if __name__ == "__main__":
    main()
