"""The same model solved many times with other numbers, by one solver object.

`python benchmarks/repeated_solves.py [--solves 200] [--steps 40] [--plants 0] [--references 3]` prints the latency of
the whole ``solve`` call from the second solve on, by the clock and by the processor's time, how many answers are as
good as what each is compared with, and in the loops over a horizon by how much they are worse on average.

- box: a network of 10-32-32-1 (random, seeded) over boxes that change, the time limit left at its default. Compared
  with the best of so many searches by fresh solver objects (``--references``), or with the optimum that
  ``relugrad.exact`` proves (``--prove``), less 1e-4.
- horizon: 24 steps, 4 states, 2 controls, a 6-32-32-4 network as dynamics, linear rows, quadratic cost, 50 ms a solve,
  in a closed loop whose plan is shifted by a step. Compared with a solve of 1 s by a fresh solver object; plans whose
  costs differ by less than 1e-4, relative, are equal.
- plants: the same with networks that were trained on plants, and with quadratic and with linear costs
  (``benchmarks/trained_plants.py``); the plants themselves, disturbed, close the loop.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable, Iterator

import numpy as np
import pyomo.environ as pyo
import trained_plants

import pyomo_relugrad as relugrad
from pyomo_relugrad.network import Network

STEPS, STATES, CONTROLS = 24, 4, 2
#: Seconds of a solve in the rolling horizon, and of the fresh one that it is compared with.
SHORT, LONG = 0.05, 1.0
#: By how much an answer may be worse and still count as good: of values around 1, and relative to the horizon's costs.
AS_GOOD = 1e-4


def surrogate(seed: int) -> Network:
    """A random network whose values keep their size from layer to layer."""
    random, widths = np.random.default_rng(seed), (10, 32, 32, 1)
    pairs = list(itertools.pairwise(widths))
    weights = [random.standard_normal((b, a)) * np.sqrt(2 / a) for a, b in pairs]
    return Network.from_layers(weights, [0.1 * random.standard_normal(b) for _, b in pairs])


def box_model(network: Network, lower: np.ndarray, upper: np.ndarray) -> pyo.ConcreteModel:
    """Maximize a network over a box whose sides are parameters."""
    m = pyo.ConcreteModel()
    m.I = pyo.RangeSet(0, lower.size - 1)
    m.lower = pyo.Param(m.I, initialize=dict(enumerate(lower)), mutable=True)
    m.upper = pyo.Param(m.I, initialize=dict(enumerate(upper)), mutable=True)
    m.x = pyo.Var(m.I, bounds=lambda m, i: (m.lower[i], m.upper[i]))
    m.nn = relugrad.ReluNetworkBlock(network=network, inputs=m.x)
    m.value = pyo.Objective(expr=m.nn.outputs[0], sense=pyo.maximize)
    return m


def timed(solve: Callable[[], object]) -> tuple[float, float]:
    """Seconds of a call, by the clock and by the processor's time."""
    begin, worked = time.perf_counter(), time.process_time()
    solve()
    return time.perf_counter() - begin, time.process_time() - worked


def best_known(m: pyo.ConcreteModel, references: int) -> float:
    """The best of fresh searches."""
    fresh, best = m.clone(), -np.inf
    for seed in range(references):
        pyo.SolverFactory("relugrad").solve(fresh, seed=seed)
        best = max(best, pyo.value(fresh.value))
    return best


def solved_boxes(solves: int, seed: int = 0) -> Iterator[tuple[pyo.ConcreteModel, float, float]]:
    """The model after each solve from the second on, and seconds of that by the clock and by the processor's time."""
    random, network, opt = np.random.default_rng(seed), surrogate(seed), pyo.SolverFactory("relugrad")
    m = box_model(network, np.full(10, -1.0), np.full(10, 1.0))
    for solve in range(solves + 1):
        lower = random.uniform(-1, 0, 10)
        m.lower.store_values(dict(enumerate(lower)))
        m.upper.store_values(dict(enumerate(lower + random.uniform(0.2, 1, 10))))
        seconds = timed(lambda: opt.solve(m))
        if solve:
            yield m, *seconds


def boxes(solves: int, references: int, seed: int = 0) -> Iterator[tuple[float, float, bool]]:
    """Seconds of each solve, and whether its answer is as good as the best known."""
    for m, *seconds in solved_boxes(solves, seed):
        yield *seconds, pyo.value(m.value) >= best_known(m, references) - AS_GOOD


def dynamics(seed: int = 0) -> Network:
    """A network that was fitted, in its last layer, to a stable system with bends."""
    random = np.random.default_rng(seed)
    system = 0.85 * np.eye(STATES) + 0.05 * random.standard_normal((STATES, STATES))
    control = 0.3 * random.standard_normal((STATES, CONTROLS))
    weights = [random.standard_normal((32, 6)) / np.sqrt(6), random.standard_normal((32, 32)) / np.sqrt(16)]
    biases = [random.uniform(-1, 1, 32), 0.3 * random.standard_normal(32)]
    points = random.uniform(-3, 3, (5000, 6)) * np.repeat([1.0, 1 / 3], [STATES, CONTROLS])
    states, controls = points[:, :STATES], points[:, STATES:]
    wanted = states @ system.T + controls @ control.T + 0.15 * np.sin(2 * states)
    hidden = np.maximum(np.maximum(points @ weights[0].T + biases[0], 0) @ weights[1].T + biases[1], 0)
    columns = np.column_stack([hidden, np.ones(len(hidden))])
    fitted = np.linalg.solve(columns.T @ columns + len(hidden) * 1e-2 * np.eye(33), columns.T @ wanted)
    return Network.from_layers([*weights, fitted[:32].T], [*biases, fitted[32]])


def horizon_model(network: Network) -> pyo.ConcreteModel:
    """Follow a target with little control."""
    m = pyo.ConcreteModel()
    m.step, m.time = pyo.RangeSet(0, STEPS - 1), pyo.RangeSet(0, STEPS)
    m.state, m.control = pyo.RangeSet(0, STATES - 1), pyo.RangeSet(0, CONTROLS - 1)
    m.now = pyo.Param(m.state, initialize=0.5, mutable=True)
    m.target = pyo.Param(m.time, initialize=0.0, mutable=True)
    m.x = pyo.Var(m.time, m.state, bounds=(-3, 3))
    m.u = pyo.Var(m.step, m.control, bounds=(-1, 1))
    m.begin = pyo.Constraint(m.state, rule=lambda m, s: m.x[0, s] == m.now[s])
    m.later = pyo.RangeSet(1, STEPS - 1)
    m.ramp = pyo.Constraint(m.later, m.control, rule=lambda m, k, c: (-0.5, m.u[k, c] - m.u[k - 1, c], 0.5))
    m.power = pyo.Constraint(m.step, rule=lambda m, k: m.u[k, 0] + m.u[k, 1] <= 1.2)
    m.plant = relugrad.ReluNetworkBlock(
        m.step,
        network=network,
        inputs=lambda m, k: [*(m.x[k, s] for s in m.state), *(m.u[k, c] for c in m.control)],
        outputs=lambda m, k: [m.x[k + 1, s] for s in m.state],
    )
    tracking = pyo.quicksum((m.x[k, 0] - m.target[k]) ** 2 + 0.1 * m.x[k, 1] ** 2 for k in m.time)
    m.cost = pyo.Objective(expr=tracking + 0.05 * pyo.quicksum(m.u[k, c] ** 2 for k in m.step for c in m.control))
    return m


def horizon(steps: int, seed: int = 0) -> Iterator[tuple[float, float, bool, float]]:
    """Seconds of each solve, whether its plan is no worse than that of a longer one by a fresh object, and the gap."""
    network, random = dynamics(seed), np.random.default_rng(seed)
    m, opt, now = horizon_model(network), pyo.SolverFactory("relugrad"), np.full(STATES, 0.5)
    for step in range(steps + 1):
        m.now.store_values(dict(enumerate(now)))
        m.target.store_values({k: np.sin((step + k) / 4) for k in m.time})
        for k in range(STEPS - 1) if step else ():
            for c in m.control:
                m.u[k, c].set_value(m.u[k + 1, c].value)
        fresh = m.clone()
        limit = SHORT if step else LONG
        seconds = timed(lambda limit=limit: opt.solve(m, time_limit=limit))
        if step:
            pyo.SolverFactory("relugrad").solve(fresh, time_limit=LONG)
            yield *seconds, *compared(m, fresh)
        inputs = [*now, *(m.u[0, c].value for c in m.control)]
        now = np.clip(network.value([inputs])[0] + 0.01 * random.standard_normal(STATES), -2.9, 2.9)


def compared(m: pyo.ConcreteModel, fresh: pyo.ConcreteModel) -> tuple[bool, float]:
    """Whether the cost of a plan is as low as another one's, and by how much it is above that, relative."""
    gap = (pyo.value(m.cost) - pyo.value(fresh.cost)) / abs(pyo.value(fresh.cost))
    return gap <= AS_GOOD, gap


def plant_loop(name: str, is_linear: bool, steps: int, seed: int = 0) -> Iterator[tuple[float, float, bool, float]]:
    """As `horizon`, with a network that was trained on a plant."""
    plant, random = trained_plants.PLANTS[name], np.random.default_rng(seed)
    m, opt = trained_plants.planning(name, is_linear, seed), pyo.SolverFactory("relugrad")
    now = np.array(plant.begin)
    for step in range(steps + 1):
        trained_plants.put(m, name, step, now)
        fresh, limit = m.clone(), SHORT if step else LONG
        seconds = timed(lambda limit=limit: opt.solve(m, time_limit=limit))
        if step:
            pyo.SolverFactory("relugrad").solve(fresh, time_limit=LONG)
            yield *seconds, *compared(m, fresh)
        now = plant.disturbed(now, np.array([m.u[0, c].value for c in m.control]), random)


def main() -> None:
    """Run both loops and print their rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--solves", type=int, default=200)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--plants", type=int, default=0, help="steps of each loop with a plant")
    parser.add_argument("--references", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print("| loop | solves | median (ms) | 95th percentile (ms) | median of the processor (ms) | as good | mean gap |")
    print("|---|---|---|---|---|---|---|")
    loops = [
        ("box", boxes(given.solves, given.references, given.seed)),
        ("horizon", horizon(given.steps, given.seed)),
    ]
    for plant, is_linear in itertools.product(trained_plants.PLANTS, (False, True)) if given.plants else ():
        name = f"{plant}, {'linear' if is_linear else 'quadratic'}"
        loops.append((name, plant_loop(plant, is_linear, given.plants, given.seed)))
    for name, loop in loops:
        measured = list(loop)
        if not measured:
            continue
        seconds, worked, as_good, *gaps = map(np.array, zip(*measured, strict=True))
        times = (1e3 * each for each in (np.median(seconds), np.quantile(seconds, 0.95), np.median(worked)))
        words = " | ".join(f"{each:.1f}" for each in times)
        gap = f"{100 * gaps[0].mean():+.2f} %" if gaps else "-"
        print(f"| {name} | {seconds.size} | {words} | {as_good.mean():.3f} | {gap} |", flush=True)


if __name__ == "__main__":
    main()
