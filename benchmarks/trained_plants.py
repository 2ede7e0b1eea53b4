"""Plants of 4 states and 2 controls, networks of 6-32-32-4 trained on them, and models that plan 24 steps with these.

- tanks: the quadruple tank of Johansson (IEEE Transactions on Control Systems Technology 8, 2000), two pumps.
- reactors: two stirred tanks in series with heating, a first-order reaction of Arrhenius.
- cart: a body in the plane under two forces, with quadratic drag, that has to go round a hill.

Each with a quadratic cost (a path of set-points, damped moves) and a linear one (prices of the controls, limits of
comfort that may be exceeded at a price, moves by their size).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pyomo.environ as pyo
from sklearn.neural_network import MLPRegressor

import pyomo_relugrad as relugrad
from pyomo_relugrad.network import Network

STEPS, STATES, CONTROLS = 24, 4, 2
#: Points of the training set, and steps of the integration within one of the plant.
POINTS, SUBSTEPS = 8000, 8


@dataclass(frozen=True)
class Plant:
    """A plant in continuous time, sampled.

    Parameters
    ----------
    rates : function
        The derivatives (B, 4) of states (B, 4) under controls (B, 2).
    seconds : float
        Between two samples, in the plant's unit of time.
    lower, upper : (6,) tuples
        Limits of the states and the controls.
    begin : (4,) tuple
        The first state.
    followed : tuple of int
        States that have set-points.
    targets : function
        The set-points of a step.
    noise : float
        Standard deviation of a disturbance of the states, in shares of their ranges.
    """

    rates: Callable[[np.ndarray, np.ndarray], np.ndarray]
    seconds: float
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    begin: tuple[float, ...]
    followed: tuple[int, ...]
    targets: Callable[[int], tuple[float, ...]]
    noise: float = 0.003

    @property
    def ranges(self) -> np.ndarray:
        """Widths of the limits."""
        return np.subtract(self.upper, self.lower)

    def after(self, states: np.ndarray, controls: np.ndarray) -> np.ndarray:
        """The states a sample later, by the classical method of Runge and Kutta."""
        h = self.seconds / SUBSTEPS
        for _ in range(SUBSTEPS):
            first = self.rates(states, controls)
            second = self.rates(states + h / 2 * first, controls)
            third = self.rates(states + h / 2 * second, controls)
            fourth = self.rates(states + h * third, controls)
            states = states + h / 6 * (first + 2 * second + 2 * third + fourth)
        return states

    def disturbed(self, state: np.ndarray, control: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """The state (4,) a sample later, with noise, a little within the limits."""
        ranges, lower, upper = self.ranges[:STATES], np.array(self.lower[:STATES]), np.array(self.upper[:STATES])
        after = self.after(state[None], control[None])[0] + self.noise * ranges * random.standard_normal(STATES)
        return np.clip(after, lower + 0.01 * ranges, upper - 0.01 * ranges)


def tanks(levels: np.ndarray, volts: np.ndarray) -> np.ndarray:
    """Levels (cm) of two lower and two upper tanks; each pump feeds a lower one and the upper one across."""
    area, hole, gain, share = (
        np.array([28.0, 32, 28, 32]),
        np.array([0.071, 0.057, 0.071, 0.057]),
        (3.33, 3.35),
        (0.7, 0.6),
    )
    out = hole * np.sqrt(2 * 981.0 * np.maximum(levels, 0.0))
    pumped = np.array(gain) * volts
    near, across = pumped * share, (pumped * np.subtract(1, share))[:, ::-1]
    return np.column_stack([near + out[:, 2:] - out[:, :2], across - out[:, 2:]]) / area


def reactors(states: np.ndarray, heats: np.ndarray) -> np.ndarray:
    """Concentration and temperature (K) of a tank and of the one that it flows into; heating in K a minute."""
    first, second = states[:, :2], states[:, 2:]
    flow = 0.25
    changes = []
    for before, now, heat in ((np.array([[1.0, 300.0]]), first, heats[:, 0]), (first, second, heats[:, 1])):
        reaction = 0.2 * np.exp(-7000.0 * (1.0 / now[:, 1] - 1.0 / 350.0)) * now[:, 0]
        changes += [flow * (before[:, 0] - now[:, 0]) - reaction]
        changes += [flow * (before[:, 1] - now[:, 1]) + heat + 30.0 * reaction - 0.02 * (now[:, 1] - 295.0)]
    return np.column_stack(changes)


def cart(states: np.ndarray, forces: np.ndarray) -> np.ndarray:
    """Two places, and two velocities, with drag by the square of the speed and a round hill in the middle."""
    places, velocities = states[:, :2], states[:, 2:]
    speed = np.linalg.norm(velocities, axis=1, keepdims=True)
    hill = 1.5 * np.exp(-4.0 * np.square(places).sum(axis=1, keepdims=True)) * places
    return np.column_stack([velocities, 1.2 * forces - 0.3 * velocities - 0.5 * speed * velocities + 4.0 * hill])


PLANTS = {
    "tanks": Plant(
        tanks, 12.0, (0.5, 0.5, 0.2, 0.2, 0, 0), (20.0, 20, 10, 10, 8, 8), (12.0, 12.5, 2, 1.5), (0, 1),
        lambda k: (11.0 + 3.0 * (k // 9 % 2), 13.0 - 3.0 * (k // 14 % 2)),
    ),
    "reactors": Plant(
        reactors, 1.0, (0.0, 290, 0, 290, 0, 0), (1.0, 380, 1, 380, 20, 20), (0.6, 330.0, 0.4, 340), (1, 3),
        lambda k: (335.0 + 10.0 * (k // 10 % 2), 350.0 - 8.0 * (k // 7 % 2)),
    ),
    "cart": Plant(
        cart, 0.25, (-2.0, -2, -1.5, -1.5, -1, -1), (2.0, 2, 1.5, 1.5, 1, 1), (-1.2, 0.0, 0, 0), (0, 1),
        lambda k: (1.2 * np.sin(k / 12 - 1.6), 0.8 * np.sin(k / 6)),
    ),
}  # fmt: skip


@cache
def trained(name: str, seed: int = 0) -> Network:
    """A network for the plant, in its units; trained on states, controls and next states scaled to -1..1."""
    plant, random = PLANTS[name], np.random.default_rng(seed)
    points = random.uniform(-1, 1, (POINTS, STATES + CONTROLS))
    middle, half = np.add(plant.upper, plant.lower) / 2, plant.ranges / 2
    real = middle + half * points
    after = (plant.after(real[:, :STATES], real[:, STATES:]) - middle[:STATES]) / half[:STATES]
    fit = MLPRegressor(
        hidden_layer_sizes=(32, 32), max_iter=60, learning_rate_init=3e-3, batch_size=128, alpha=1e-6, random_state=seed
    )
    fit.fit(points, after)
    weights, biases = [w.T for w in fit.coefs_], list(fit.intercepts_)
    biases[0], weights[0] = biases[0] - weights[0] @ (middle / half), weights[0] / half
    weights[-1] = half[:STATES, None] * weights[-1]
    biases[-1] = half[:STATES] * biases[-1] + middle[:STATES]
    return Network.from_layers(weights, biases)


def planning(name: str, is_linear: bool, seed: int = 0) -> pyo.ConcreteModel:
    """Plan 24 steps: costs in shares of the ranges, set-points or prices as parameters."""
    plant, network = PLANTS[name], trained(name, seed)
    ranges = plant.ranges
    m = pyo.ConcreteModel()
    m.step, m.time = pyo.RangeSet(0, STEPS - 1), pyo.RangeSet(0, STEPS)
    m.state, m.control, m.followed = (
        pyo.RangeSet(0, STATES - 1),
        pyo.RangeSet(0, CONTROLS - 1),
        pyo.Set(initialize=plant.followed),
    )
    m.now = pyo.Param(m.state, initialize=dict(enumerate(plant.begin)), mutable=True)
    m.last = pyo.Param(m.control, initialize=lambda m, c: (plant.lower[4 + c] + plant.upper[4 + c]) / 2, mutable=True)
    m.target = pyo.Param(m.time, m.followed, initialize=0.0, mutable=True)
    m.price = pyo.Param(m.step, initialize=1.0, mutable=True)
    m.x = pyo.Var(m.time, m.state, bounds=lambda m, k, s: (plant.lower[s], plant.upper[s]))
    m.u = pyo.Var(m.step, m.control, bounds=lambda m, k, c: (plant.lower[4 + c], plant.upper[4 + c]))
    m.begin = pyo.Constraint(m.state, rule=lambda m, s: m.x[0, s] == m.now[s])
    m.plant = relugrad.ReluNetworkBlock(
        m.step,
        network=network,
        inputs=lambda m, k: [*(m.x[k, s] for s in m.state), *(m.u[k, c] for c in m.control)],
        outputs=lambda m, k: [m.x[k + 1, s] for s in m.state],
    )
    m.move = pyo.Expression(m.step, m.control, rule=lambda m, k, c: m.u[k, c] - (m.u[k - 1, c] if k else m.last[c]))
    if is_linear:
        _linear(m, plant, ranges)
    else:
        off = pyo.quicksum(((m.x[k, s] - m.target[k, s]) / (0.1 * ranges[s])) ** 2 for k in m.time for s in m.followed)
        moves = pyo.quicksum((m.move[k, c] / (0.1 * ranges[4 + c])) ** 2 for k in m.step for c in m.control)
        effort = pyo.quicksum(
            ((m.u[k, c] - plant.lower[4 + c]) / ranges[4 + c]) ** 2 for k in m.step for c in m.control
        )
        m.cost = pyo.Objective(expr=off + 0.1 * moves + 0.01 * effort)
    return m


def _linear(m: pyo.ConcreteModel, plant: Plant, ranges: np.ndarray) -> None:
    """Prices of the controls, of being away from the set-points by more than 2 % of the range, and of moves."""
    m.over, m.under = (pyo.Var(m.time, m.followed, bounds=(0, None)) for _ in range(2))
    m.up, m.down = (pyo.Var(m.step, m.control, bounds=(0, None)) for _ in range(2))
    m.band = pyo.Constraint(
        m.time,
        m.followed,
        rule=lambda m, k, s: (-0.02, (m.x[k, s] - m.target[k, s]) / ranges[s] - m.over[k, s] + m.under[k, s], 0.02),
    )
    m.moved = pyo.Constraint(
        m.step, m.control, rule=lambda m, k, c: m.move[k, c] / ranges[4 + c] == m.up[k, c] - m.down[k, c]
    )
    m.used = pyo.Var(m.step, m.control, bounds=(0, None))
    m.least = pyo.Constraint(m.step, m.control, rule=lambda m, k, c: m.used[k, c] >= m.u[k, c] / ranges[4 + c])
    m.signed = pyo.Constraint(m.step, m.control, rule=lambda m, k, c: m.used[k, c] >= -m.u[k, c] / ranges[4 + c])
    used = pyo.quicksum(m.price[k] * m.used[k, c] for k in m.step for c in m.control)
    beyond = pyo.quicksum(m.over[k, s] + m.under[k, s] for k in m.time for s in m.followed)
    moves = pyo.quicksum(m.up[k, c] + m.down[k, c] for k in m.step for c in m.control)
    m.cost = pyo.Objective(expr=used + 20 * beyond + 0.1 * moves)


def put(m: pyo.ConcreteModel, name: str, step: int, now: np.ndarray) -> None:
    """Write the numbers of a step: state, last controls (of the plan), set-points, prices."""
    plant = PLANTS[name]
    m.now.store_values(dict(enumerate(now)))
    m.target.store_values(
        {(k, s): t for k in m.time for s, t in zip(plant.followed, plant.targets(step + k), strict=True)}
    )
    m.price.store_values({k: 1.0 + 0.6 * np.sin((step + k) / 3.0) for k in m.step})
    if step:
        m.last.store_values({c: m.u[0, c].value for c in m.control})
        for c in m.control:
            for k in range(STEPS - 1):
                m.u[k, c].set_value(m.u[k + 1, c].value)
