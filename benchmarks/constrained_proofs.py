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

    OMP_NUM_THREADS=1 python benchmarks/constrained_proofs.py --large --models 10 --time-limit 20

compares ``relugrad.exact`` with OMLT's big-M in HiGHS, with our start and CROWN's bounds, on models with 12 to 40
inputs and 20 to 60 undecided ReLUs, by the wall time of the whole call and a gap of 1e-4.
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
import pyomo.environ as pyo

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from omlt_oracle import FORMULATIONS, proven_optimum
from random_models import FAMILIES, as_pyomo, random_problem

from pyomo_relugrad.problem import BOUND_METHODS, Problem
from pyomo_relugrad.proof import prove, prove_by_milp
from pyomo_relugrad.run import Stop
from pyomo_relugrad.solve import Options, solve_exactly

#: The families that HiGHS can solve, and the seconds of the search for its start.
LINEAR_FAMILIES, SEARCH_SECONDS = FAMILIES[:-1], 0.1
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


# --- large models ---------------------------------------------------------------------------------------------------

#: Takes a model and seconds; returns the bound in the model's sense, None where nothing is proven.
Solve = Callable[[pyo.ConcreteModel, float], float | None]


def solve_exact(model: pyo.ConcreteModel, seconds: float) -> float | None:
    """``relugrad.exact`` as users call it."""
    results = pyo.SolverFactory("relugrad.exact").solve(model, time_limit=seconds, load_solutions=False)
    return _proven_value(model, results)


def solve_started_expansion(model: pyo.ConcreteModel, seconds: float) -> float | None:
    """A short search, OMLT's big-M with CROWN's bounds, and HiGHS with its own options from that start."""
    begin = time.perf_counter()
    pyo.SolverFactory("relugrad").solve(model, time_limit=SEARCH_SECONDS)
    is_started = all(v.value is not None for v in model.v.values())
    pyo.TransformationFactory("relugrad.omlt").apply_to(model, formulation="bigm", bounds="crown")
    highs = pyo.SolverFactory("appsi_highs")
    left = max(seconds - (time.perf_counter() - begin), 0.1)
    return _proven_value(model, highs.solve(model, timelimit=left, warmstart=is_started, load_solutions=False))


def _proven_value(model: pyo.ConcreteModel, results) -> float | None:
    condition = results.solver.termination_condition
    if condition == pyo.TerminationCondition.infeasible:
        return np.inf
    if condition != pyo.TerminationCondition.optimal:
        return None
    maximizes = model.objective.sense == pyo.maximize
    return float(results.problem.lower_bound if maximizes else results.problem.upper_bound)


def compare_large(families: list[str], seeds: range, limit: float) -> None:
    """A line for each model, then the median times; what is not proven counts with the time limit."""
    ways: dict[str, Solve] = {"exact": solve_exact, "omlt": solve_started_expansion}
    ratios = list[float]()
    for family in families:
        times = {name: list[float]() for name in ways}
        for seed in seeds:
            taken, values = dict[str, float](), dict[str, float | None]()
            for name in sorted(ways, reverse=bool(seed % 2)):
                model = as_pyomo(random_problem(family, seed, is_large=True))
                begin = time.perf_counter()
                values[name] = ways[name](model, limit)
                taken[name] = limit if values[name] is None else min(time.perf_counter() - begin, limit)
                times[name].append(taken[name])
            ratios.append(taken["exact"] / taken["omlt"])
            cells = "  ".join(f"{name} {taken[name]:7.3f} s {_shown(values[name])}" for name in ways)
            print(f"{family:10}{seed:5d}  {cells}{_disagreement(values)}", flush=True)
        medians = "  ".join(f"{name} {statistics.median(taken):7.3f} s" for name, taken in times.items())
        print(f"{family:10}median {medians}", flush=True)
    print(f"median ratio of the times {statistics.median(ratios):.3f}", flush=True)


def _shown(value: float | None) -> str:
    return f"{'not proven' if value is None else format(value, '.6g'):>12}"


def _disagreement(values: dict[str, float | None]) -> str:
    known = [value for value in values.values() if value is not None]
    agree = len(known) < 2 or known[0] == known[1] or abs(known[0] - known[1]) <= 3e-4 * (1 + abs(known[0]))
    return "" if agree else "  DIFFERENT"


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
    parser.add_argument("--large", action="store_true", help="compare exact with OMLT and HiGHS on large models")
    arguments = parser.parse_args()
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.models)
    if arguments.large:
        families = [family for family in arguments.families if family in LINEAR_FAMILIES]
        compare_large(families, seeds, arguments.time_limit)
        return
    print(f"{'family':11}{'way':25}{'models':>6}{'proven':>10}{'deviation':>12}{'median':>11}{'longest':>11}")
    for family in arguments.families:
        for row in measure(family, seeds, arguments.time_limit, arguments.patience, arguments.ways, arguments.verbose):
            print(row, flush=True)


if __name__ == "__main__":
    main()
