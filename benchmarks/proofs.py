"""How long it takes to prove the maximum of output 0 of real networks over boxes, to 1e-4.

Needs the ONNX files of the VNN-COMP benchmarks in one folder. Prints a table: networks, bounds and nodes, seconds of
wall clock and of processor time; the median of several runs.

    OPENBLAS_NUM_THREADS=1 python benchmarks/proofs.py ../shared/networks/vnncomp --repeat 3
"""

from __future__ import annotations

import argparse
import re
import statistics
import time
from pathlib import Path

import numpy as np

from pyomo_relugrad import load_onnx
from pyomo_relugrad.problem import EmbeddedNetwork, Problem
from pyomo_relugrad.proof import prove

ACAS = "ACASXU_run2a_1_1_batch_2000.onnx"

#: Name, file, half width of the box around 0 or a property file, seconds that it should take.
CASES = (
    ("TLL lattice", "tllBench_n=2_N=M=8_m=1_instance_0_0.onnx", 2.0, 1),
    ("cartpole", "cartpole.onnx", 1.0, 1),
    ("robot", "robot.onnx", 1.0, 5),
    ("gcas", "gcas.onnx", 1.0, 1),
    ("ACAS Xu 1_1, property 1", ACAS, "acasxu_prop_1.vnnlib", 3),
    ("ACAS Xu 1_1, property 3", ACAS, "acasxu_prop_3.vnnlib", 3),
    ("lunarlander", "lunarlander.onnx", 1.0, 60),
)


def box(folder: Path, size: float | str, n_inputs: int) -> tuple[np.ndarray, np.ndarray]:
    """A cube, or the input box of a property file."""
    if not isinstance(size, str):
        return np.full(n_inputs, -size), np.full(n_inputs, size)
    sides = {"<=": np.full(n_inputs, np.inf), ">=": np.full(n_inputs, -np.inf)}
    for sign, index, value in re.findall(r"\(assert \((<=|>=) X_(\d+) ([-+\d.eE]+)\)\)", (folder / size).read_text()):
        sides[sign][int(index)] = float(value)
    return sides[">="], sides["<="]


def problem_of(folder: Path, file: str, size: float | str) -> Problem:
    """Maximize output 0 over the box."""
    network = load_onnx(folder / file)
    n, m = network.n_inputs, network.n_outputs
    lower, upper = box(folder, size, n)
    cost = np.zeros(n + m)
    cost[n] = -1.0
    free = np.full(m, np.inf)
    embedded = EmbeddedNetwork(network, np.arange(n), np.arange(n, n + m))
    return Problem(cost, np.r_[lower, -free], np.r_[upper, free], networks=(embedded,), maximize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder with the ONNX and property files")
    parser.add_argument("--repeat", type=int, default=3, help="runs per network; the median counts (default 3)")
    parser.add_argument("--time-limit", type=float, default=120.0, help="seconds per run (default 120)")
    parser.add_argument("--only", default="", help="run only cases whose name contains this")
    arguments = parser.parse_args()
    print(
        f"{'network':26}{'status':>10}{'maximum':>12}{'bound':>12}{'nodes':>9}{'wall s':>8}{'cpu s':>8}{'floor s':>9}"
    )
    for name, file, size, floor in CASES:
        if arguments.only not in name:
            continue
        problem = problem_of(arguments.folder, file, size)
        walls, processors = [], []
        for _ in range(arguments.repeat):
            begin = time.process_time()
            result = prove(problem, relative_gap=0.0, absolute_gap=1e-4, time_limit=arguments.time_limit)
            walls.append(result.elapsed)
            processors.append(time.process_time() - begin)
        value = np.nan if result.incumbent is None else problem.reported(result.incumbent.objective)
        print(
            f"{name:26}{result.stop.value:>10}{value:12.5f}{problem.reported(result.bound):12.5f}{result.nodes:9d}"
            f"{statistics.median(walls):8.2f}{statistics.median(processors):8.2f}{floor:9d}"
        )


if __name__ == "__main__":
    main()
