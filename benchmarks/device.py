"""A device against one core: points per second of descents, and the search's value, for one network over a box.

    python benchmarks/device.py cuda

Prints the whole table within four minutes, whatever the device is: "cpu" for PyTorch on the processor. Steps are in
float32; the last column is the largest difference of the points' values from those of one core, after steps by signs,
which make large differences of small ones: compare the values that searches find.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from machine import describe_machine
from search_instances import torch_default_network
from threadpoolctl import threadpool_limits

from pyomo_relugrad import maximize
from pyomo_relugrad.arrays import at_home
from pyomo_relugrad.problem import ReducedObjective
from pyomo_relugrad.run import Budget
from pyomo_relugrad.search.descent.batch import Batch, descend
from pyomo_relugrad.search.descent.on_device import on_device
from pyomo_relugrad.search.domains.feasible_set import domain_of
from pyomo_relugrad.solve.arrays import array_problem

SIZES = [(100, 2, 100), (1000, 3, 500), (10000, 4, 100), (10000, 4, 2000)]
BATCHES = [64, 512, 4096]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("device", nargs="?", default="cpu")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--match", default="")
    arguments = parser.parse_args()
    print(describe_machine())
    print(f"{'network':14}{'batch':>6}{'core/s':>10}{'device/s':>10}{'ratio':>7}{'difference':>12}")
    for n, depth, width in SIZES:
        name = f"{n}-{depth}x{width}"
        if arguments.match in name:
            compare(name, n, [width] * depth, arguments.device, arguments.seconds)


def compare(name: str, n_inputs: int, widths: list[int], device: str, seconds: float) -> None:
    """Print a row for each size of the batch, and what a whole search finds on both."""
    network = torch_default_network(n_inputs, widths, seed=50)
    problem = array_problem(network, None, 0.0, 1.0)
    objective, domain = ReducedObjective(problem, np.float32), domain_of(problem)
    there, box = on_device(objective, domain, device)
    for batch in BATCHES:
        U = np.random.default_rng(0).random((batch, n_inputs)).astype(np.float32)
        with threadpool_limits(1, user_api="blas"):
            core, values = rate(objective, domain, U, seconds)
        moved, values_there = rate(there, box, U, seconds)
        difference = float(np.abs(values - values_there).max())
        print(f"{name:14}{batch:6}{core:10.0f}{moved:10.0f}{moved / core:7.1f}{difference:12.1e}", flush=True)
    found = [maximize(network, lower=0, upper=1, time_limit=2 * seconds, threads=1, device=d) for d in (None, device)]
    first = [best.history[0][0] for best in found]
    print(f"{name:14}search {found[0].value:.6f} on a core, {found[1].value:.6f} on the device, first point after "
          f"{first[0]:.2f} and {first[1]:.2f} s", flush=True)  # fmt: skip


def rate(objective: object, domain: object, U: np.ndarray, seconds: float) -> tuple[float, np.ndarray]:
    """Points per second of a descent, and the values after its first step."""
    steps = descend(objective, domain, Batch.at(objective.cast(U)), np.full(10**6, 1e-3), 0.5, Budget())
    values = at_home(next(steps).values)
    begin, count = time.perf_counter(), 0
    while time.perf_counter() - begin < seconds:
        batch = next(steps)
        count += len(U)
    at_home(batch.values[:1])  # waits for the device
    return count / (time.perf_counter() - begin), values


if __name__ == "__main__":
    main()
