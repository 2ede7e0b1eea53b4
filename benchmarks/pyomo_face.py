"""The Pyomo side's pace: building, copying and compiling models with network blocks, apart from any search.

    python benchmarks/pyomo_face.py [--repeats 7]

Medians of CPU time; compiling includes the presolve. The last line compiles a model without networks: rows of 21
coefficients.
"""

import argparse
import pickle
import statistics
import time
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pyomo.environ as pyo

from pyomo_relugrad.modeling.block import ReluNetworkBlock
from pyomo_relugrad.modeling.compile import compile_model
from pyomo_relugrad.network import Network
from pyomo_relugrad.problem.presolve import presolve

NETWORKS = {"784-512-512-10": (784, 512, 512, 10), "1000-500-500-1": (1000, 500, 500, 1)}


def random_network(sizes: tuple[int, ...]) -> Network:
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=(b, a)) / a for a, b in pairwise(sizes)]
    return Network.from_layers(weights, [np.zeros(b) for b in sizes[1:]])


def model_with(network: Network, blocks: int = 1) -> pyo.ConcreteModel:
    """Maximize the sum of the first outputs over boxes."""
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(blocks), range(network.n_inputs), bounds=(0, 1))
    m.nn = ReluNetworkBlock(range(blocks), network=network, inputs=lambda m, block: m.x[block, :])
    m.o = pyo.Objective(expr=pyo.quicksum(m.nn[block].outputs[0] for block in m.nn), sense=pyo.maximize)
    return m


def linear_model(rows: int = 5000, entries: int = 20) -> pyo.ConcreteModel:
    """Random rows over continuous variables and one binary each."""
    rng = np.random.default_rng(0)
    columns, coefficients = rng.integers(0, rows, (rows, entries)).tolist(), rng.normal(size=(rows, entries)).tolist()
    m = pyo.ConcreteModel()
    m.x, m.z = pyo.Var(range(rows), bounds=(-1, 2)), pyo.Var(range(100), domain=pyo.Binary)

    def row(m: pyo.ConcreteModel, i: int) -> tuple:
        terms = (c * m.x[k] for c, k in zip(coefficients[i], columns[i], strict=True))
        return -10, pyo.quicksum(terms) + m.z[i % 100], 10

    m.c = pyo.Constraint(range(rows), rule=row)
    return m


def median(action: Callable[[], object], repeats: int) -> float:
    """Median CPU seconds of an action."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        action()
        times.append(time.process_time() - start)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    print(f"{'model':24} {'build ms':>9} {'clone ms':>9} {'pickle ms':>9} {'compile ms':>10}")
    cases = {name: (random_network(sizes), 1) for name, sizes in NETWORKS.items()}
    cases["500 blocks of 4-16-16-1"] = (random_network((4, 16, 16, 1)), 500)
    for name, (network, blocks) in cases.items():
        m = model_with(network, blocks)
        actions = (lambda n=network, k=blocks: model_with(n, k), m.clone, lambda m=m: pickle.dumps(m))
        build, clone, dump = (1000 * median(action, repeats) for action in actions)
        compiled = 1000 * median(lambda m=m: presolve(compile_model(m).problem), repeats)
        print(f"{name:24} {build:9.1f} {clone:9.1f} {dump:9.1f} {compiled:10.1f}", flush=True)
    m = linear_model()
    seconds = median(lambda: presolve(compile_model(m).problem), repeats)
    entries = compile_model(m).problem.rows.nnz
    print(f"{entries} coefficients in {len(m.c)} rows: {1e6 * seconds / entries:.1f} us each")


if __name__ == "__main__":
    main()
