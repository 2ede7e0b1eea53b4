"""What the processes of a run hold in memory together, with many workers on a network of 10^8 weights.

    python benchmarks/memory.py --workers 10 --seconds 20

The network has float32 weights, as PyTorch and ONNX files have them; ``--double`` gives it weights that only float64
holds. Memory is the proportional set size (Linux): what processes share is counted once. The same run with a small
network says what Python and its packages take. The server that forks the workers counts as well.
"""

from __future__ import annotations

import argparse
import gc
import os
import threading
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
from machine import describe_machine
from scaling import memory_of

from pyomo_relugrad import Network, maximize
from pyomo_relugrad.run import worker_processes

SMALL = (100, 100, 100, 1)
LARGE = {"deep": (1_000, 5_000, 5_000, 5_000, 5_000, 5_000, 1), "wide": (10_000, 5_000, 5_000, 5_000, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--networks", nargs="+", choices=LARGE, default=list(LARGE))
    parser.add_argument("--double", action="store_true")
    arguments = parser.parse_args()
    print(describe_machine())
    print(f"{arguments.workers} workers and the process that asks")
    base, _, seen = peak_of(draw(SMALL, arguments.double), arguments.workers, 8.0)
    print(f"a small network: {base:.0f} MB at the peak, {seen} workers came")
    for name in arguments.networks:
        network = draw(LARGE[name], arguments.double)
        peak, end, seen = peak_of(network, arguments.workers, arguments.seconds)
        weights = 8e-6 * network.n_weights
        print(f"{name}, {network.n_weights:,} weights, {weights:.0f} MB in float64: {peak:.0f} MB at the peak")
        print(f"{end:.0f} MB at the end, {seen} workers came; at the peak {peak / weights:.2f} times the weights, "
              f"{(peak - base) / weights:.2f} times without what the small run takes", flush=True)  # fmt: skip
        del network
        gc.collect()  # a run leaves circles of references


def draw(widths: tuple[int, ...], is_double: bool) -> Network:
    random, weights = np.random.default_rng(0), []
    for n, m in pairwise(widths):
        drawn = random.uniform(-1, 1, (m, n)) / np.sqrt(n)
        weights.append(drawn if is_double else drawn.astype(np.float32))
    return Network.from_layers(weights, [np.zeros(m) for m in widths[1:]])


def descendants_of(process: int) -> list[int]:
    """The processes that a process has started, and those that these have: a server's workers, too."""
    files = Path(f"/proc/{process}/task").glob("*/children")
    children = [int(child) for file in files for child in file.read_text().split()]
    return children + [each for child in children for each in descendants_of(child)]


def peak_of(network: Network, workers: int, seconds: float) -> tuple[float, float, int]:
    """MB of all processes at the peak and at the end of a run, and how many workers there were."""
    pool, sizes, counts, is_over = worker_processes(workers), [0.0], [0], threading.Event()

    def look() -> None:
        while not is_over.wait(0.2):
            sizes.append(memory_of([os.getpid(), *descendants_of(os.getpid())]))
            counts.append(len(pool.processes))

    watch = threading.Thread(target=look)
    watch.start()
    begin = time.perf_counter()
    best = maximize(network, lower=0, upper=1, time_limit=seconds, threads=workers + 1)
    took = time.perf_counter() - begin
    is_over.set()
    watch.join()
    pool.shutdown()
    print(f"value {best.value:.5f}, {best.result.points} points in {took:.1f} s")
    return max(sizes), sizes[-1], max(counts)


if __name__ == "__main__":
    main()
