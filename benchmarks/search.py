"""Compare search methods: methods x instances x seeds within a time limit; a CSV file, tables and plots.

    python benchmarks/search.py --families relaxing-walk polytopes --methods auto lp-walk highs --seconds 10
    python benchmarks/search.py --methods auto highs --seconds 5 --limit highs=60 --match 100- --seeds 0 1 2
    python benchmarks/search.py --methods --merge first/history.csv second/history.csv --output both

Writes ``history.csv`` (instance, method, seed, seconds, value: a row per incumbent), ``table.md``, and the plots
``values.png`` (best value over time) and ``methods.png`` (share of the instances on which a method leads, mean gap to
the best known value). ``--limit method=seconds`` gives one method another limit; ``--match text`` keeps the instances
with that in their name. ``--merge`` takes up runs of earlier files, of methods that ran at another time; what they
say of a run is replaced where it runs again. ``highs`` is HiGHS on the big-M model with interval bounds.
"""

from __future__ import annotations

import argparse
import threading
import time
from pathlib import Path

import numpy as np
from machine import describe_machine
from search_instances import FAMILIES
from search_plots import plot_methods, plot_values
from search_results import Comparison, History, RunFile, final, instance_table, method_table, read_runs

from pyomo_relugrad.problem import Problem
from pyomo_relugrad.programs import HIGHS_THREAD
from pyomo_relugrad.proof import prove_by_milp
from pyomo_relugrad.run import SearchResult
from pyomo_relugrad.search import METHODS
from pyomo_relugrad.solve import search


def main() -> None:
    options = _arguments()
    print(describe_machine(), flush=True)
    if options.cpu:
        time.perf_counter = time.process_time
    options.output.mkdir(parents=True, exist_ok=True)
    runs = read_runs(options.merge)
    limits = dict.fromkeys([*METHODS, "highs", *(method for _, method, _ in runs)], options.seconds)
    limits |= {name: float(seconds) for name, seconds in (item.split("=") for item in options.limit)}
    with RunFile(options.output / "history.csv", runs) as file:
        for family in options.families if options.methods else []:
            for name, problem in FAMILIES[family](options.net_seeds):
                if options.match not in name:
                    continue
                for method in options.methods:
                    for seed in options.seeds:
                        history = solve(problem, method, limits[method], seed)
                        runs[name, method, seed] = history
                        file.add(name, method, seed, history)
                ends = {m: np.median([final(runs[name, m, seed]) for seed in options.seeds]) for m in options.methods}
                print(f"{name:28s} " + " ".join(f"{m}={end:.6f}" for m, end in ends.items()), flush=True)
    if runs:
        report(options.output, Comparison(runs, limits), options.common, options.plots)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=["relaxing-walk"])
    parser.add_argument(
        "--methods", nargs="*", choices=[*METHODS, "highs"], default=[*METHODS], help="none: only merge"
    )
    parser.add_argument("--net-seeds", nargs="+", type=int, default=[50, 51], help="seeds of the networks' weights")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="seeds of the searches")
    parser.add_argument("--seconds", type=float, default=10.0, help="per run (default 10)")
    parser.add_argument("--limit", nargs="*", default=[], metavar="METHOD=SECONDS")
    parser.add_argument("--match", default="")
    parser.add_argument("--cpu", action="store_true", help="count the process's own time: for machines under load")
    parser.add_argument(
        "--merge", nargs="+", type=Path, default=[], metavar="FILE", help="history.csv of earlier calls"
    )
    parser.add_argument("--common", action="store_true", help="compare only what every method has run")
    parser.add_argument("--plots", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--output", type=Path, default=Path("search-benchmark"))
    return parser.parse_args()


def solve(problem: Problem, method: str, seconds: float, seed: int) -> History:
    """Times and reported values of one run's incumbents."""
    if method == "highs":
        return solve_big_m(problem, seconds)
    return reported_history(problem, search(problem, method, time_limit=seconds, seed=seed))


def solve_big_m(problem: Problem, seconds: float) -> History:
    """HiGHS on the big-M model with interval bounds, from nothing; its points, judged by the network."""
    result = prove_by_milp(problem, bounds="interval", time_limit=seconds, relative_gap=1e-6)
    for thread in threading.enumerate():
        if thread.name == HIGHS_THREAD:
            thread.join()  # it does not always stop when told to
    return reported_history(problem, result)


def reported_history(problem: Problem, result: SearchResult) -> History:
    """Times and values of the incumbents, in the sense of the problem."""
    return [(moment, problem.reported(value)) for moment, value in result.history]


def report(folder: Path, comparison: Comparison, common: bool, plots: bool) -> None:
    """Print and write the tables, and draw the plots."""
    missing = comparison.missing
    if missing:
        names = ", ".join(dict.fromkeys(method for _, method, _ in missing))
        counted = "left out with all others of their instance and seed" if common else "counted as without a point"
        print(f"\n{len(missing)} runs are in no file, {counted}: {names}")
    comparison = comparison.only_common() if common else comparison
    if not comparison.runs:
        print("no instance was run by every method")
        return
    text = "\n".join([*method_table(comparison), "", *instance_table(comparison)])
    print("\n" + text)
    (folder / "table.md").write_text(text + "\n")
    if plots:
        plot_values(folder / "values.png", comparison)
        plot_methods(folder / "methods.png", comparison)


if __name__ == "__main__":
    main()
