"""Networks with integers around them, proven by each route: branch and bound over ReLUs, over inputs, and the MILP.

    OMP_NUM_THREADS=1 python benchmarks/integer_proofs.py --models 10 --time-limit 5 --continuous 2 12

Each model has one network, 5 to 15 integers of two to four values and some continuous inputs, 50 to 100 ReLUs, two rows
on inputs and a window for an output. The routes begin with the same incumbent, of half a second of search. Prints for
each the seconds until a gap of 1e-4, nodes, and the bound, to be compared with the value.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from machine import describe_machine
from scipy import sparse

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from random_models import random_network

from pyomo_relugrad.network.bounds import Relaxation
from pyomo_relugrad.problem import EmbeddedNetwork, Problem
from pyomo_relugrad.problem.presolve import presolve
from pyomo_relugrad.proof import ReluTree, SearchTree
from pyomo_relugrad.proof.milp import MilpProof
from pyomo_relugrad.run import Options, run_proof
from pyomo_relugrad.solve import search

ROUTES = {"relus": ReluTree, "milp": MilpProof, "branch": SearchTree}


def model(seed: int, continuous: tuple[int, int]) -> Problem:
    """The presolved problem of a seed, with so many continuous inputs, at least and less than."""
    rng = np.random.default_rng(seed)
    k, n_outputs = int(rng.integers(5, 16)), 2
    n = k + int(rng.integers(*continuous))
    hidden = rng.integers(25, 51, 2).tolist() if seed % 2 else [int(rng.integers(50, 101))]
    network = random_network(rng, (n, *hidden, n_outputs))
    lower, upper = np.r_[-np.ones(n), np.full(n_outputs, -np.inf)], np.r_[np.ones(n), np.full(n_outputs, np.inf)]
    is_binary = rng.random(k) < 0.5
    lower[:k], upper[:k] = np.where(is_binary, 0, -1), np.where(is_binary, 1, rng.integers(1, 3, k))
    x = rng.uniform(lower[:n], upper[:n], (1000, n))
    x[:, :k] = np.round(x[:, :k])
    rows = np.zeros((3, n + n_outputs))
    rows[0, :n], rows[1, :n], rows[2, -1] = rng.random(n), rng.normal(size=n) * (rng.random(n) < 0.5), 1.0
    values = np.c_[x, network.value(x)] @ rows.T
    problem = Problem(
        np.r_[0.1 * rng.normal(size=n), 1.0, 0.0],
        lower,
        upper,
        rows=sparse.csr_array(rows),
        row_lower=np.array([-np.inf, -np.inf, np.quantile(values[:, 2], 0.6)]),
        row_upper=np.array([np.quantile(values[:, row], share) for row, share in enumerate((0.4, 0.5, 0.9))]),
        networks=(EmbeddedNetwork(network, np.arange(n), n + np.arange(n_outputs)),),
        integers=np.arange(n + n_outputs) < k,
    )
    return presolve(problem).problem


def n_undecided(problem: Problem) -> int:
    """ReLUs that CROWN's bounds over the whole box leave undecided."""
    (embedded,) = problem.networks
    sides = (side[None, embedded.inputs] for side in (problem.lower, problem.upper))
    return int((Relaxation(embedded.network, *sides).states() == 0).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=10, help="seeds from 0 on (default 10)")
    parser.add_argument("--time-limit", type=float, default=5.0, help="seconds of each route (default 5)")
    parser.add_argument("--continuous", nargs=2, type=int, default=(2, 12), help="range of their number (default 2 12)")
    arguments = parser.parse_args()
    print(describe_machine(), flush=True)
    for seed in range(arguments.models):
        problem = model(seed, tuple(arguments.continuous))
        start = search(problem, time_limit=0.5).incumbent
        print(f"{seed}: {problem.integers.sum()} integers, {n_undecided(problem)} undecided ReLUs", end="", flush=True)
        for name, proof in ROUTES.items():
            options, begin = Options(time_limit=arguments.time_limit, relative_gap=1e-4), time.perf_counter()
            result = run_proof(proof(problem, options, start), time_limit=arguments.time_limit)
            seconds = time.perf_counter() - begin
            print(f" | {name} {seconds:.2f} s, {result.nodes} nodes, {result.bound:.4f}", end="", flush=True)
        print(f" | value {np.nan if result.incumbent is None else result.incumbent.objective:.4f}", flush=True)


if __name__ == "__main__":
    main()
