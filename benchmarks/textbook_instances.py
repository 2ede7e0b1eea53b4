"""Nonlinear models of textbooks with small networks inside: networks of pipes, exchangers, reservoirs, power, cutting.

Each function returns a model with the objective ``m.cost``; the seed is that of its networks, which are random.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pyomo.environ as pyo
from pyomo import dae

from pyomo_relugrad import Network, ReluNetworkBlock


def network(seed: int, *sizes: int, scale: float = 0.6) -> Network:
    """A random network of ReLUs."""
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=(b, a)) * np.sqrt(2 / a) * scale for a, b in itertools.pairwise(sizes)]
    return Network.from_layers(weights, [0.3 * rng.normal(size=size) for size in sizes[1:]])


def water(seed: int) -> pyo.ConcreteModel:
    """Diameters of a looped water network: friction by Hazen and Williams, a network for the pump's upkeep."""
    m = pyo.ConcreteModel()
    arcs, demand = [(0, 1), (1, 2), (1, 3), (2, 4), (3, 4)], [0.0, 0.5, 0.8, 0.7, 1.0]
    m.head = pyo.Var(range(5), bounds=(0, 100))
    m.flow = pyo.Var(arcs, bounds=(0.01, 5))
    m.diameter = pyo.Var(arcs, bounds=(0.3, 1.5))
    m.pump = pyo.Var(bounds=(0, 60))

    @m.Constraint(range(1, 5))
    def balance(m: pyo.ConcreteModel, node: int) -> object:
        into = sum(m.flow[arc] for arc in arcs if arc[1] == node)
        return into - sum(m.flow[arc] for arc in arcs if arc[0] == node) == demand[node]

    @m.Constraint(arcs)
    def friction(m: pyo.ConcreteModel, i: int, j: int) -> object:
        return m.head[i] - m.head[j] == 4 * m.flow[i, j] ** 1.852 / m.diameter[i, j] ** 4.87

    m.source = pyo.Constraint(expr=m.head[0] == 20 + m.pump)
    m.pressure = pyo.Constraint(range(1, 5), rule=lambda m, node: m.head[node] >= 25)
    m.upkeep = ReluNetworkBlock(network=network(seed, 2, 10, 1), inputs=[m.pump / 30, m.flow[0, 1] / 3])
    pipes = sum(10 * m.diameter[arc] ** 1.5 for arc in arcs)
    m.cost = pyo.Objective(expr=pipes + 0.5 * m.pump * m.flow[0, 1] + m.upkeep.outputs[0])
    return m


def gas(seed: int) -> pyo.ConcreteModel:
    """A compressor beside a pipe of a gas network: pressures by Weymouth, a network for the compressor."""
    m = pyo.ConcreteModel()
    pipes = {(0, 1): 1.1, (2, 3): 0.9, (1, 3): 0.5}
    m.pressure = pyo.Var(range(4), bounds=(20, 70))
    m.flow = pyo.Var(pipes, bounds=(-50, 50))
    m.compressed, m.bought = pyo.Var(bounds=(0, 50)), pyo.Var(bounds=(0, 60))

    @m.Constraint(pipes)
    def weymouth(m: pyo.ConcreteModel, i: int, j: int) -> object:
        return m.flow[i, j] * abs(m.flow[i, j]) == pipes[i, j] ** 2 * (m.pressure[i] ** 2 - m.pressure[j] ** 2)

    m.nodes = pyo.ConstraintList()
    m.nodes.add(m.bought == m.flow[0, 1])
    m.nodes.add(m.flow[0, 1] == m.compressed + m.flow[1, 3] + 5)
    m.nodes.add(m.compressed == m.flow[2, 3])
    m.nodes.add(m.flow[2, 3] + m.flow[1, 3] == 25)
    m.nodes.add(m.pressure[2] <= 1.5 * m.pressure[1])
    m.nodes.add(m.pressure[2] >= m.pressure[1])
    m.nodes.add(m.pressure[3] >= 45)
    inputs = [m.compressed / 50, m.pressure[1] / 50, m.pressure[2] / 50]
    m.losses = ReluNetworkBlock(network=network(seed, 3, 12, 1), inputs=inputs)
    work = 10 * m.compressed * ((m.pressure[2] / m.pressure[1]) ** 0.25 - 1)
    m.cost = pyo.Objective(expr=work + m.losses.outputs[0] + 0.02 * m.pressure[0])
    return m


def exchangers(seed: int) -> pyo.ConcreteModel:
    """Two heat exchangers in series: Chen's mean temperature difference, a network for the transfer coefficient."""
    m = pyo.ConcreteModel()
    m.hot, m.cold = pyo.Var(range(3), bounds=(300, 500)), pyo.Var(range(3), bounds=(290, 480))
    m.heat, m.area = pyo.Var(range(2), bounds=(0, 2000)), pyo.Var(range(2), bounds=(0.1, 500))
    m.difference = pyo.Var(range(2), range(2), bounds=(5, 300))
    m.coefficient, m.coolant = pyo.Var(range(2), bounds=(0.1, 2)), pyo.Var(bounds=(5, 20))
    m.hot[0].fix(480)
    m.cold[0].fix(300)
    m.fouling = ReluNetworkBlock(
        range(2), network=network(seed, 2, 10, 1), inputs=lambda m, k: [m.coolant / 20, (m.hot[k] - 400) / 100]
    )
    m.rows = pyo.ConstraintList()
    for k in range(2):
        m.rows.add(m.heat[k] == 10 * (m.hot[k] - m.hot[k + 1]))
        m.rows.add(m.heat[k] == m.coolant * (m.cold[2 - k] - m.cold[1 - k]))
        m.rows.add(m.difference[k, 0] == m.hot[k] - m.cold[2 - k])
        m.rows.add(m.difference[k, 1] == m.hot[k + 1] - m.cold[1 - k])
        m.rows.add(m.coefficient[k] == 0.8 + 0.1 * m.fouling[k].outputs[0])
        left, right = m.difference[k, 0], m.difference[k, 1]
        m.rows.add(m.heat[k] == m.area[k] * m.coefficient[k] * (left * right * (left + right) / 2) ** (1 / 3))
    m.rows.add(m.hot[2] >= 320)
    areas = sum(100 * m.area[k] ** 0.83 for k in range(2))
    m.cost = pyo.Objective(expr=areas + 15 * (m.hot[2] - 320) + 20 * m.coolant - 2 * (m.cold[2] - 400))
    return m


def hydro(seed: int, hours: int = 6) -> pyo.ConcreteModel:
    """Sales of a reservoir: power is flow times head times what a network says of the turbine."""
    price = 2 + np.sin(np.arange(hours + 1)) + np.random.default_rng(seed).uniform(0, 0.5, hours + 1)
    m = pyo.ConcreteModel()
    m.hour = pyo.RangeSet(1, hours)
    m.volume = pyo.Var(pyo.RangeSet(0, hours), bounds=(5, 50))
    m.flow, m.spill = pyo.Var(m.hour, bounds=(0, 10)), pyo.Var(m.hour, bounds=(0, 10))
    m.head = pyo.Var(m.hour, bounds=(0, 10))
    m.volume[0].fix(25)
    m.water = pyo.Constraint(m.hour, rule=lambda m, t: m.volume[t] == m.volume[t - 1] + 4 - m.flow[t] - m.spill[t])
    m.level = pyo.Constraint(m.hour, rule=lambda m, t: m.head[t] == m.volume[t] ** 0.5)
    m.end = pyo.Constraint(expr=m.volume[hours] >= 25)
    m.turbine = ReluNetworkBlock(
        m.hour, network=network(seed, 2, 10, 1), inputs=lambda m, t: [m.flow[t] / 5 - 1, m.head[t] / 5 - 1]
    )
    power = {t: m.flow[t] * m.head[t] * (0.8 + 0.05 * m.turbine[t].outputs[0]) for t in m.hour}
    m.cost = pyo.Objective(expr=-sum(float(price[t]) * power[t] for t in m.hour))
    return m


def batch(seed: int) -> pyo.ConcreteModel:
    """The temperature of a batch reactor over time, by collocation; a network corrects the rate."""
    m = pyo.ConcreteModel()
    m.t = dae.ContinuousSet(bounds=(0, 1))
    m.a, m.b = pyo.Var(m.t, bounds=(0, 1.2)), pyo.Var(m.t, bounds=(0, 1.2))
    m.temperature = pyo.Var(m.t, bounds=(300, 400))
    m.da, m.db = dae.DerivativeVar(m.a), dae.DerivativeVar(m.b)
    m.correction = ReluNetworkBlock(
        m.t, network=network(seed, 2, 8, 1, scale=0.4), inputs=lambda m, t: [m.a[t], (m.temperature[t] - 350) / 50]
    )

    @m.Constraint(m.t)
    def first(m: pyo.ConcreteModel, t: float) -> object:
        rate = 4 * m.a[t] * pyo.exp(-3 * (350 / m.temperature[t] - 1))
        return m.da[t] == -rate * (1 + 0.3 * m.correction[t].outputs[0])

    @m.Constraint(m.t)
    def second(m: pyo.ConcreteModel, t: float) -> object:
        return m.db[t] == -m.da[t] - 2 * m.b[t] ** 2 * pyo.exp(-8 * (350 / m.temperature[t] - 1))

    m.a[0].fix(1)
    m.b[0].fix(0)
    pyo.TransformationFactory("dae.collocation").apply_to(m, nfe=5, ncp=2)
    m.cost = pyo.Objective(expr=-m.b[1])
    return m


def power(seed: int) -> pyo.ConcreteModel:
    """Power flow between three buses; a network says whether it is secure."""
    m = pyo.ConcreteModel()
    buses, load, reactive = range(3), [0.3, 0.4, 1.2], [0.1, 0.1, 0.4]
    m.v, m.angle = pyo.Var(buses, bounds=(0.9, 1.1)), pyo.Var(buses, bounds=(-0.6, 0.6))
    m.p, m.q = pyo.Var(range(2), bounds=(0, 3)), pyo.Var(range(2), bounds=(-2, 2))
    m.angle[0].fix(0)

    def flow(m: pyo.ConcreteModel, i: int, shift: float) -> object:
        def line(j: int) -> object:
            conductance, susceptance = (2.0, -10.0) if i == j else (-1.0, 5.0)
            angle = m.angle[i] - m.angle[j] - shift
            return conductance * pyo.cos(angle) + susceptance * pyo.sin(angle)

        return m.v[i] * sum(m.v[j] * line(j) for j in buses)

    m.active_power = pyo.Constraint(buses, rule=lambda m, i: (m.p[i] if i < 2 else 0) - load[i] == flow(m, i, 0.0))
    m.reactive_power = pyo.Constraint(
        buses, rule=lambda m, i: (m.q[i] if i < 2 else 0) - reactive[i] == flow(m, i, np.pi / 2)
    )
    judge = network(seed, 4, 16, 1, scale=0.8)
    m.judge = ReluNetworkBlock(network=judge, inputs=[m.p[0], m.p[1], m.v[0], m.v[1]])
    m.secure = pyo.Constraint(expr=m.judge.outputs[0] >= float(judge.value(np.ones((1, 4)))[0, 0]) - 0.2)
    m.cost = pyo.Objective(expr=m.p[0] ** 2 + 2 * m.p[1] ** 2 + 3 * m.p[0] + 2 * m.p[1])
    return m


def trim(seed: int) -> pyo.ConcreteModel:
    """Trim loss: how often each cutting pattern is used, and what is in it; a network for the wear of the knives."""
    m = pyo.ConcreteModel()
    width, demand, patterns = [290, 315, 350, 455], [8, 6, 5, 4], range(3)
    m.cut = pyo.Var(range(4), patterns, domain=pyo.NonNegativeIntegers, bounds=(0, 5))
    m.used = pyo.Var(patterns, domain=pyo.NonNegativeIntegers, bounds=(0, 15))
    m.chosen = pyo.Var(patterns, domain=pyo.Binary)
    m.sheet = pyo.Constraint(patterns, rule=lambda m, j: sum(width[i] * m.cut[i, j] for i in range(4)) <= 1850)
    m.knives = pyo.Constraint(patterns, rule=lambda m, j: sum(m.cut[i, j] for i in range(4)) <= 5)
    m.orders = pyo.Constraint(range(4), rule=lambda m, i: sum(m.used[j] * m.cut[i, j] for j in patterns) >= demand[i])
    m.setup = pyo.Constraint(patterns, rule=lambda m, j: m.used[j] <= 15 * m.chosen[j])
    m.wear = ReluNetworkBlock(network=network(seed, 3, 10, 1), inputs=[m.used[j] / 10 for j in patterns])
    sheets = sum(m.used[j] + 0.1 * (j + 1) * m.chosen[j] for j in patterns)
    m.cost = pyo.Objective(expr=sheets + m.wear.outputs[0])
    return m


#: The models by name.
INSTANCES: dict[str, Callable[[int], pyo.ConcreteModel]] = {
    each.__name__: each for each in (water, gas, exchangers, hydro, batch, power, trim)
}
