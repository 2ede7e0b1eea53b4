"""A horizon of 24 steps: 4 states, 2 controls, a network of two layers of 32 as the dynamics, quadratic costs.

The time of the first plan, and how far the plans of a second and of five seconds are from the best one of all seeds'
longer searches.

    python benchmarks/horizon.py --seeds 0 1 2 3 --best-seconds 20
"""

from __future__ import annotations

import argparse
import itertools

import numpy as np
import pyomo.environ as pyo
from pyomo.contrib.solver.common.factory import SolverFactory

import pyomo_relugrad as relugrad
from pyomo_relugrad.network import Network

STEPS, STATES, CONTROLS, WIDTH = 24, 4, 2, 32


def dynamics(seed: int) -> Network:
    """By how much the states change in a step: a random network, scaled so that states neither vanish nor explode."""
    rng = np.random.default_rng(seed)
    sizes = [STATES + CONTROLS, WIDTH, WIDTH, STATES]
    weights = [rng.normal(size=(b, a)) * np.sqrt(2 / a) for a, b in itertools.pairwise(sizes)]
    return Network.from_layers(weights, [0.3 * rng.normal(size=size) for size in sizes[1:]])


def model_of(seed: int) -> pyo.ConcreteModel:
    """Bring the states to zero with small controls, within limits of both."""
    network, begin = dynamics(seed), np.random.default_rng(100 + seed).uniform(-1, 1, STATES)
    model = pyo.ConcreteModel()
    model.step, model.time = pyo.RangeSet(0, STEPS - 1), pyo.RangeSet(0, STEPS)
    model.x = pyo.Var(model.time, range(STATES), bounds=(-3, 3))
    model.u = pyo.Var(model.step, range(CONTROLS), bounds=(-1, 1))
    for i in range(STATES):
        model.x[0, i].fix(begin[i])
    model.change = relugrad.ReluNetworkBlock(
        model.step,
        network=network,
        inputs=lambda model, t: [*(model.x[t, i] for i in range(STATES)), *(model.u[t, i] for i in range(CONTROLS))],
    )
    model.next = pyo.Constraint(
        model.step,
        range(STATES),
        rule=lambda model, t, i: model.x[t + 1, i] == 0.9 * model.x[t, i] + 0.1 * model.change[t].outputs[i],
    )
    model.cost = pyo.Objective(
        expr=pyo.quicksum(x**2 for x in model.x.values()) + 0.1 * pyo.quicksum(u**2 for u in model.u.values())
    )
    return model


def by_scip(seed: int, seconds: float) -> str:
    """The best plan of SCIP on the expansion, and its bound."""
    if not seconds:
        return "-"
    model = model_of(seed)
    pyo.TransformationFactory("relugrad.omlt").apply_to(model)
    found = SolverFactory("scip_direct").solve(
        model, time_limit=seconds, raise_exception_on_nonoptimal_result=False, load_solutions=False
    )
    return f"{found.incumbent_objective}, {found.objective_bound}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3], help="of the dynamics")
    parser.add_argument("--seconds", type=float, nargs="+", default=[1.0, 5.0], help="time limits (1 5)")
    parser.add_argument("--best-seconds", type=float, default=20.0, help="of the search for the best plan (20)")
    parser.add_argument("--scip-seconds", type=float, default=0.0, help="of SCIP on the expansion; 0 leaves it out (0)")
    asked = parser.parse_args()
    print(
        "| dynamics | first plan | best | "
        + " | ".join(f"{each:g} s" for each in asked.seconds)
        + " | SCIP, its bound |"
    )
    print("|---" * (4 + len(asked.seconds)) + "|")
    for seed in asked.seeds:
        runs = [
            SolverFactory("relugrad").solve(model_of(seed), time_limit=limit, seed=number)
            for number, limit in enumerate((*asked.seconds, asked.best_seconds))
        ]
        best = min(run.incumbent_objective for run in runs)
        first = runs[0].extra_info.history[0][0]
        missing = (f"+{100 * (run.incumbent_objective / best - 1):.3f} %" for run in runs[:-1])
        print(
            f"| {seed} | {first:.2f} s | {best:.5f} | {' | '.join(missing)} | {by_scip(seed, asked.scip_seconds)} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
