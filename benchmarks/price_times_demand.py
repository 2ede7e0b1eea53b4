"""Price times demand: regions with a demand network of two layers of 64 each, tied by a budget for advertising.

What `relugrad` finds in a second, and the gap of `relugrad.exact` beside that of SCIP on the expansion after ten times
the seconds. Demand falls with the price and rises with advertising; its networks are trained here, from seeds.

    python benchmarks/price_times_demand.py --seconds 6 --scip-seconds 60
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
import pyomo.environ as pyo
from pyomo.contrib.solver.common.factory import SolverFactory
from sklearn.neural_network import MLPRegressor

import pyomo_relugrad as relugrad
from pyomo_relugrad.network import Network


def demand_network(seed: int, advertises: bool) -> Network:
    """A network of 2x64 trained on a smooth demand at 400 prices, with or without advertising as its second input."""
    rng = np.random.default_rng(seed)
    size, middle, effect = rng.uniform(1.5, 3), rng.uniform(0.5, 1.5), rng.uniform(0.3, 0.8)
    inputs = rng.uniform(0, 2, (400, 1 + advertises))
    demand = size / (1 + np.exp(3 * (inputs[:, 0] - middle)))
    demand *= 1 + effect * np.sqrt(inputs[:, 1]) if advertises else 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it need not converge
        trained = MLPRegressor(hidden_layer_sizes=(64, 64), random_state=seed, max_iter=300).fit(inputs, demand)
    return Network.from_layers([each.T for each in trained.coefs_], trained.intercepts_)


def model_of(regions: int, advertises: bool) -> pyo.ConcreteModel:
    """Maximize revenue; the budget binds advertising, or the sum of the prices where there is none."""
    networks = [demand_network(seed, advertises) for seed in range(regions)]
    model = pyo.ConcreteModel()
    model.region = pyo.RangeSet(0, regions - 1)
    model.price = pyo.Var(model.region, bounds=(0, 2))
    model.advertising = pyo.Var(model.region, bounds=(0, 2))
    model.demand = relugrad.ReluNetworkBlock(
        model.region,
        network=lambda model, r: networks[r],
        inputs=lambda model, r: [model.price[r], model.advertising[r]][: 1 + advertises],
    )
    limited = model.advertising if advertises else model.price
    model.budget = pyo.Constraint(expr=pyo.quicksum(limited.values()) <= 3 * regions / 8)
    model.revenue = pyo.Objective(
        expr=pyo.quicksum(model.price[r] * model.demand[r].outputs[0] for r in model.region), sense=pyo.maximize
    )
    return model


def gap(value: float | None, bound: float | None) -> str:
    """The relative gap in percent."""
    return "-" if value is None or bound is None else f"{100 * (bound - value) / abs(value):.3g} %"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--regions", type=int, default=8, help="regions (8)")
    parser.add_argument("--inputs", type=int, nargs="+", default=[1, 2], help="inputs of a network: price, advertising")
    parser.add_argument("--search-seconds", type=float, default=1.0, help="of `relugrad` (1)")
    parser.add_argument("--seconds", type=float, default=6.0, help="of `relugrad.exact` (6)")
    parser.add_argument("--scip-seconds", type=float, default=60.0, help="of SCIP; 0 leaves it out (60)")
    asked = parser.parse_args()
    for n_inputs in asked.inputs:
        print(f"{asked.regions} regions, {n_inputs} inputs each")
        for name, seconds in (("relugrad", asked.search_seconds), ("relugrad.exact", asked.seconds)):
            model, begin = model_of(asked.regions, n_inputs > 1), time.perf_counter()
            results = SolverFactory(name).solve(model, time_limit=seconds)
            found, bound = results.incumbent_objective, results.objective_bound
            spent = time.perf_counter() - begin
            print(
                f"  {name:15} {found:.6f}, bound {bound:.6f}, gap {gap(found, bound)} after {spent:.1f} s", flush=True
            )
        if asked.scip_seconds:
            model = model_of(asked.regions, n_inputs > 1)
            pyo.TransformationFactory("relugrad.omlt").apply_to(model)
            results = SolverFactory("scip_direct").solve(
                model,
                time_limit=asked.scip_seconds,
                rel_gap=1e-4,
                raise_exception_on_nonoptimal_result=False,
                load_solutions=False,
            )
            found, bound = results.incumbent_objective, results.objective_bound
            print(f"  {'SCIP':15} {found}, bound {bound}, gap {gap(found, bound)} after {asked.scip_seconds:g} s")


if __name__ == "__main__":
    main()
