"""What a batched step costs beside its bare matrix products: ratio per network, median over alternating pairs.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/step_cost.py

``gradient`` is value and gradient of a batch; ``step`` is a whole step of the descent over a box: gradient, momentum,
projection, and the record of the best points. Both are in float32, as the searches run them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator

import numpy as np
from drawn_networks import torch_default_network

from pyomo_relugrad.network import Network
from pyomo_relugrad.problem import ReducedObjective
from pyomo_relugrad.run import Budget
from pyomo_relugrad.search.descent.batch import Batch, descend
from pyomo_relugrad.search.domains.feasible_set import domain_of
from pyomo_relugrad.solve import array_problem

SIZES = [
    (10, [500]), (10, [500] * 2), (10, [500] * 3), (10, [2000] * 2), (100, [500]), (100, [500] * 2), (100, [500] * 3),
    (784, [500] * 2), (1000, [500]), (1000, [500] * 2), (1000, [500] * 3), (1000, [1000] * 2), (5000, [1000] * 2),
    (10000, [2000] * 2),
]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=2.0, help="time per network")
    parser.add_argument("--match", default="")
    options = parser.parse_args()
    print(f"{'network':16s} {'products':>10s} {'gradient':>9s} {'step':>6s}")
    for n_inputs, widths in SIZES:
        name = f"{n_inputs}-{len(widths)}x{widths[0]}"
        if options.match in name:
            network = torch_default_network(n_inputs, widths, seed=50)
            products, gradient, step = measure(network, options.batch, options.seconds)
            print(f"{name:16s} {1e3 * products:7.3f} ms {gradient:9.2f} {step:6.2f}", flush=True)


def measure(network: Network, batch: int, seconds: float) -> tuple[float, float, float]:
    """Time of the bare products, and the ratios of gradient and step to them: medians over alternating rounds."""
    problem = array_problem(network, None, 0.0, 1.0)
    objective, domain = ReducedObjective(problem, np.float32), domain_of(problem)
    U = np.random.default_rng(0).random((batch, network.n_inputs)).astype(np.float32)
    steps = endless_descent(objective, domain, U)
    runs: list[Callable[[], object]] = [
        bare_products(network.astype(np.float32), U),
        lambda: objective.value_and_gradient(U),
        lambda: next(steps),
    ]
    rounds, end = [], time.process_time() + seconds
    while time.process_time() < end:
        rounds.append([timed(run) for run in runs])
    products, gradient, step = np.array(rounds[len(rounds) // 10 :]).T
    return float(np.median(products)), float(np.median(gradient / products)), float(np.median(step / products))


def endless_descent(objective: ReducedObjective, domain: object, U: np.ndarray) -> Iterator[Batch]:
    """Steps of one descent, which never ends."""
    yield from descend(objective, domain, Batch.at(U), np.full(10**6, 0.01), 0.5, Budget())


def bare_products(network: Network, X: np.ndarray) -> Callable[[], None]:
    """The matrix products of one value and gradient into memory that is there already, and nothing else."""
    weights = [layer.weights[0] for layer in network.layers]
    sizes = [network.n_inputs, *(weight.shape[0] for weight in weights)]
    values = [X, *(np.ones((len(X), size), np.float32) for size in sizes[1:])]
    adjoints = [np.ones((len(X), size), np.float32) for size in sizes]

    def run() -> None:
        for index, weight in enumerate(weights):
            np.matmul(values[index], weight.T, out=values[index + 1])
        for index in range(len(weights) - 1, -1, -1):
            np.matmul(adjoints[index + 1], weights[index], out=adjoints[index])

    return run


def timed(run: Callable[[], object]) -> float:
    """Processor time of one call."""
    begin = time.process_time()
    run()
    return time.process_time() - begin


if __name__ == "__main__":
    main()
