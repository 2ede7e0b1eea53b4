"""The gap that is left after ten seconds, beside that of HiGHS with the same start and interval bounds after sixty.

Networks with PyTorch's initialisation, their output maximized over [0, 1]^100: too large for a proof by either.

    OPENBLAS_NUM_THREADS=1 python benchmarks/gaps.py
"""

from __future__ import annotations

import argparse

from drawn_networks import torch_default_network

from pyomo_relugrad.problem import Problem
from pyomo_relugrad.proof import prove_by_milp
from pyomo_relugrad.solve import Options, array_problem, search, solve_exactly

CASES = (("100-2x100", [100] * 2), ("100-3x100", [100] * 3))


def line(problem: Problem, name: str, seconds: float, objective: float, bound: float) -> str:
    """A line of the table, values in the sense of the model."""
    value, limit = problem.reported(objective), problem.reported(bound)
    return f"{name:30}{seconds:7.0f}{value:12.5f}{limit:12.5f}{abs(limit - value):12.5f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="for each of our solvers (default 10)")
    parser.add_argument("--highs-seconds", type=float, default=60.0, help="for HiGHS (default 60); 0 leaves it out")
    parser.add_argument("--only", default="", help="run only cases whose name contains this")
    arguments = parser.parse_args()
    print(f"{'':30}{'s':>7}{'incumbent':>12}{'bound':>12}{'gap':>12}")
    for name, widths in CASES:
        if arguments.only not in name:
            continue
        problem = array_problem(torch_default_network(100, widths, seed=50), None, 0.0, 1.0)
        found = search(problem, time_limit=arguments.seconds)
        print(line(problem, f"{name} relugrad", found.elapsed, found.incumbent.objective, found.bound), flush=True)
        exact = solve_exactly(problem, Options(), time_limit=arguments.seconds)
        print(
            line(problem, f"{name} relugrad.exact", exact.elapsed, exact.incumbent.objective, exact.bound), flush=True
        )
        if arguments.highs_seconds == 0:
            continue
        start, seconds = found.incumbent, arguments.highs_seconds
        highs = prove_by_milp(problem, start=start, bounds="interval", time_limit=seconds)
        print(
            line(problem, f"{name} HiGHS, started", highs.elapsed, highs.incumbent.objective, highs.bound), flush=True
        )


if __name__ == "__main__":
    main()
