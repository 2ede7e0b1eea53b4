"""Nonlinear models of textbooks with networks inside: what is found and proven, beside SCIP on the expansion.

    python benchmarks/textbook_models.py water hydro --seconds 5 --proof-seconds 10 --scip-seconds 10

``largest violation`` is that of rows, bounds and networks at the point of `relugrad`, as Pyomo evaluates them.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pyomo.environ as pyo
from pyomo.contrib.solver.common.factory import SolverFactory
from textbook_instances import INSTANCES

import pyomo_relugrad  # noqa: F401 - registers the solvers

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from random_nonlinear import largest_violation


def by_scip(model: pyo.ConcreteModel, seconds: float) -> str:
    """Value and bound of SCIP on the expansion, or why it does not take the model."""
    pyo.TransformationFactory("relugrad.omlt").apply_to(model)
    options = {"raise_exception_on_nonoptimal_result": False, "load_solutions": False, "rel_gap": 1e-4}
    try:
        found = SolverFactory("scip_direct").solve(model, time_limit=seconds, **options)
    except NotImplementedError as error:
        return f"refused: {error} | - |"
    return f"{found.incumbent_objective} | {found.objective_bound} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(INSTANCES), help="models (all)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of the networks (0)")
    parser.add_argument("--seconds", type=float, default=5.0, help="of `relugrad` (5)")
    parser.add_argument("--proof-seconds", type=float, default=10.0, help="of `relugrad.exact` (10)")
    parser.add_argument("--scip-seconds", type=float, default=10.0, help="of SCIP; 0 leaves it out (10)")
    asked = parser.parse_args()
    print("| model | found | largest violation | exact | bound | seconds | SCIP | its bound |")
    print("|---" * 8 + "|")
    for name in asked.names:
        for seed in asked.seeds:
            model = INSTANCES[name](seed)
            found = SolverFactory("relugrad").solve(model, time_limit=asked.seconds).incumbent_objective
            exact = SolverFactory("relugrad.exact").solve(INSTANCES[name](seed), time_limit=asked.proof_seconds)
            row = f"| {name} {seed} | {found:.6g} | {largest_violation(model):.1e} | {exact.incumbent_objective:.6g} "
            row += f"| {exact.objective_bound:.6g} | {exact.timing_info.wall_time:.1f} |"
            scip = by_scip(INSTANCES[name](seed), asked.scip_seconds) if asked.scip_seconds else "- | - |"
            print(f"{row} {scip}", flush=True)


if __name__ == "__main__":
    main()
