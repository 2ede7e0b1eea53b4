"""What more workers bring: points per second and the value reached by 1, 2 and 4 workers, and what they hold in memory.

    python benchmarks/scaling.py --seconds 10 --workers 1 2 4

    python benchmarks/scaling.py --busy 6 --match 1000

With ``--busy`` the search has one thread, and so many busy processes beside it; then, on the process's own clock, as
much time of the processor as it got. Elsewhere times are wall-clock times: leave the machine alone, and do not ask for
more workers than it has cores. Memory is the proportional set size of the processes that were started (Linux): what
they share is counted once.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
from customers import EXAMPLES, build, draw_customers
from drawn_networks import torch_default_network
from machine import describe_machine

from pyomo_relugrad import load_onnx
from pyomo_relugrad.modeling.compile import compile_model
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.run import Options, SearchResult, worker_processes
from pyomo_relugrad.solve import array_problem, solve_locally


def box(n_inputs: int, depth: int, width: int) -> Problem:
    return array_problem(torch_default_network(n_inputs, [width] * depth, seed=50), None, 0.0, 1.0)


def customers() -> Problem:
    """200 customers under a budget, searched by sequential linear programs."""
    random = np.random.default_rng(7)
    drawn, margins = draw_customers(200, random), random.uniform(5, 40, 200)
    return compile_model(build(load_onnx(EXAMPLES / "acceptance.onnx"), drawn, margins, 240.0)).problem


#: Name, problem, method.
INSTANCES: dict[str, tuple[Callable[[], Problem], str]] = {
    "100-2x100": (lambda: box(100, 2, 100), "auto"),
    "1000-3x500": (lambda: box(1000, 3, 500), "auto"),
    "10000-4x100": (lambda: box(10000, 4, 100), "auto"),
    "10000-4x2000": (lambda: box(10000, 4, 2000), "auto"),
    "200 customers": (customers, "sequential-lp"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--match", default="")
    parser.add_argument("--busy", type=int, default=0, metavar="PROCESSES")
    arguments = parser.parse_args()
    print(describe_machine())
    if arguments.busy:
        for name, (make, method) in INSTANCES.items():
            for seed in arguments.seeds if arguments.match in name else ():
                compare_under_load(
                    name, make(), Options(arguments.seconds, None, seed, method, threads=1), arguments.busy
                )
        return
    print(f"{'instance':15}{'seed':>5}{'workers':>8}{'points/s':>10}{'ratio':>7}{'at 1 s':>12}{'end':>12}{'MB':>6}")
    for name, (make, method) in INSTANCES.items():
        for seed in arguments.seeds if arguments.match in name else ():
            compare(name, make(), Options(arguments.seconds, None, seed, method), arguments.workers)


def compare(name: str, problem: Problem, options: Options, counts: list[int]) -> None:
    """Print a row for each number of workers."""
    first = 0.0
    for count in counts:
        result, memory = run(problem, options, count)
        rate = result.points / result.elapsed
        first = first or rate
        at_one = [problem.reported(value) for elapsed, value in result.history if elapsed <= 1.0][-1:] or [np.nan]
        end = np.nan if result.incumbent is None else problem.reported(result.incumbent.objective)
        numbers = f"{rate:10.0f}{rate / first:7.2f}{at_one[0]:12.6g}{end:12.6g}{memory:6.0f}"
        print(f"{name:15}{options.seed:5}{count:8}{numbers}", flush=True)


def compare_under_load(name: str, problem: Problem, options: Options, count: int) -> None:
    """Print what is found beside busy processes, and in the same time of the processor without them."""
    beside = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        begin = time.process_time()
        loaded = solve_locally(problem, options)
        seconds = time.process_time() - begin
    finally:
        for process in beside:
            process.kill()
    with mock.patch("time.perf_counter", time.process_time):
        quiet = solve_locally(problem, replace(options, time_limit=seconds))
    values = [
        np.nan if each.incumbent is None else problem.reported(each.incumbent.objective) for each in (loaded, quiet)
    ]
    print(f"{name:15}{options.seed:5} beside {count} busy processes {values[0]:.6f} with {loaded.points} points in "
          f"{seconds:.1f} s of the processor, without {values[1]:.6f} with {quiet.points}; "
          f"{(values[0] - values[1]) / abs(values[1]):+.2%}", flush=True)  # fmt: skip


def run(problem: Problem, options: Options, count: int) -> tuple[SearchResult, float]:
    """The result, and the largest memory in MB of the processes beside this one."""
    largest, looked = 0.0, 0.0

    def look(progress: object) -> None:
        nonlocal largest, looked
        if count > 1 and time.perf_counter() - looked > 1.0:
            looked = time.perf_counter()
            largest = max(largest, memory_of([process.pid for process in worker_processes(count - 1).processes]))

    with_threads = Options(options.time_limit, None, options.seed, options.method, threads=count)
    result = solve_locally(problem, with_threads, callback=look)
    worker_processes(count - 1).shutdown() if count > 1 else None
    return result, largest


def memory_of(processes: list[int]) -> float:
    """Proportional set size of processes in MB; 0 where the system does not tell."""
    total = 0
    for process in processes:
        file = Path(f"/proc/{process}/smaps_rollup")
        lines = file.read_text().splitlines() if file.exists() else []
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


if __name__ == "__main__":
    main()
