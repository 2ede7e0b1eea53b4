"""How long it takes to write a network out as OMLT's constraints: relugrad.omlt against OMLT's own formulations.

Prints one row per network, formulation and kind of bounds: seconds of processor time (median of the runs), and how many
times faster the expansion is, where OMLT has the formulation for dense networks.
Run with ``OMP_NUM_THREADS=1 python benchmarks/omlt_expansion.py [--runs N] [--largest]``.
"""

import argparse
import itertools
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyomo.environ as pyo
from omlt import OmltBlock
from omlt.neuralnet import (
    NetworkDefinition,
    ReluBigMFormulation,
    ReluComplementarityFormulation,
    ReluPartitionFormulation,
)

import pyomo_relugrad as relugrad
from pyomo_relugrad.modeling.omlt.transform import FORMULATIONS

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from omlt_edits import add_in_a_row, dense_layers

STOCK = {
    "bigm": ReluBigMFormulation,
    "partition": ReluPartitionFormulation,
    "complementarity": ReluComplementarityFormulation,
}
SIZES = [(10, 50, 50, 1), (100, 100, 100, 1), (100, 200, 200, 10)]
LARGEST = (784, 512, 512, 10)


def random_network(sizes: tuple[int, ...]) -> relugrad.Network:
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=(b, a)) * np.sqrt(2 / a) for a, b in itertools.pairwise(sizes)]
    return relugrad.Network.from_layers(weights, [rng.normal(size=b) * 0.1 for b in sizes[1:]])


def build_stock(network: relugrad.Network, formulation: str) -> None:
    definition = NetworkDefinition(scaled_input_bounds=dict.fromkeys(range(network.n_inputs), (0, 1)))
    add_in_a_row(definition, dense_layers(network))
    m = pyo.ConcreteModel()
    m.nn = OmltBlock()
    m.nn.build_formulation(STOCK[formulation](definition))


def build_ours(network: relugrad.Network, formulation: str, bounds: str = "interval") -> None:
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(network.n_inputs), bounds=(0, 1), initialize=0.5)
    m.nn = relugrad.ReluNetworkBlock(network=network, inputs=m.x)
    pyo.TransformationFactory("relugrad.omlt").apply_to(m, formulation=formulation, bounds=bounds)


def seconds(build: Callable[[], None], runs: int) -> float:
    taken = []
    for _ in range(runs):
        begin = time.process_time()
        build()
        taken.append(time.process_time() - begin)
    return statistics.median(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3, help="runs per cell, of which the median is printed")
    parser.add_argument("--largest", action="store_true", help="784-512-512-10 alone; OMLT's own big-M once")
    arguments = parser.parse_args()
    build_ours(random_network((2, 3, 1)), "bigm")  # imports
    print(f"{'network':<18}{'formulation':<17}{'bounds':<10}{'OMLT':>9}{'relugrad':>10}{'faster':>9}")
    for sizes, formulation in itertools.product([LARGEST] if arguments.largest else SIZES, FORMULATIONS):
        network = random_network(sizes)
        stock = ""
        if formulation in STOCK and not (arguments.largest and formulation != "bigm"):
            taken = seconds(
                lambda n=network, f=formulation: build_stock(n, f), 1 if arguments.largest else arguments.runs
            )
            stock = f"{taken:7.2f} s"
        for bounds in ("interval", "crown"):
            ours = seconds(lambda n=network, f=formulation, b=bounds: build_ours(n, f, b), arguments.runs)
            faster = f"{taken / ours:8.1f}x" if stock else ""
            name = "-".join(map(str, sizes))
            print(f"{name:<18}{formulation:<17}{bounds:<10}{stock:>9}{ours:8.2f} s{faster}", flush=True)


if __name__ == "__main__":
    main()
