"""The package's interior-point method beside HiGHS's methods on programs over linear regions with many active facets.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/region_programs.py 300-2x300 1000-2x500

The first regions of an LP walk from a uniform point. HiGHS gets the facets that the package's method ends with, which
it could not know: its time is that of one solve with the right facets, made and paid for elsewhere. Beside it, what
HiGHS's interior-point method takes if facets are generated for it: it begins with those very facets, and gets what its
optimum violates until there is nothing. The median over the regions, of processor time.
"""

from __future__ import annotations

import argparse
import re
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
from drawn_networks import torch_default_network
from machine import describe_machine

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.programs import LinearProgram
from pyomo_relugrad.run import Budget
from pyomo_relugrad.search.regions.interior_point import InteriorPointProgram
from pyomo_relugrad.search.regions.layout import layout_of
from pyomo_relugrad.search.regions.program import RegionProgram
from pyomo_relugrad.search.regions.region import Region
from pyomo_relugrad.search.regions.unit_box import UnitBoxRegion
from pyomo_relugrad.solve import array_problem

# Share of a step by which the walk goes on beyond an optimum.
OVERSHOOT = 0.01
FIRST_FACETS = 300
# Violation of a facet, in units of its pre-activation, from which it is added.
VIOLATION = 1e-7
METHODS = {
    "HiGHS ipm": {"solver": "ipm"},
    "ipm, no crossover": {"solver": "ipm", "run_crossover": "off"},
    "HiGHS simplex": {"solver": "simplex"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=["100-2x100", "300-2x300", "784-2x256", "1000-2x500"])
    parser.add_argument("--regions", type=int, default=5)
    options = parser.parse_args()
    print(describe_machine(), flush=True)
    columns = ["facets", "ours", *METHODS, "ipm, generated"]
    print("network     " + "".join(f"{column:>20s}" for column in columns))
    for name in options.networks:
        found = measure(name, options.regions)
        print(f"{name:12s}" + "".join(f"{found[column]:20.1f}" for column in columns), flush=True)


def measure(name: str, n_regions: int) -> dict[str, float]:
    """Milliseconds by method, and the facets that the package's method ends with."""
    n_inputs, depth, width = map(int, re.fullmatch(r"(\d+)-(\d+)x(\d+)", name).groups())
    problem = array_problem(torch_default_network(n_inputs, [width] * depth, 50), None, 0.0, 1.0)
    program, seen = RegionProgram(problem), defaultdict(list)
    u = np.random.default_rng(0).random(n_inputs)
    for _ in range(n_regions):
        region = program.region_at(u)
        cost = region.gradient / np.abs(region.gradient).max()
        interior = timed(seen, "ours", by_the_package, program, u)
        rows = facets(region, interior.neurons)
        for method, options in METHODS.items():
            timed(seen, method, by_highs, program, cost, rows, options)
        timed(seen, "ipm, generated", by_generation, program, u, cost, interior.neurons)
        seen["facets"].append(interior.neurons.size)
        optimum = program.solve(region, Budget())
        u = np.clip(optimum.u + OVERSHOOT * (optimum.u - u), 0.0, 1.0)
    return {what: float(np.median(values)) for what, values in seen.items()}


def timed(seen: dict[str, list[float]], what: str, run: Callable[..., Any], *arguments: object) -> Any:
    """The result of a call, its milliseconds noted."""
    begin = time.process_time()
    result = run(*arguments)
    seen[what].append(1e3 * (time.process_time() - begin))
    return result


def by_the_package(program: RegionProgram, u: Array) -> InteriorPointProgram:
    """The package's method, from the region's point on."""
    region = program.region_at(u)
    limits = layout_of(program.objective).limits(region)
    interior = InteriorPointProgram(UnitBoxRegion(region, limits), FIRST_FACETS)
    interior.solve(Budget())
    return interior


def by_highs(program: RegionProgram, cost: Array, rows: tuple[Array, Array, Array], options: dict[str, str]) -> None:
    """One solve of HiGHS with given facets."""
    LinearProgram(cost, program.lower, program.upper, *rows, options=options).solve()


def by_generation(program: RegionProgram, u: Array, cost: Array, neurons: Array) -> None:
    """HiGHS's interior-point method with facets added as they are violated, crossover at the end."""
    region = program.region_at(u)
    model = LinearProgram(cost, program.lower, program.upper, options=METHODS["ipm, no crossover"])
    known = np.zeros(0, int)
    while neurons.size:
        model.append_rows(*facets(region, neurons))
        known = np.concatenate([known, neurons])
        step = model.solve().values - region.u
        after = region.signs * (region.preactivations + region.slopes(step[None, :])[0])
        neurons = np.setdiff1d(np.flatnonzero(after < -VIOLATION), known)
    by_highs(program, cost, facets(region, known), METHODS["HiGHS ipm"])


def facets(region: Region, neurons: Array) -> tuple[Array, Array, Array]:
    """Unit rows, lower and upper sides of the neurons' half-spaces."""
    gradients = region.gradients(neurons)
    signs = region.signs[neurons] / np.linalg.norm(gradients, axis=1)
    rows = gradients * signs[:, None]
    return rows, rows @ region.u - region.preactivations[neurons] * signs, np.full(neurons.size, np.inf)


if __name__ == "__main__":
    main()
