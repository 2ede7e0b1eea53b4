"""Compare search methods: methods x instances x seeds within a time limit; a table, a CSV file and plots.

    python benchmarks/search.py --families relaxing-walk polytopes --methods auto lp-walk highs --seconds 10

``--limit method=seconds`` gives one method another limit; ``--match text`` keeps the instances with that name.
"""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path

import numpy as np
from search_instances import FAMILIES

from pyomo_relugrad.problem import Problem
from pyomo_relugrad.search import search
from pyomo_relugrad.search.methods import METHODS
from pyomo_relugrad.search.polytope import domain_of
from pyomo_relugrad.search.relaxation import Relaxation

History = list[tuple[float, float]]


def main() -> None:
    options = _arguments()
    if options.cpu:
        time.perf_counter = time.process_time
    limits = dict.fromkeys(options.methods, options.seconds)
    limits |= {name: float(seconds) for name, seconds in (item.split("=") for item in options.limit)}
    runs: dict[tuple[str, str, int], History] = {}
    for family in options.families:
        for name, problem in FAMILIES[family](options.net_seeds):
            if options.match in name:
                for method in options.methods:
                    for seed in options.seeds:
                        runs[name, method, seed] = solve(problem, method, limits[method], seed)
                _print_instance(name, options.methods, options.seeds, runs)
    options.output.mkdir(parents=True, exist_ok=True)
    write_csv(options.output / "history.csv", runs)
    print_summary(runs, options.methods, limits)
    if options.plots:
        plot(options.output, runs, options.methods, max(limits.values()))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=["relaxing-walk"])
    parser.add_argument("--methods", nargs="+", choices=[*METHODS, "highs"], default=[*METHODS])
    parser.add_argument("--net-seeds", nargs="+", type=int, default=[50, 51])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--limit", nargs="*", default=[], metavar="METHOD=SECONDS")
    parser.add_argument("--match", default="")
    parser.add_argument("--cpu", action="store_true", help="count the process's own time: for machines under load")
    parser.add_argument("--plots", action="store_true")
    parser.add_argument("--output", type=Path, default=Path("search-benchmark"))
    return parser.parse_args()


def solve(problem: Problem, method: str, seconds: float, seed: int) -> History:
    """Times and reported values of one run's incumbents."""
    if method == "highs":
        return solve_big_m(problem, seconds)
    result = search(problem, method, time_limit=seconds, seed=seed)
    return [(moment, problem.reported(value)) for moment, value in result.history]


def solve_big_m(problem: Problem, seconds: float) -> History:
    """HiGHS on the big-M model with interval bounds; its final point, judged by the network."""
    begin, columns = time.perf_counter(), np.flatnonzero(~problem.is_output)
    domain = domain_of(problem)
    lower, upper = problem.lower.copy(), problem.upper.copy()
    lower[columns], upper[columns] = domain.lower, domain.upper
    solution = Relaxation(problem, lower, upper, integral=True).solve(seconds)
    if solution.values is None:
        return []
    point = problem.incumbent(solution.values[: problem.n_columns])
    return [(time.perf_counter() - begin, problem.reported(point.objective))] if point.is_feasible else []


def write_csv(path: Path, runs: dict[tuple[str, str, int], History]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["instance", "method", "seed", "seconds", "value"])
        for (instance, method, seed), history in runs.items():
            writer.writerows([instance, method, seed, f"{moment:.3f}", repr(value)] for moment, value in history)


def _print_instance(name: str, methods: list[str], seeds: list[int], runs: dict[tuple[str, str, int], History]) -> None:
    cells = [f"{np.median([final(runs[name, method, seed]) for seed in seeds]):.6f}" for method in methods]
    print(f"{name:28s}" + "".join(f" {method}={cell}" for method, cell in zip(methods, cells, strict=True)), flush=True)


def final(history: History) -> float:
    return history[-1][1] if history else -np.inf


def value_at(history: History, moment: float) -> float:
    return max((value for time_, value in history if time_ <= moment), default=-np.inf)


def primal_integral(history: History, best: float, seconds: float) -> float:
    """Mean primal gap over the time limit: 1 before the first incumbent, 0 at the best known value."""
    area, last, gap = 0.0, 0.0, 1.0
    for moment, value in [*history, (seconds, None)]:
        area += gap * (min(moment, seconds) - last)
        last = min(moment, seconds)
        if value is not None:
            gap = min(1.0, abs(best - value) / max(abs(best), abs(value), 1e-9))
    return area / seconds


def print_summary(runs: dict[tuple[str, str, int], History], methods: list[str], limits: dict[str, float]) -> None:
    """Per method: how often it ends best, its gap to the best known value, its primal integral."""
    keys = sorted({(instance, seed) for instance, _, seed in runs})
    best = {i: max(final(history) for (name, _, _), history in runs.items() if name == i) for i, _ in keys}
    print(
        f"\n{'method':14s} {'limit':>6s} {'best':>6s} {'within .1%':>10s} "
        f"{'median gap':>11s} {'worst gap':>10s} {'integral':>9s}"
    )
    for method in methods:
        ends = np.array([final(runs[instance, method, seed]) for instance, seed in keys])
        tops = np.array([best[instance] for instance, _ in keys])
        gaps = np.full(len(keys), np.inf)
        found = np.isfinite(ends)
        gaps[found] = ((tops - ends) / np.maximum(np.abs(tops), 1e-9))[found]
        integrals = [primal_integral(runs[i, method, s], best[i], limits[method]) for i, s in keys]
        print(
            f"{method:14s} {limits[method]:6.1f} {np.mean(gaps <= 1e-6):6.0%} {np.mean(gaps <= 1e-3):10.0%} "
            f"{np.median(gaps):11.2e} {gaps.max():10.2e} {np.mean(integrals):9.4f}"
        )


def plot(folder: Path, runs: dict[tuple[str, str, int], History], methods: list[str], seconds: float) -> None:
    """Best value over time per instance, and the share of instances on which a method leads at time t."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    moments = np.geomspace(0.01, seconds, 200)
    instances = sorted({instance for instance, _, _ in runs})
    seeds = sorted({seed for _, _, seed in runs})
    paths = {
        (i, m): np.array([np.median([value_at(runs[i, m, s], t) for s in seeds]) for t in moments])
        for i in instances
        for m in methods
    }
    for instance in instances:
        for method in methods:
            plt.step(moments, paths[instance, method], where="post", label=method)
        plt.xscale("log"), plt.xlabel("seconds"), plt.ylabel("best value"), plt.title(instance), plt.legend(fontsize=7)
        plt.savefig(folder / f"{instance}.png", dpi=90), plt.close()
    leads = {i: np.max([paths[i, m] for m in methods], axis=0) for i in instances}
    for method in methods:
        share = np.mean([paths[i, method] >= leads[i] - 1e-6 * np.abs(leads[i]) for i in instances], axis=0)
        plt.step(moments, share, where="post", label=method)
    plt.xscale("log"), plt.xlabel("seconds"), plt.ylabel("share of instances on which it leads"), plt.legend(fontsize=7)
    plt.savefig(folder / "leads.png", dpi=90), plt.close()


if __name__ == "__main__":
    main()
