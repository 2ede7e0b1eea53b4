"""How much sooner two workers are done than one: time to the optimum of random models, and length of proofs.

    OPENBLAS_NUM_THREADS=1 python benchmarks/worker_speedup.py --models 10 --repeat 3

Random models are the large ones of each family of the tests; their time is that to a value within 1e-4 of the best that
any run has found. Families whose models take less than a tenth of a second are told, and gain little: others join
after 0.03 s. Proofs are those of ACAS Xu, of the first output's maximum on the box of a property, where the folder
``../shared/networks/vnncomp`` is beside the repository; after the first long one a process is there. Runs with one and
two workers take turns, medians count; leave the machine alone.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from machine import describe_machine

from pyomo_relugrad import load_onnx
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.readers.vnnlib import load_vnnlib
from pyomo_relugrad.run import Options, SearchResult
from pyomo_relugrad.solve import array_problem, solve_exactly, solve_locally

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import random_models
from random_models import FAMILIES, random_problem

VNNCOMP = Path(__file__).parents[2] / "shared" / "networks" / "vnncomp"
COUNTS = (1, 2)
TOLERANCE = 1e-4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=10, help="of each family (10)")
    parser.add_argument("--families", nargs="*", default=FAMILIES, choices=FAMILIES)
    parser.add_argument("--time-limit", type=float, default=6.0)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--larger", type=int, default=1, help="how many times as many inputs and ReLUs models have (1)")
    parser.add_argument("--no-proofs", action="store_true")
    arguments = parser.parse_args()
    print(describe_machine())
    for name in ("LARGE_INPUTS", "LARGE_RELUS"):
        setattr(random_models, name, tuple(arguments.larger * size for size in getattr(random_models, name)))
    for family in arguments.families:
        times = [times_to_optimum(family, seed, arguments) for seed in range(arguments.models)]
        report(f"{family}, {arguments.models} models, seconds to the optimum", np.array(times))
    for name, problem in () if arguments.no_proofs or not VNNCOMP.is_dir() else acas_proofs():
        report(f"{name}, seconds of the proof", proof_times(problem, arguments)[None])


def report(name: str, times: np.ndarray) -> None:
    """Print the medians of (models, counts) times."""
    one, two = np.median(times, axis=0)
    print(f"{name}: {one:.3f} with one, {two:.3f} with two workers, {one / two:.2f} times as soon", flush=True)


def times_to_optimum(family: str, seed: int, arguments: argparse.Namespace) -> list[float]:
    """Medians over the runs of the time to the best value known, for each number of workers."""
    problem = random_problem(family, seed, is_large=True)
    runs = [
        [solve_locally(problem, Options(arguments.time_limit, None, number, threads=count)) for count in COUNTS]
        for number in range(arguments.repeat)
    ]
    best = min(run.incumbent.objective for pair in runs for run in pair if run.incumbent is not None)
    return [float(np.median([time_to(pair[index], best) for pair in runs])) for index in range(len(COUNTS))]


def time_to(run: SearchResult, best: float) -> float:
    """When a run was within the tolerance of a value; its whole length if it never was."""
    close_to = best + TOLERANCE * max(1.0, abs(best))
    return next((elapsed for elapsed, value in run.history if value <= close_to), run.elapsed)


def proof_times(problem: Problem, arguments: argparse.Namespace) -> np.ndarray:
    """Medians of the length of proofs, for each number of workers."""
    times = np.empty((arguments.repeat, len(COUNTS)))
    for number in range(arguments.repeat):
        for index, count in enumerate(COUNTS):
            begin = time.perf_counter()
            solve_exactly(problem, Options(time_limit=arguments.time_limit, seed=number, threads=count))
            times[number, index] = time.perf_counter() - begin
    return np.median(times, axis=0)


def acas_proofs() -> Iterator[tuple[str, Problem]]:
    """The first output over the boxes of properties 1 to 4, on two networks."""
    for number in ("1_1", "2_7"):
        network = load_onnx(VNNCOMP / f"ACASXU_run2a_{number}_batch_2000.onnx")
        for property_ in (1, 2, 3, 4):
            case = load_vnnlib(VNNCOMP / f"acasxu_prop_{property_}.vnnlib").cases[0]
            yield (
                f"ACAS Xu {number}, property {property_}",
                array_problem(network, np.eye(5)[0], case.lower, case.upper),
            )


if __name__ == "__main__":
    main()
