"""Chains of networks proven by branch and bound: joined in one network, split where they meet, or first in both ways.

    OMP_NUM_THREADS=1 python benchmarks/chain_proofs.py --time-limit 4

A chain has some steps; the network of a step reads states and controls and writes the next states, with two hidden
layers of eight ReLUs and He weights. The last states and, by little, all controls are in the objective; states are free
or between -1.5 and 1.5, or the network writes their change, which a row adds (`rows`). Each way begins with the same
incumbent, of half a second of search. Prints bound, nodes and seconds for each of them.
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

from random_models import random_network, random_problem

from pyomo_relugrad.problem import EmbeddedNetwork, Incumbent, Problem
from pyomo_relugrad.problem.presolve import presolve
from pyomo_relugrad.proof import ChainTree, SearchTree
from pyomo_relugrad.proof.chain_tree import LinkTree
from pyomo_relugrad.run import Options, Prover, run_proof
from pyomo_relugrad.solve import search

WAYS = (SearchTree, LinkTree, ChainTree)
#: Steps, states, controls, and what holds of states.
CHAINS = (
    (3, 2, 1, "free"),
    (4, 2, 1, "free"),
    (5, 2, 1, "free"),
    (8, 1, 1, "free"),
    (3, 2, 1, "bounds"),
    (8, 1, 1, "bounds"),
    (4, 2, 2, "bounds"),
    (8, 1, 1, "rows"),
)


def chain(seed: int, n_steps: int, n_states: int, n_controls: int, kind: str) -> Problem:
    """The chain of a seed."""
    rng = np.random.default_rng(seed)
    lower, upper, networks, rows = list[float](), list[float](), list[EmbeddedNetwork](), list[dict[int, float]]()

    def columns(count: int, reach: float) -> np.ndarray:
        lower.extend([-reach] * count)
        upper.extend([reach] * count)
        return np.arange(len(lower) - count, len(lower))

    x = columns(n_states, 1.0)
    for step in range(n_steps):
        inputs = np.r_[x, columns(n_controls, 1.0)]
        outputs = columns(n_states, 1.5 if kind == "bounds" and step < n_steps - 1 else np.inf)
        networks.append(EmbeddedNetwork(random_network(rng, (inputs.size, 8, 8, n_states)), inputs, outputs))
        if kind == "rows":
            following = columns(n_states, np.inf)
            rows += [{z: 1.0, z_before: -1.0, y: -0.3} for z, z_before, y in zip(following, x, outputs, strict=True)]
            outputs = following
        x = outputs
    matrix, cost = np.zeros((len(rows), len(lower))), np.zeros(len(lower))
    for index, row in enumerate(rows):
        matrix[index, list(row)] = list(row.values())
    decisions = np.setdiff1d(np.arange(len(lower)), np.concatenate([own.outputs for own in networks]))
    cost[x] = rng.normal(size=x.size)
    cost[decisions] += 0.2 * rng.normal(size=decisions.size)
    sides = np.zeros(len(rows))
    bounds = np.array(lower), np.array(upper)
    return Problem(cost, *bounds, sparse.csr_array(matrix), sides, sides, networks=tuple(networks))


def proof(way: type[Prover], problem: Problem, start: Incumbent | None, time_limit: float) -> str:
    """Bound, nodes and seconds of branch and bound."""
    tree, begin = way(problem, Options(time_limit=time_limit), start), time.perf_counter()
    bound = run_proof(tree, time_limit=time_limit).bound
    return f"{bound:11.5g} {tree.nodes:7} {time.perf_counter() - begin:6.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--time-limit", type=float, default=4.0, help="seconds of each proof (default 4)")
    parser.add_argument("--seeds", type=int, default=2, help="seeds of each kind (default 2)")
    arguments = parser.parse_args()
    print(describe_machine())
    titles = (f"{title:>26}" for title in ("joined", "split where they meet", "both"))
    print(f"{'model':30} {'value':>9} {' '.join(titles)}")
    models = [
        (f"{kind}, {steps} steps, {states} + {controls}", lambda seed, own=own: chain(seed, *own))
        for own in CHAINS
        for steps, states, controls, kind in [own]
    ]
    models.append(("chained, large", lambda seed: random_problem("chained", seed, True)))
    for name, build in models:
        for seed in range(arguments.seeds):
            problem = presolve(build(seed)).problem
            start = search(problem, time_limit=0.5).incumbent
            value = "-" if start is None else f"{start.objective:.5g}"
            results = [proof(way, problem, start, arguments.time_limit) for way in WAYS]
            print(f"{name + f', seed {seed}':30} {value:>9} {' '.join(results)}", flush=True)


if __name__ == "__main__":
    main()
