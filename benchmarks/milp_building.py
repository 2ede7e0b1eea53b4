"""Processor seconds from a problem to HiGHS: bounds, the big-M formulation as arrays, and the model with its start.

    OMP_NUM_THREADS=1 python benchmarks/milp_building.py --sizes 1000 500 500 1 --runs 3

Prints one row per kind of bounds, the median of the runs. Linear programs take the time that they are given on top.
"""

import argparse
import itertools
import statistics
import time

import numpy as np

from pyomo_relugrad.network import Network
from pyomo_relugrad.problem import EmbeddedNetwork, Problem, bound_problem
from pyomo_relugrad.programs import build_big_m
from pyomo_relugrad.proof import MilpProof
from pyomo_relugrad.run import Options


def random_problem(sizes: list[int]) -> Problem:
    """Minimize output 0 of a random network over the box [0, 1]."""
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=(b, a)) * np.sqrt(2 / a) for a, b in itertools.pairwise(sizes)]
    network = Network.from_layers(weights, [rng.normal(size=b) * 0.1 for b in sizes[1:]])
    n, m = sizes[0], sizes[-1]
    free = np.full(m, np.inf)
    columns = np.arange(n + m)
    return Problem(
        (columns == n).astype(float),
        np.r_[np.zeros(n), -free],
        np.r_[np.ones(n), free],
        networks=(EmbeddedNetwork(network, columns[:n], columns[n:]),),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 500, 500, 1], help="width of each layer")
    parser.add_argument("--runs", type=int, default=3, help="runs, of which the median is printed")
    arguments = parser.parse_args()
    problem = random_problem(arguments.sizes)
    start = problem.incumbent(np.full(problem.n_columns, 0.5))
    name = "-".join(map(str, arguments.sizes))
    print(f"{'network':<18}{'bounds':<10}{'binaries':>9}{'nonzeros':>10}{'bounds':>9}{'arrays':>9}{'all':>9}")
    for method in ("interval", "crown"):
        rows = []
        for _ in range(arguments.runs):
            begin = time.process_time()
            bounds = bound_problem(problem, method)
            bounded = time.process_time()
            model = build_big_m(problem, bounds)
            built = time.process_time()
            MilpProof(problem, Options(bounds=method), start)
            rows.append((bounded - begin, built - bounded, time.process_time() - built))
        parts = "".join(f"{statistics.median(part):7.2f} s" for part in zip(*rows, strict=True))
        print(f"{name:<18}{method:<10}{model.integers.sum():9d}{model.rows.nnz:10d}{parts}", flush=True)


if __name__ == "__main__":
    main()
