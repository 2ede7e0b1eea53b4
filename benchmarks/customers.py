"""One acceptance network at hundreds of customers under one budget row: relugrad against OMLT with HiGHS.

    python benchmarks/customers.py [--customers 500] [--seconds 10] [--highs-seconds 60]

The model separates but for the budget row, and each customer has one decision. So it has an upper bound that needs no
solver: the Lagrangian relaxation of the budget row, each customer's piecewise-linear function known by all its
breakpoints. Its gap to the optimum is at most what one customer brings.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import pyomo.environ as pyo

import pyomo_relugrad as relugrad

EXAMPLES = Path(__file__).parents[1] / "examples"
sys.path.insert(0, str(EXAMPLES))
from budget_bound import lagrangian_bound  # noqa: E402
from train_acceptance import LARGEST_BONUS, draw_customers  # noqa: E402


def build(network: relugrad.Network, customers: np.ndarray, margins: np.ndarray, budget: float) -> pyo.ConcreteModel:
    """Maximize the expected margin over the bonuses, within the budget."""
    m = pyo.ConcreteModel()
    m.customers = pyo.RangeSet(0, len(customers) - 1)
    m.bonus = pyo.Var(m.customers, bounds=(0, LARGEST_BONUS))
    m.acceptance = relugrad.ReluNetworkBlock(
        m.customers, network=network, inputs=lambda m, c: [*customers[c].tolist(), m.bonus[c]]
    )
    m.budget = pyo.Constraint(expr=pyo.quicksum(m.bonus.values()) <= budget)
    expected = pyo.quicksum(float(margins[c]) * m.acceptance[c].outputs[0] for c in m.customers)
    m.margin = pyo.Objective(expr=expected, sense=pyo.maximize)
    return m


def solve_with_relugrad(m: pyo.ConcreteModel, seconds: float, method: str) -> tuple[float, list[tuple[float, float]]]:
    """Best margin, and the time and margin of each new incumbent."""
    history: list[tuple[float, float]] = []

    def note(progress: object) -> None:
        if progress.is_new and progress.objective is not None:
            history.append((progress.elapsed, progress.objective))

    begin = time.perf_counter()
    pyo.SolverFactory("relugrad").solve(m, time_limit=seconds, method=method, callback=note)
    print(f"relugrad ended after {time.perf_counter() - begin:.1f} s")
    return pyo.value(m.margin), history


def solve_with_highs(m: pyo.ConcreteModel, seconds: float) -> float | None:
    """Best margin that HiGHS finds on OMLT's big-M formulation from nothing, None if it finds no point."""
    begin = time.perf_counter()
    pyo.TransformationFactory("relugrad.omlt").apply_to(m, formulation="bigm")
    print(f"OMLT big-M built in {time.perf_counter() - begin:.1f} s", flush=True)
    solver = pyo.SolverFactory("appsi_highs")
    begin = time.perf_counter()
    solver.set_instance(m)
    print(f"handed to HiGHS in {time.perf_counter() - begin:.1f} s", flush=True)
    results = solver.solve(m, load_solutions=False, options={"time_limit": seconds, "threads": 2})
    value = results.problem.lower_bound
    return None if value is None or not np.isfinite(value) else float(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--customers", type=int, default=500)
    parser.add_argument("--method", default="auto")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--highs-seconds", type=float, default=60.0, help="0 leaves HiGHS out")
    arguments = parser.parse_args()

    network = relugrad.load_onnx(EXAMPLES / "acceptance.onnx")
    random = np.random.default_rng(7)
    customers = draw_customers(arguments.customers, random)
    margins = random.uniform(5, 40, len(customers))
    budget = 1.2 * len(customers)
    begin = time.perf_counter()
    bound = lagrangian_bound(network, customers, margins, LARGEST_BONUS, budget)
    print(
        f"{len(customers)} customers, budget {budget:g}; upper bound {bound:.3f} ({time.perf_counter() - begin:.1f} s)"
    )

    begin = time.perf_counter()
    m = build(network, customers, margins, budget)
    print(f"model built in {time.perf_counter() - begin:.1f} s")
    found, history = solve_with_relugrad(m, arguments.seconds, arguments.method)
    print("\n  after   margin   below the bound")
    for limit in (0.5, 1, 2, 5, 10, 20, 60):
        reached = [value for elapsed, value in history if elapsed <= limit]
        if reached and limit <= arguments.seconds:
            print(f"{limit:5.1f} s  {reached[-1]:8.3f}   {1 - reached[-1] / bound:8.3%}")
    print(f"    end  {found:8.3f}   {1 - found / bound:8.3%}")
    if arguments.highs_seconds > 0:
        fresh = build(network, customers, margins, budget)
        value = solve_with_highs(fresh, arguments.highs_seconds)
        outcome = "no point" if value is None else f"{value:.3f}, {1 - value / bound:.3%} below the bound"
        print(f"OMLT big-M + HiGHS after {arguments.highs_seconds:g} s: {outcome}")


if __name__ == "__main__":
    main()
