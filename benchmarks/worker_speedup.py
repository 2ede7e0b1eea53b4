"""How much sooner two workers are done than one: time to the optimum of random models, and length of proofs.

    OPENBLAS_NUM_THREADS=1 python benchmarks/worker_speedup.py

Random models are those of each family of the tests, at two sizes. Two runs of one worker, with seeds of their own,
tell the best value and how long a model takes; then runs with one and two workers take turns until they are within 1e-4
of it. Models that took less than a tenth of a second are told apart from others. Proofs are those of ACAS Xu, of the
first output's maximum on the box of a property, where the folder ``../shared/networks/vnncomp`` is beside the
repository. The process of the second worker is there from the beginning. It takes six minutes; leave the machine alone.
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
from pyomo_relugrad.run import Options, SearchResult, worker_processes
from pyomo_relugrad.solve import array_problem, solve_exactly, solve_locally

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import random_models
from random_models import FAMILIES, random_problem

VNNCOMP = Path(__file__).parents[2] / "shared" / "networks" / "vnncomp"
COUNTS = (1, 2)
TOLERANCE = 1e-4
#: How many times as many inputs and ReLUs as in the tests the larger models of a family have.
LARGER = {"window": 4, "equality": 3, "integer": 1, "chained": 10, "shared": 4, "quadratic": 2}
#: Seeds and length of the runs that tell the best value; seconds below which a model is a short one.
FIRST_SEEDS, FIRST_SECONDS, SHORT = (1000, 1001), 2.0, 0.1
#: Longest proof.
PROOF_SECONDS = 8.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=4, help="of each family and size (4)")
    parser.add_argument("--families", nargs="*", default=FAMILIES, choices=FAMILIES)
    parser.add_argument("--larger", type=int, help="one size only, so many times that of the tests")
    parser.add_argument("--time-limit", type=float, default=3.0)
    parser.add_argument("--repeat", type=int, default=5, help="pairs of runs of each model (5)")
    parser.add_argument("--no-proofs", action="store_true")
    arguments = parser.parse_args()
    print(describe_machine())
    solve_locally(random_problem("window", 0, is_large=True), Options(FIRST_SECONDS, threads=2))
    sizes = random_models.LARGE_INPUTS, random_models.LARGE_RELUS
    for family in arguments.families:
        groups: dict[bool, list[np.ndarray]] = {True: [], False: []}  # short ones, and others
        for larger in sorted({1, LARGER[family]}) if arguments.larger is None else [arguments.larger]:
            random_models.LARGE_INPUTS, random_models.LARGE_RELUS = (tuple(larger * n for n in size) for size in sizes)
            for number in range(arguments.models):
                is_short, times = times_to_optimum(random_problem(family, number, is_large=True), arguments)
                groups[is_short].append(times)
        for is_short, kind in ((True, "less than"), (False, "more than")):
            report(f"{family}, {kind} {SHORT} s, to the optimum", groups[is_short])
    for name, problem in () if arguments.no_proofs or not VNNCOMP.is_dir() else acas_proofs():
        report(f"{name}, proof", [proof_times(problem, arguments)])


def report(name: str, models: list[np.ndarray]) -> None:
    """Print means of the times (pairs, counts) of some models, and how many times as soon two workers were done."""
    if not models:
        return
    times = np.concatenate(models)
    one, two = times.mean(axis=0)
    ratios = np.log(times[:, 0] / times[:, 1])
    error = ratios.std() / np.sqrt(len(ratios))
    print(
        f"{name}: {len(models)} models, {len(times)} pairs, {one:.3f} s with one, {two:.3f} s with two workers: "
        f"{one / two:.2f} times as soon; ratios of pairs {np.exp(ratios.mean()):.2f} in the geometric mean "
        f"(error {error:.2f}), {np.exp(np.median(ratios)):.2f} in the median",
        flush=True,
    )


def times_to_optimum(problem: Problem, arguments: argparse.Namespace) -> tuple[bool, np.ndarray]:
    """Whether a model is a short one, and seconds to the best value known: (pairs, counts)."""
    first = [solve_locally(problem, Options(FIRST_SECONDS, seed=seed, threads=1)) for seed in FIRST_SEEDS]
    best = min(run.incumbent.objective for run in first if run.incumbent is not None)
    target = best + TOLERANCE * max(1.0, abs(best))
    times = np.empty((arguments.repeat, len(COUNTS)))
    for seed in range(arguments.repeat):
        for index in (0, 1) if seed % 2 else (1, 0):
            wait_for_others()
            options = Options(arguments.time_limit, seed=seed, threads=COUNTS[index])
            times[seed, index] = solve_locally(problem, options, target=target).elapsed
    return bool(np.mean([time_to(run, target) for run in first]) < SHORT), times


def wait_for_others() -> None:
    """Let the process of an earlier run come to the end of its turn."""
    worker_processes(COUNTS[-1] - 1).submit(int).result()


def time_to(run: SearchResult, target: float) -> float:
    """When a run reached a value; its whole length if it never did."""
    return next((elapsed for elapsed, value in run.history if value <= target), run.elapsed)


def proof_times(problem: Problem, arguments: argparse.Namespace) -> np.ndarray:
    """Seconds of proofs: (pairs, counts)."""
    times = np.empty((arguments.repeat, len(COUNTS)))
    for seed in range(arguments.repeat):
        for index in (0, 1) if seed % 2 else (1, 0):
            wait_for_others()
            begin = time.perf_counter()
            solve_exactly(problem, Options(time_limit=PROOF_SECONDS, seed=seed, threads=COUNTS[index]))
            times[seed, index] = time.perf_counter() - begin
    return times


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
