"""What a step of the LP walk costs beside the linear program over all neurons from nothing: ratio region by region.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/walk_steps.py 1000-2x500 --seeds 0 1 2

Walks from uniform starts over the unit box. At every region it times the walk's own step (the region's linear
program, from what the last one left), and the same program with the facets of all neurons, built and solved by HiGHS
with its default options; both optima are compared. The weights are PyTorch's default ones.
"""

from __future__ import annotations

import argparse
import re
import time
from dataclasses import dataclass

import numpy as np
from drawn_networks import torch_default_network
from machine import describe_machine

from pyomo_relugrad.problem import Problem
from pyomo_relugrad.programs import LinearProgram
from pyomo_relugrad.run import Budget
from pyomo_relugrad.search.regions.program import RegionProgram
from pyomo_relugrad.search.regions.region import Region
from pyomo_relugrad.search.regions.walk import is_lower
from pyomo_relugrad.solve import array_problem

# Share of a step by which the walk goes on beyond an optimum.
OVERSHOOT = 0.01
# Relative difference of the optima that is still rounding.
AGREEMENT = 1e-6


@dataclass(frozen=True)
class Step:
    """Processor time of one region's linear program, by the walk and from nothing, and its active facets."""

    walk: float
    cold: float
    n_active: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=["1000-2x500"], help="inputs-layersxwidth")
    parser.add_argument("--net-seed", type=int, default=50)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="of the walks' starts")
    parser.add_argument("--regions", type=int, default=1000, help="per walk at most")
    options = parser.parse_args()
    print(describe_machine(), flush=True)
    print("network       seed  regions  active facets   walk ms    cold ms   ratio of sums   median   smallest")
    for name in options.networks:
        n_inputs, depth, width = map(int, re.fullmatch(r"(\d+)-(\d+)x(\d+)", name).groups())
        problem = array_problem(torch_default_network(n_inputs, [width] * depth, options.net_seed), None, 0.0, 1.0)
        for seed in options.seeds:
            print(f"{name:12s} {seed:5d} {summary(walk(problem, seed, options.regions))}", flush=True)


def summary(steps: list[Step]) -> str:
    ours, cold = np.array([step.walk for step in steps]), np.array([step.cold for step in steps])
    ratios = cold / ours
    return (
        f"{len(steps):8d} {steps[0].n_active:7d} -> {steps[-1].n_active:3d} {1e3 * ours.mean():9.1f} "
        f"{1e3 * cold.mean():10.1f} {cold.sum() / ours.sum():15.1f} {np.median(ratios):8.1f} {ratios.min():10.1f}"
    )


def walk(problem: Problem, seed: int, n_regions: int) -> list[Step]:
    """The steps of one LP walk, each timed against the program over all neurons."""
    program = RegionProgram(problem)
    u = np.random.default_rng(seed).uniform(program.lower, program.upper)
    value, steps = np.inf, []
    while len(steps) < n_regions:
        begin = time.process_time()
        region = program.region_at(u)
        optimum = program.solve(region, Budget())
        seconds = time.process_time() - begin
        cold, exact = cold_program(program, region)
        steps.append(Step(seconds, cold, optimum.binding.size))
        if abs(exact - region.gradient @ optimum.u) > AGREEMENT * max(1.0, abs(exact)):
            raise RuntimeError(f"the walk's optimum {region.gradient @ optimum.u} is not HiGHS's, {exact}")
        reached = program.incumbent(optimum.u).objective
        if not is_lower(reached, value):
            break
        beyond = optimum.u + OVERSHOOT * (optimum.u - u)
        u, value = np.where((beyond >= program.lower) & (beyond <= program.upper), beyond, optimum.u), reached
    return steps


def cold_program(program: RegionProgram, region: Region) -> tuple[float, float]:
    """Processor time and optimum of the region's linear program over all neurons, built and solved from nothing."""
    begin = time.process_time()
    region = program.region_at(region.u)
    normals = region.gradients(np.arange(region.signs.size)) * region.signs[:, None]
    sides = normals @ region.u - region.signs * region.preactivations
    unbounded = np.full(sides.size, np.inf)
    whole = LinearProgram(region.gradient, program.lower, program.upper, normals, sides, unbounded)
    solution = whole.solve()
    return time.process_time() - begin, solution.objective


if __name__ == "__main__":
    main()
