"""Random small constrained models, proven by every way to a proof and compared with OMLT's big-M solved by HiGHS.

    OMP_NUM_THREADS=1 python benchmarks/constrained_proofs.py --models 20 --time-limit 5

Ways: ``exact`` is ``relugrad.exact``, with each kind of bounds for its MILP; ``branch`` is branch and bound alone;
``milp`` is the MILP built as arrays; the others are ``relugrad.omlt`` with each formulation and each kind of bounds,
solved by HiGHS. HiGHS takes no complementarity conditions: they are turned into disjunctions, and those into big-M, by
Pyomo. The reduced-space formulation has absolute values in it, which no solver of mixed-integer linear programs takes.
A quadratic objective is proven by ``relugrad.exact`` and by branch and bound; HiGHS alone would need cutting planes.

Prints, for each family and way: the share of the models that were proven within the time limit (processor time of all
threads), the largest deviation from the reference, relative to 1 + its size, and the median time. A model without a
feasible point counts as proven where that is said; saying it wrongly is an infinite deviation.
"""

import argparse
import functools
import itertools
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from omlt_oracle import FORMULATIONS, proven_optimum
from random_models import FAMILIES, random_problem

from pyomo_relugrad.problem import BOUND_METHODS, Problem
from pyomo_relugrad.proof import prove, prove_by_milp
from pyomo_relugrad.run import Stop
from pyomo_relugrad.solve import Options, solve_exactly

GAPS = {"relative_gap": 1e-7, "absolute_gap": 1e-7}
# Wall clock that the reference may take, in seconds.
REFERENCE_LIMIT = 240.0

#: Takes a problem and seconds; returns the optimum, infinite if infeasible, None if not proven.
Way = Callable[[Problem, float], float | None]


def by_exact(problem: Problem, seconds: float, bounds: str) -> float | None:
    result = solve_exactly(problem, Options(**GAPS, bounds=bounds), time_limit=seconds)
    return _value(result, result.stop is Stop.OPTIMAL, result.stop is Stop.INFEASIBLE)


def by_branch(problem: Problem, seconds: float) -> float | None:
    result = prove(problem, **GAPS, time_limit=seconds)
    return _value(result, result.stop is Stop.OPTIMAL, result.stop is Stop.INFEASIBLE)


def by_milp(problem: Problem, seconds: float, bounds: str) -> float | None:
    result = prove_by_milp(problem, **GAPS, bounds=bounds, time_limit=seconds)
    return _value(result, result.stop is Stop.OPTIMAL, result.stop is Stop.INFEASIBLE)


def _value(result, is_optimal: bool, is_infeasible: bool) -> float | None:
    if is_infeasible:
        return np.inf
    return float(result.incumbent.objective) if is_optimal else None


def by_expansion(problem: Problem, seconds: float, formulation: str, bounds: str) -> float | None:
    return proven_optimum(problem, seconds, formulation=formulation, bounds=bounds)


def ways(family: str) -> Iterator[tuple[str, Way]]:
    if family == "quadratic":
        yield "exact", functools.partial(by_exact, bounds="crown")
        yield "branch", by_branch
        return
    for bounds in BOUND_METHODS:
        yield f"exact, {bounds}", functools.partial(by_exact, bounds=bounds)
    yield "branch", by_branch
    for bounds in BOUND_METHODS:
        yield f"milp, {bounds}", functools.partial(by_milp, bounds=bounds)
    for formulation, bounds in itertools.product(FORMULATIONS, BOUND_METHODS):
        yield f"{formulation}, {bounds}", functools.partial(by_expansion, formulation=formulation, bounds=bounds)


def deviation(value: float | None, reference: float) -> float:
    """How far a proven optimum is off, relative to 1 + its size; NaN where nothing was proven."""
    if value is None:
        return np.nan
    if np.isinf(value) or np.isinf(reference):
        return 0.0 if value == reference else np.inf
    return abs(value - reference) / (1 + abs(reference))


def measure(
    family: str, seeds: range, limit: float, patience: float, chosen: list[str], verbose: bool
) -> Iterator[str]:
    """The rows of one family."""
    times: dict[str, list[float]] = {}
    deviations: dict[str, list[float]] = {}
    unknown = 0
    for seed in seeds:
        problem = random_problem(family, seed)
        reference = proven_optimum(problem, REFERENCE_LIMIT)
        if reference is None:
            unknown += 1
            continue
        for name, way in ways(family):
            if chosen and not any(name.startswith(start) for start in chosen):
                continue
            begin = time.process_time()
            found = deviation(way(problem, patience * limit), reference)
            taken = time.process_time() - begin
            times.setdefault(name, []).append(taken)
            deviations.setdefault(name, []).append(found)
            if verbose and not (taken <= limit and found <= 1e-6):
                print(f"  {family} {seed} {name}: {taken:.2f} s, deviation {found:.1e}", flush=True)
    for name, taken in times.items():
        off = np.array(deviations[name])
        proven = ~np.isnan(off) & (np.array(taken) <= limit)
        largest = np.nanmax(off) if (~np.isnan(off)).any() else np.nan
        note = f"   ({unknown} without reference)" if unknown else ""
        yield (
            f"{family:11}{name:25}{len(taken):6d}{100 * proven.mean():8.0f} %{largest:12.1e}"
            f"{statistics.median(taken):9.2f} s{max(taken):9.2f} s{note}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=20, help="models per family (default 20)")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--time-limit", type=float, default=5.0, help="seconds of processor time (default 5)")
    parser.add_argument(
        "--patience", type=float, default=4.0, help="wall clock per proof, in time limits: others may want the cores"
    )
    parser.add_argument("--families", nargs="*", default=FAMILIES, choices=FAMILIES)
    parser.add_argument("--ways", nargs="*", default=[], help="only ways whose names begin with one of these")
    parser.add_argument("--verbose", action="store_true", help="print each model that is not proven in time or is off")
    arguments = parser.parse_args()
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.models)
    print(f"{'family':11}{'way':25}{'models':>6}{'proven':>10}{'deviation':>12}{'median':>11}{'longest':>11}")
    for family in arguments.families:
        for row in measure(family, seeds, arguments.time_limit, arguments.patience, arguments.ways, arguments.verbose):
            print(row, flush=True)


if __name__ == "__main__":
    main()
