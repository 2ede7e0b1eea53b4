"""Predictive control in a closed loop: each step solves the model of the next hours, started from the last one's plan.

`python benchmarks/closed_loop.py [--steps 30] [--limits 0.05 5]` prints, for each time limit, the whole loop's cost,
and the wall time of a step's whole ``solve`` call. The room, its prices and its network (random, seeded) are made here.
Each step starts from the decisions of the last plan, shifted by an hour.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import pyomo.environ as pyo

import pyomo_relugrad as relugrad
from pyomo_relugrad.network import Network

HOURS = 24
HEAT_LARGEST, DISCOMFORT_COST = 10.0, 10.0
COMFORT = (20.0, 24.0)
#: ReLUs of the hidden layer whose deviation from a linear room is `BEND` degrees or so.
WIDTH, BEND = 32, 0.3


def room(seed: int = 0) -> Network:
    """The next hour's temperature from the present one, that outside and the heat: linear, and bent by random ReLUs."""
    random = np.random.default_rng(seed)
    centre, range_ = np.array([20.0, 5.0, 5.0]), np.array([10.0, 12.0, 5.0])
    slopes = random.standard_normal((WIDTH, 3)) / range_
    offsets = 0.5 * random.standard_normal(WIDTH) - slopes @ centre
    hidden = np.concatenate([slopes, np.eye(3), -np.eye(3)])
    weights = np.concatenate([BEND * random.standard_normal(WIDTH) / np.sqrt(WIDTH), [0.9, 0.1, 0.4, -0.9, -0.1, -0.4]])
    return Network.from_layers([hidden, weights[None]], [np.concatenate([offsets, np.zeros(6)]), np.zeros(1)])


def model(network: Network, inside: float, clock: int, seed: int = 0) -> pyo.ConcreteModel:
    """Heat the room cheaply over the next hours, from a temperature at a time."""
    hours = clock + np.arange(HOURS)
    outside = 5 + 6 * np.sin(2 * np.pi * (hours - 8) / 24)
    evening = (hours % 24 > 16) & (hours % 24 < 21)
    price = 0.2 + 0.1 * evening + 0.05 * np.random.default_rng(seed).random(1000)[hours]
    m = pyo.ConcreteModel()
    m.hour, m.time = pyo.RangeSet(0, HOURS - 1), pyo.RangeSet(0, HOURS)
    m.inside = pyo.Var(m.time, bounds=(-20, 60))
    m.heat = pyo.Var(m.hour, bounds=(0, HEAT_LARGEST))
    m.discomfort = pyo.Var(m.hour, bounds=(0, 100))
    m.inside[0].fix(inside)
    m.room = relugrad.ReluNetworkBlock(
        m.hour,
        network=network,
        inputs=lambda m, t: [m.inside[t], float(outside[t]), m.heat[t]],
        outputs=lambda m, t: [m.inside[t + 1]],
    )
    m.warm = pyo.Constraint(m.hour, rule=lambda m, t: m.inside[t + 1] + m.discomfort[t] >= COMFORT[0])
    m.cool = pyo.Constraint(m.hour, rule=lambda m, t: m.inside[t + 1] - m.discomfort[t] <= COMFORT[1])
    heating = pyo.quicksum(float(price[t]) * m.heat[t] for t in m.hour)
    m.obj = pyo.Objective(expr=heating + DISCOMFORT_COST * pyo.quicksum(m.discomfort.values()))
    m.first_cost = pyo.Expression(expr=float(price[0]) * m.heat[0] + DISCOMFORT_COST * m.discomfort[0])
    return m


def closed_loop(steps: int, time_limit: float, seed: int = 0) -> tuple[float, list[float]]:
    """Cost of all steps' first hours, and the seconds of each ``solve`` call."""
    solver, network = pyo.SolverFactory("relugrad"), room(seed)
    inside, plan, cost, seconds = 18.0, [0.0] * HOURS, 0.0, []
    for step in range(steps):
        m = model(network, inside, step, seed)
        for t in m.hour:
            m.heat[t].set_value(plan[min(t + 1, HOURS - 1)])
        begin = time.perf_counter()
        solver.solve(m, time_limit=time_limit, warmstart=True)
        seconds.append(time.perf_counter() - begin)
        cost += pyo.value(m.first_cost)
        inside, plan = pyo.value(m.inside[1]), [pyo.value(m.heat[t]) for t in m.hour]
    return cost, seconds


def main() -> None:
    """Run the loop at each time limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--limits", type=float, nargs="+", default=[0.05, 5.0])
    given = parser.parse_args()
    closed_loop(1, 0.05)  # imports
    print("| limit (s) | cost | median step (ms) | longest step (ms) |\n|---|---|---|---|")
    for limit in given.limits:
        cost, seconds = closed_loop(given.steps, limit)
        print(f"| {limit} | {cost:.4f} | {1e3 * np.median(seconds):.0f} | {1e3 * max(seconds):.0f} |", flush=True)


if __name__ == "__main__":
    main()
