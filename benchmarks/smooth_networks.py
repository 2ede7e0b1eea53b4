"""Tanh and sigmoid networks with rows around: found by a search, proven by `exact`, against a multi-start and SCIP.

Each model has a network of two hidden layers of 32 neurons, two to six inputs, a row of the inputs and one that ties
the output to them. The reference is the better of L-BFGS-B from many starts (where rows are penalised and then
restored) and SCIP on OMLT's full-space rows.

    python benchmarks/smooth_networks.py --count 20 --seconds 2 --proof-seconds 30 --scip-seconds 60
"""

from __future__ import annotations

import argparse
import itertools
import time

import numpy as np
import pyomo.environ as pyo
from scipy.optimize import minimize

import pyomo_relugrad as relugrad
from pyomo_relugrad.network import Network
from pyomo_relugrad.network.curves import SIGMOID, TANH

#: Relative differences that count as none: of values that were found, of a proven gap.
SAME_VALUE, PROVEN_GAP = 1e-4, 1e-3


def network_of(seed: int) -> Network:
    """A random network, tanh and sigmoid in turns, whose neurons are curved where the inputs are."""
    rng = np.random.default_rng(seed)
    n_inputs, activation = int(rng.integers(2, 7)), (TANH, SIGMOID)[seed % 2]
    sizes = [n_inputs, 32, 32, 1]
    gain = 1.5 if activation is TANH else 4.0
    weights = [rng.normal(size=(b, a)) * gain / np.sqrt(a) for a, b in itertools.pairwise(sizes)]
    biases = [rng.normal(size=size) * 0.5 for size in sizes[1:]]
    return Network.from_layers(weights, biases, activation=activation)


def model_of(seed: int) -> pyo.ConcreteModel:
    """Maximize the output less a cost of the inputs, with a budget, and a row on the output."""
    network, rng = network_of(seed), np.random.default_rng(1000 + seed)
    n = network.n_inputs
    model = pyo.ConcreteModel()
    model.x = pyo.Var(range(n), bounds=(-1, 1), initialize=0.0)
    model.nn = relugrad.ReluNetworkBlock(network=network, inputs=model.x)
    model.budget = pyo.Constraint(expr=sum(model.x.values()) <= 0.3 * n)
    tilt, level = rng.normal(size=n), float(network.value(np.zeros((1, n)))[0, 0])
    model.tied = pyo.Constraint(
        expr=model.nn.outputs[0] + 0.2 * sum(float(t) * model.x[i] for i, t in enumerate(tilt)) <= level + 1.0
    )
    cost = 0.1 * rng.normal(size=n)
    model.objective = pyo.Objective(
        expr=model.nn.outputs[0] - sum(float(c) * model.x[i] for i, c in enumerate(cost)), sense=pyo.maximize
    )
    model.arrays = tilt, level, cost
    return model


def by_starts(seed: int, starts: int) -> float:
    """The best value that SLSQP finds from random starts."""
    model = model_of(seed)
    network = model.nn.scaled_network
    tilt, level, cost = model.arrays
    n = network.n_inputs

    def value(x):
        outputs, gradient = network.value_and_gradient(x[None], [1.0])
        return outputs[0, 0], gradient[0]

    rows = [
        {"type": "ineq", "fun": lambda x: 0.3 * n - x.sum(), "jac": lambda x: -np.ones(n)},
        {
            "type": "ineq",
            "fun": lambda x: level + 1.0 - value(x)[0] - 0.2 * tilt @ x,
            "jac": lambda x: -value(x)[1] - 0.2 * tilt,
        },
    ]
    best, rng = -np.inf, np.random.default_rng(seed)
    for start in rng.uniform(-1, 1, (starts, n)):
        found = minimize(
            lambda x: -(value(x)[0] - cost @ x),
            start,
            jac=lambda x: -(value(x)[1] - cost),
            bounds=[(-1, 1)] * n,
            constraints=rows,
            method="SLSQP",
            options={"maxiter": 200, "ftol": 1e-10},
        )
        if min(row["fun"](found.x) for row in rows) >= -1e-7:
            best = max(best, -found.fun)
    return best


def by_scip(seed: int, seconds: float) -> tuple[float, float]:
    """Value and bound of SCIP on OMLT's full-space rows."""
    model = model_of(seed)
    pyo.TransformationFactory("relugrad.omlt").apply_to(model, bounds="crown")
    from pyomo.contrib.solver.common.factory import SolverFactory

    found = SolverFactory("scip_direct").solve(
        model, time_limit=seconds, raise_exception_on_nonoptimal_result=False, load_solutions=False
    )
    value, bound = found.incumbent_objective, found.objective_bound
    return (-np.inf if value is None else value), (np.inf if bound is None else bound)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20, help="models (20)")
    parser.add_argument("--first", type=int, default=0, help="seed of the first one (0)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of a search (2)")
    parser.add_argument("--proof-seconds", type=float, default=30.0, help="of an exact solve (30)")
    parser.add_argument("--scip-seconds", type=float, default=60.0, help="of SCIP; 0 leaves it out (60)")
    parser.add_argument("--starts", type=int, default=100, help="of the multi-start (100)")
    asked = parser.parse_args()
    print(
        "| model | found | reference | exact | bound | seconds | SCIP | its bound |\n|---|---|---|---|---|---|---|---|"
    )
    found_best = proven = 0
    for seed in range(asked.first, asked.first + asked.count):
        model = model_of(seed)
        pyo.SolverFactory("relugrad").solve(model, time_limit=asked.seconds)
        found = pyo.value(model.objective)
        model, begin = model_of(seed), time.perf_counter()
        results = pyo.SolverFactory("relugrad.exact").solve(model, time_limit=asked.proof_seconds, rel_gap=PROVEN_GAP)
        seconds, exact, bound = time.perf_counter() - begin, pyo.value(model.objective), results.problem.upper_bound
        scip = by_scip(seed, asked.scip_seconds) if asked.scip_seconds else (-np.inf, np.inf)
        reference = max(by_starts(seed, asked.starts), scip[0])
        best = max(found, exact, reference)
        found_best += found >= best - SAME_VALUE * max(1.0, abs(best))
        proven += bound - exact <= PROVEN_GAP * max(1e-3, abs(exact)) + 1e-9
        activation = network_of(seed).smooth_activations[0]
        print(
            f"| {seed}: {activation}, {len(model.x)} inputs | {found:.5f} | {reference:.5f} | {exact:.5f} "
            f"| {bound:.5f} | {seconds:.1f} | {scip[0]:.5f} | {scip[1]:.5f} |",
            flush=True,
        )
    print(f"\nthe best known value found in {asked.seconds:g} s: {found_best} of {asked.count}; proven: {proven}")


if __name__ == "__main__":
    main()
