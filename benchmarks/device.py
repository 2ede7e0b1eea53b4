"""A device against one core: points per second, the answers of searches, bounds, and a network of a billion weights.

    python benchmarks/device.py cuda

Prints the whole table within four minutes, whatever the device is: "cpu" for PyTorch on the processor. Points per
second are those of descents in float32; a core has batches of at most 512 points, which are as fast as larger ones.
Searches by time may end elsewhere on a device than on a core; with a limit of iterations they do not.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from itertools import pairwise

import numpy as np
from drawn_networks import torch_default_network
from machine import describe_machine
from scipy import sparse
from threadpoolctl import threadpool_limits

from pyomo_relugrad import Network, maximize
from pyomo_relugrad.arrays import at_home
from pyomo_relugrad.network import Device, Layer, crown_bounds, weights_on
from pyomo_relugrad.problem import ReducedObjective
from pyomo_relugrad.run import Budget
from pyomo_relugrad.search.descent.batch import Batch, descend
from pyomo_relugrad.search.descent.on_device import on_device
from pyomo_relugrad.search.domains.feasible_set import domain_of
from pyomo_relugrad.solve import array_problem

BATCHES, LARGEST_ON_A_CORE = (64, 512, 4096), 512
#: Weights times neurons up to which searches of many steps are compared, those steps, and the steps of others.
LITTLE_WORK, MANY_STEPS, FEW_STEPS = 2e9, 60, 24


def dense(n_inputs: int, depth: int, width: int) -> Network:
    return torch_default_network(n_inputs, [width] * depth, seed=50)


def convolutional(size: int = 32, channels: tuple[int, ...] = (3, 16, 32), width: int = 100) -> Network:
    """Convolutions of 3x3 at every second pixel, then two dense layers: sparse and dense weights."""
    random, layers = np.random.default_rng(50), []
    for index, (before, after) in enumerate(pairwise(channels)):
        weight = convolution(random.standard_normal((after, before, 3, 3)) / np.sqrt(9 * before), size)
        layers.append(Layer((index,), (weight,), np.zeros(weight.shape[0])))
        size //= 2
    for target in (width, 1):
        source = layers[-1].width
        weight = random.standard_normal((target, source)) / np.sqrt(source)
        layers.append(Layer((len(layers),), (weight,), np.zeros(target)))
    return Network(layers[0].weights[0].shape[1], tuple(layers))


def convolution(kernel: np.ndarray, size: int) -> sparse.csr_array:
    """The matrix of a convolution with stride 2 and a margin of one pixel."""
    after, before, height, width = kernel.shape
    out, source, i, j, row, column = np.indices((after, before, height, width, size // 2, size // 2))
    y, x = 2 * row + i - 1, 2 * column + j - 1
    inside = (y >= 0) & (y < size) & (x >= 0) & (x < size)
    rows, columns = (out * (size // 2) + row) * (size // 2) + column, (source * size + y) * size + x
    numbers = np.broadcast_to(kernel[..., None, None], rows.shape)[inside]
    shape = after * (size // 2) ** 2, before * size**2
    return sparse.csr_array((numbers, (rows[inside], columns[inside])), shape)


NETWORKS: dict[str, Callable[[], Network]] = {
    "100-2x100": lambda: dense(100, 2, 100),
    "1000-3x500": lambda: dense(1000, 3, 500),
    "10000-4x100": lambda: dense(10000, 4, 100),
    "10000-4x2000": lambda: dense(10000, 4, 2000),
    "convolutions": convolutional,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("device", nargs="?", default="cpu")
    parser.add_argument("--seconds", type=float, default=0.7, help="of each measurement; searches take five times that")
    parser.add_argument("--match", default="", help="part of the names of networks")
    parser.add_argument("--largest", type=float, help="weights of the largest network; 10^9 on a device with memory")
    arguments = parser.parse_args()
    begin = time.perf_counter()
    print(describe_machine())
    Device.named(arguments.device)  # loads its library, whose threads are limited with the others
    with threadpool_limits(1):
        print_table(arguments)
    print(f"all of it in {time.perf_counter() - begin:.0f} s", flush=True)


def print_table(arguments: argparse.Namespace) -> None:
    for name, make in NETWORKS.items():
        if arguments.match in name:
            compare(name, make(), arguments.device, arguments.seconds)
    largest = arguments.largest or (1e9 if has_memory(arguments.device) else 1e7)
    search_largest(int(largest), arguments.device, 20 * arguments.seconds)


def compare(name: str, network: Network, device: str, seconds: float) -> None:
    """Print what a network gives on a core and on the device."""
    print(f"{name}, {network.n_weights:.2g} weights", flush=True)
    objective = ReducedObjective(array_problem(network, None, 0.0, 1.0))
    domain = domain_of(objective.problem)
    there, box = on_device(objective, domain, device)
    here = ReducedObjective(objective.problem, np.float32)
    core = 0.0
    for batch in BATCHES:
        U = np.random.default_rng(0).random((batch, network.n_inputs)).astype(np.float32)
        if batch <= LARGEST_ON_A_CORE:
            core = max(core, rate(here, domain, U, seconds))
        moved = rate(there, box, U, seconds)
        print(f"  batch {batch:5}: {moved:10.0f} points/s on the device, {moved / core:6.1f} times those of a core, "
              f"{core:.0f}", flush=True)  # fmt: skip
    own, other = (search(network, device=where, time_limit=5 * seconds) for where in (None, device))
    print(f"  in {5 * seconds:g} s:   {own} on a core, {other} on the device", flush=True)
    steps = MANY_STEPS if network.n_weights * network.n_neurons < LITTLE_WORK else FEW_STEPS
    limits = {"iteration_limit": steps, "time_limit": np.inf}
    own, other = (search(network, device=where, **limits) for where in (None, device))
    print(f"  {steps} steps: {own} on a core, {other} on the device", flush=True)
    print(f"  bounds:    {bound_seconds(network, None)} on a core, {bound_seconds(network, device)} on the device")


def search(network: Network, **options: object) -> str:
    """The value that a search finds, and its seconds."""
    best = maximize(network, lower=0, upper=1, threads=1, **options)
    return f"{best.value:.8f} ({best.result.points} points, {best.result.elapsed:.1f} s)"


def has_memory(device: str | None) -> bool:
    """Whether a device is more than the processor."""
    return device is not None and Device.named(device).free_bytes is not None


def bound_seconds(network: Network, device: str | None) -> str:
    """Seconds that bounds by CROWN take around a point; those of a core only where they are few."""
    if network.bounding_work > 1e10 and not has_memory(device):
        return f"{network.bounding_work / 2.5e9:.0f} s (computed)"
    lower, upper = np.full((1, network.n_inputs), 0.45), np.full((1, network.n_inputs), 0.55)
    begin = time.perf_counter()
    bounds = crown_bounds(network, lower, upper, device=device)
    return f"{bounds.output_upper[0, 0]:.6f} in {time.perf_counter() - begin:.2f} s"


def rate(objective: object, domain: object, U: np.ndarray, seconds: float) -> float:
    """Points per second of a descent."""
    steps = descend(objective, domain, Batch.at(objective.cast(U)), np.full(10**6, 1e-3), 0.5, Budget())
    for _ in range(2):
        begin = time.perf_counter()
        at_home(next(steps).values)
        step = time.perf_counter() - begin
    begin, count = time.perf_counter(), 0
    while time.perf_counter() - begin < seconds:
        for _ in range(max(int(0.1 * seconds / step), 1)):
            batch = next(steps)
            count += len(U)
        at_home(batch.values[:1])  # waits for the device
    return count / (time.perf_counter() - begin)


def search_largest(n_weights: int, device: str, seconds: float) -> None:
    """Print how long a network of so many weights takes to be made, to move, and to give points."""
    width = int(np.sqrt(n_weights / 2.5))
    sizes, random, begin = (width // 2, width, width, width, 1), np.random.default_rng(0), time.perf_counter()
    weights = [uniform(random, after, before) for before, after in pairwise(sizes)]
    network = Network.from_layers(weights, [np.zeros(len(weight)) for weight in weights])
    del weights
    made = time.perf_counter()
    weights_on(network, Device.named(device))
    moved = time.perf_counter()
    best = maximize(network, lower=0, upper=1, device=device, time_limit=seconds)
    shown = ", ".join(f"{value:.5f} after {elapsed:.2f} s" for elapsed, value in best.history[:3])
    print(f"{'-'.join(map(str, sizes))}, {network.n_weights:.3g} weights")
    print(f"  made in {made - begin:.1f} s, on the device in {moved - made:.1f} s more")
    print(f"  from there {shown}, ..., {best.value:.5f} after {best.history[-1][0]:.2f} s")
    print(f"  {best.result.points} points in {best.result.elapsed:.1f} s", flush=True)


def uniform(random: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """Weights as a new layer of PyTorch has them, in float32."""
    weights = random.random((rows, columns), dtype=np.float32)
    weights -= np.float32(0.5)
    weights *= np.float32(2.0 / np.sqrt(columns))
    return weights


if __name__ == "__main__":
    main()
