"""The gap between bound and value of the search on published models.

    OMP_NUM_THREADS=1 python benchmarks/dual_bounds.py --seconds 5
    OMP_NUM_THREADS=1 python benchmarks/dual_bounds.py --highs-seconds 60

Models are built by ``../shared/models/suite`` beside the repository, which has to be there. The gap is relative to the
value; *root* is the gap of the bound that is computed once, of the whole problem without branching, at the same value.
*highs* is that of HiGHS on OMLT's big-M rows after so many seconds, from nothing, also at the same value.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time

import pyomo.environ as pyo
from machine import describe_machine
from published_families import FOLDERS

from pyomo_relugrad.modeling.compile import compile_model
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.problem.presolve import presolve
from pyomo_relugrad.proof.root_bound import dual_bound
from pyomo_relugrad.run import Options
from pyomo_relugrad.solve.local import solve_locally

SUITE = FOLDERS[0]
# The clock is looked at with each line of HiGHS's log.
HIGHS_OPTIONS = {"threads": 1, "output_flag": True, "log_to_console": False, "mip_min_logging_interval": 0.2}


def gaps(problem: Problem, seconds: float, seed: int, threads: int) -> tuple[float, float, float, float]:
    """Value and bound in the model's sense, the gap of the root's bound and that of the search."""
    result = solve_locally(problem, Options(time_limit=seconds, seed=seed, threads=threads))
    assert result.incumbent is not None
    value, size = result.incumbent.objective, max(abs(result.incumbent.objective), 1e-9)
    # Where tables or programs are exact, the search's own bound may be the only one.
    root = min(max(dual_bound(presolve(problem).problem), -1e20), value)
    return problem.reported(value), problem.reported(result.bound), (value - root) / size, (value - result.bound) / size


def expanded_bound(model: pyo.ConcreteModel, seconds: float) -> float:
    """The bound, in the model's sense, that HiGHS has of OMLT's rows after some seconds on one thread."""
    pyo.TransformationFactory("relugrad.omlt").apply_to(model)
    writer = pyo.SolverFactory("appsi_highs")
    writer.set_instance(model)
    highs, end = writer._solver_model, time.perf_counter() + seconds  # Pyomo hands out no bound in time
    for name, value in HIGHS_OPTIONS.items():
        highs.setOptionValue(name, value)
    highs.HandleUserInterrupt = True
    highs.cbMipLogging.subscribe(lambda _: highs.cancelSolve() if time.perf_counter() > end else None)
    highs.solve()
    return float(highs.getInfo().mip_dual_bound)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0, help="for each run (default 5)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="cores that the search may use (default 1)")
    parser.add_argument("--highs-seconds", type=float, default=0.0, help="for OMLT with HiGHS beside it (default none)")
    parser.add_argument("names", nargs="*", help="models of the suite; all where none is given")
    given = parser.parse_args()
    if not SUITE.is_dir():
        parser.error(f"there are no models in {SUITE}")
    sys.path.insert(0, str(SUITE))
    from suite import MODELS  # beside the repository

    logging.getLogger("pyomo").setLevel(logging.ERROR)
    print(describe_machine())
    heads = ["value", "bound", "root", "gap", *["highs"] * (given.highs_seconds > 0)]
    print(f"{'model':16}" + "".join(f"{head:>12}" for head in heads))
    for name in given.names or MODELS:
        problem = compile_model(MODELS[name].build()).problem
        value, bound, root, gap = gaps(problem, given.seconds, given.seed, given.threads)
        cells = f"{name:16}{value:12.6g}{bound:12.6g}{root:12.2%}{gap:12.2%}"
        if given.highs_seconds:
            expanded = expanded_bound(MODELS[name].build(), given.highs_seconds)
            cells += f"{abs(expanded - value) / max(abs(value), 1e-9):12.2%}"
        print(cells, flush=True)


if __name__ == "__main__":
    main()
