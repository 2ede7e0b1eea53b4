"""Small members of families of models with networks that are published, with networks drawn at random.

Each function gives a Pyomo model; what the families are is told on the page of benchmarks.
"""

import itertools
from collections.abc import Callable

import numpy as np
import pyomo.environ as pyo
from random_models import random_network

import pyomo_relugrad as relugrad

Model = pyo.ConcreteModel
Block = relugrad.ReluNetworkBlock


def new_model(seed: int, *sizes: int) -> tuple[Model, np.random.Generator, relugrad.Network]:
    random = np.random.default_rng(seed)
    return pyo.ConcreteModel(), random, random_network(random, sizes)


def split(b: pyo.Block, difference: object, largest: float) -> None:
    """A difference as two parts of which a binary lets one be positive."""
    b.plus, b.minus = pyo.Var(bounds=(0, largest)), pyo.Var(bounds=(0, largest))
    b.sign = pyo.Var(domain=pyo.Binary)
    b.parts = pyo.Constraint(expr=difference == b.plus - b.minus)
    b.plus_only = pyo.Constraint(expr=b.plus <= largest * b.sign)
    b.minus_only = pyo.Constraint(expr=b.minus <= largest * (1 - b.sign))


def design() -> Model:
    """Two chained networks; the features differ from a rival's."""
    m, random, price = new_model(1, 2, 4, 1)
    rival = random.uniform(0, 1, 2)
    m.x = pyo.Var(range(2), bounds=(0, 1))
    m.pricing = Block(network=price, inputs=m.x)
    m.selling = Block(network=random_network(random, (3, 4, 1)), inputs=[*m.x.values(), m.pricing.outputs[0]])
    m.apart = pyo.Block(range(2), rule=lambda b, i: split(b, m.x[i] - rival[i], 1.0))
    m.different = pyo.Constraint(expr=sum(m.apart[i].plus + m.apart[i].minus for i in range(2)) >= 0.8)
    m.obj = pyo.Objective(expr=m.selling.outputs[0], sense=pyo.maximize)
    return m


def planting() -> Model:
    """One of two species on each plot; a binary is an input of every network."""
    m, random, survival = new_model(2, 2, 4, 1)
    light, plots = random.uniform(0, 1, 3).tolist(), range(3)
    m.sterile = pyo.Var(plots, domain=pyo.Binary)
    m.planted = pyo.Var(plots, range(2), domain=pyo.Binary)
    m.counted = pyo.Var(plots, range(2), bounds=(0, 3))
    networks = [survival, random_network(random, (2, 4, 1))]
    m.tree = Block(
        plots, range(2), network=lambda m, p, s: networks[s], inputs=lambda m, p, s: [light[p], m.sterile[p]]
    )
    m.least = pyo.Constraint(plots, range(2), rule=lambda m, p, s: m.counted[p, s] <= 2 + m.tree[p, s].outputs[0])
    m.only = pyo.Constraint(plots, range(2), rule=lambda m, p, s: m.counted[p, s] <= 3 * m.planted[p, s])
    m.one = pyo.Constraint(plots, rule=lambda m, p: m.planted[p, 0] + m.planted[p, 1] == 1)
    m.few = pyo.Constraint(expr=pyo.quicksum(m.sterile.values()) <= 1)
    m.obj = pyo.Objective(expr=pyo.quicksum(m.counted.values()), sense=pyo.maximize)
    return m


def city() -> Model:
    """A place on a line; networks read the distances of two homes to it."""
    m, random, price = new_model(3, 1, 5, 1)
    m.place = pyo.Var(bounds=(0, 4))
    m.way = pyo.Block(range(2), rule=lambda b, a: split(b, m.place - float(random.uniform(0, 4)), 4.0))
    m.distance = pyo.Var(range(2), bounds=(0, 4))
    m.sum = pyo.Constraint(range(2), rule=lambda m, a: m.distance[a] == m.way[a].plus + m.way[a].minus)
    m.flat = Block(range(2), network=price, inputs=lambda m, a: [m.distance[a]])
    m.obj = pyo.Objective(expr=sum(m.flat[a].outputs[0] for a in range(2)), sense=pyo.maximize)
    return m


def scholarships() -> Model:
    """One network for many people under a budget."""
    m, random, chance = new_model(4, 2, 5, 1)
    known = random.uniform(0, 1, 4).tolist()
    m.x = pyo.Var(range(4), bounds=(0, 1))
    m.budget = pyo.Constraint(expr=pyo.quicksum(m.x.values()) <= 1.2)
    m.enrolls = Block(range(4), network=chance, inputs=lambda m, i: [m.x[i], known[i]])
    m.obj = pyo.Objective(expr=sum(m.enrolls[i].outputs[0] for i in range(4)), sense=pyo.maximize)
    return m


def dispatching() -> Model:
    """Four jobs on two cores, so that the slower core is as fast as possible."""
    m, random, response = new_model(5, 2, 4, 1)
    cost = random.uniform(0, 1, 4).tolist()
    m.on = pyo.Var(range(4), range(2), domain=pyo.Binary)
    m.own = pyo.Var(range(2), bounds=(0, 2))
    m.slowest = pyo.Var(bounds=(-9, 9))
    m.once = pyo.Constraint(range(4), rule=lambda m, j: m.on[j, 0] + m.on[j, 1] == 1)
    m.full = pyo.Constraint(range(2), rule=lambda m, k: sum(m.on[j, k] for j in range(4)) == 2)
    m.mean = pyo.Constraint(range(2), rule=lambda m, k: m.own[k] == sum(cost[j] * m.on[j, k] for j in range(4)))
    m.core = Block(range(2), network=response, inputs=lambda m, k: [m.own[k], m.own[1 - k]])
    m.slower = pyo.Constraint(range(2), rule=lambda m, k: m.slowest <= m.core[k].outputs[0])
    m.obj = pyo.Objective(expr=m.slowest, sense=pyo.maximize)
    return m


def commitment() -> Model:
    """Plants that stay on and off for two hours; one network reads all."""
    m, _, dispatch = new_model(6, 8, 6, 1)
    plants, hours = range(2), range(4)
    m.on, m.start, m.stop = (pyo.Var(plants, hours, domain=pyo.Binary) for _ in range(3))
    m.switch = pyo.Constraint(
        plants,
        hours,
        rule=lambda m, g, t: m.start[g, t] - m.stop[g, t] == m.on[g, t] - (m.on[g, t - 1] if t else g),
    )
    m.stay_on = pyo.Constraint(
        plants, hours, rule=lambda m, g, t: sum(m.start[g, k] for k in range(max(0, t - 1), t + 1)) <= m.on[g, t]
    )
    m.stay_off = pyo.Constraint(
        plants, hours, rule=lambda m, g, t: sum(m.stop[g, k] for k in range(max(0, t - 1), t + 1)) <= 1 - m.on[g, t]
    )
    m.dispatch = Block(network=dispatch, inputs=m.on)
    m.obj = pyo.Objective(expr=m.dispatch.outputs[0] + 0.2 * pyo.quicksum(m.start.values()))
    return m


def purifying() -> Model:
    """As many samples as possible whose score is positive, by amounts that are scarce."""
    m, random, score = new_model(7, 2, 5, 1)
    start = random.uniform(0, 1, (3, 2))
    m.added = pyo.Var(range(3), range(2), bounds=(0, 1))
    m.good = pyo.Var(range(3), domain=pyo.Binary)
    m.stock = pyo.Constraint(range(2), rule=lambda m, j: sum(m.added[i, j] for i in range(3)) <= 1.0)
    m.x = pyo.Var(range(3), range(2), bounds=(0, 2))
    m.change = pyo.Constraint(range(3), range(2), rule=lambda m, i, j: m.x[i, j] == start[i, j] + m.added[i, j])
    m.score = Block(range(3), network=score, inputs=lambda m, i: [m.x[i, 0], m.x[i, 1]])
    m.counts = pyo.Constraint(range(3), rule=lambda m, i: m.score[i].outputs[0] >= 0.1 - 9 * (1 - m.good[i]))
    m.obj = pyo.Objective(expr=pyo.quicksum(m.good.values()), sense=pyo.maximize)
    return m


def control(on_off: bool) -> Model:
    """Three hours of heating; each network reads what the one before gives."""
    m, _, room = new_model(8, 2, 5, 1)
    hours = range(3)
    m.inside, m.heat = pyo.Var(range(4), bounds=(-5, 5)), pyo.Var(hours, bounds=(0, 2))
    m.discomfort = pyo.Var(hours, bounds=(0, 9))
    m.inside[0].fix(0.5)
    m.room = Block(
        hours, network=room, inputs=lambda m, t: [m.inside[t], m.heat[t]], outputs=lambda m, t: [m.inside[t + 1]]
    )
    m.warm = pyo.Constraint(hours, rule=lambda m, t: m.inside[t + 1] + m.discomfort[t] >= 1)
    m.cool = pyo.Constraint(hours, rule=lambda m, t: m.inside[t + 1] - m.discomfort[t] <= 2)
    if on_off:
        m.on = pyo.Var(hours, domain=pyo.Binary)
        m.most = pyo.Constraint(hours, rule=lambda m, t: m.heat[t] <= 2 * m.on[t])
        m.least = pyo.Constraint(hours, rule=lambda m, t: m.heat[t] >= m.on[t])
    m.obj = pyo.Objective(expr=pyo.quicksum(m.heat.values()) + 10 * pyo.quicksum(m.discomfort.values()))
    return m


def counterfactual() -> Model:
    """The fewest binaries to change so that another class has the larger score."""
    m, _, scores = new_model(9, 8, 6, 2)
    points = np.array(list(itertools.product((0, 1), repeat=8)), float)
    margins = np.diff(scores.value(points), axis=1)[:, 0]
    record = points[margins.argmin()]
    m.x = pyo.Var(range(8), domain=pyo.Binary)
    m.scores = Block(network=scores, inputs=m.x)
    m.other = pyo.Constraint(expr=m.scores.outputs[1] >= m.scores.outputs[0] + float(margins.max() / 2))
    m.obj = pyo.Objective(expr=sum(1 - m.x[i] if record[i] else m.x[i] for i in range(8)))
    return m


def blending() -> Model:
    """Two blends of three grapes, the best mean quality within a budget."""
    m, random, quality = new_model(10, 2, 5, 1)
    grapes, cost = random.uniform(0, 1, (3, 2)), random.uniform(1, 2, 3)
    m.share, m.x = pyo.Var(range(2), range(3), bounds=(0, 0.8)), pyo.Var(range(2), range(2), bounds=(0, 1))
    m.blend = pyo.Constraint(
        range(2), range(2), rule=lambda m, i, j: m.x[i, j] == sum(grapes[k, j] * m.share[i, k] for k in range(3))
    )
    m.whole = pyo.Constraint(range(2), rule=lambda m, i: sum(m.share[i, k] for k in range(3)) == 1)
    m.stock = pyo.Constraint(range(3), rule=lambda m, k: m.share[0, k] + m.share[1, k] <= 0.9)
    m.budget = pyo.Constraint(expr=sum(cost[k] * m.share[i, k] for i in range(2) for k in range(3)) <= 3.2)
    m.tasting = Block(range(2), network=quality, inputs=lambda m, i: [m.x[i, 0], m.x[i, 1]])
    m.obj = pyo.Objective(expr=m.tasting[0].outputs[0] + m.tasting[1].outputs[0], sense=pyo.maximize)
    return m


def scenarios(chance: bool) -> Model:
    """One decision for four scenarios: the mean of the two worst, or the value that three of them reach."""
    m, random, value = new_model(11, 3, 5, 1)
    drawn, of = random.normal(size=4).tolist(), range(4)
    m.x = pyo.Var(range(2), bounds=(-1, 1))
    m.value = Block(of, network=value, inputs=lambda m, s: [*m.x.values(), drawn[s]])
    m.level = pyo.Var(bounds=(-9, 9))
    if chance:
        m.counted = pyo.Var(of, domain=pyo.Binary)
        m.reached = pyo.Constraint(of, rule=lambda m, s: m.value[s].outputs[0] >= m.level - 18 * (1 - m.counted[s]))
        m.enough = pyo.Constraint(expr=pyo.quicksum(m.counted.values()) >= 3)
        m.obj = pyo.Objective(expr=m.level, sense=pyo.maximize)
        return m
    m.below = pyo.Var(of, bounds=(0, 18))
    m.short = pyo.Constraint(of, rule=lambda m, s: m.below[s] >= m.level - m.value[s].outputs[0])
    m.obj = pyo.Objective(expr=m.level - pyo.quicksum(m.below.values()) / 2, sense=pyo.maximize)
    return m


def expansion() -> Model:
    """Capacities, of which a network reads two components."""
    m, random, cost = new_model(12, 2, 5, 1)
    directions = random.normal(size=(2, 3))
    m.capacity = pyo.Var(range(3), bounds=(0, 2))
    m.score = pyo.Var(range(2))
    m.project = pyo.Constraint(
        range(2), rule=lambda m, q: m.score[q] == sum(directions[q, j] * m.capacity[j] for j in range(3))
    )
    m.total = pyo.Constraint(expr=pyo.quicksum(m.capacity.values()) >= 2)
    m.operation = Block(network=cost, inputs=m.score, input_bounds=[(-3, 3)] * 2)
    m.obj = pyo.Objective(expr=pyo.quicksum(m.capacity.values()) + 2 * m.operation.outputs[0])
    return m


def diet() -> Model:
    """The cheapest basket that one of two classifiers likes."""
    m, random, _ = new_model(13, 1, 1)
    judges, nutrients = [random_network(random, (3, 4, 2)) for _ in range(2)], random.uniform(0, 1, 3)
    m.x = pyo.Var(range(3), bounds=(0, 2))
    m.needs = pyo.Constraint(expr=sum(nutrients[i] * m.x[i] for i in range(3)) >= 0.5)
    m.score = Block(range(2), network=lambda m, p: judges[p], inputs=lambda m, p: m.x)
    m.likes = pyo.Var(range(2), domain=pyo.Binary)
    m.beats = pyo.Constraint(
        range(2), rule=lambda m, p: m.score[p].outputs[0] - m.score[p].outputs[1] <= 20 * (1 - m.likes[p])
    )
    m.enough = pyo.Constraint(expr=m.likes[0] + m.likes[1] >= 1)
    m.obj = pyo.Objective(expr=sum((i + 1) * m.x[i] for i in range(3)))
    return m


def batches() -> Model:
    """Two batches one after the other; a network tells the hours that each takes."""
    m, _, hours = new_model(14, 1, 4, 1)
    m.runs = pyo.Var(range(2), domain=pyo.Binary)
    m.batch, m.taken = pyo.Var(range(2), bounds=(0, 3)), pyo.Var(range(2), bounds=(0, 9))
    m.least = pyo.Constraint(range(2), rule=lambda m, n: m.batch[n] >= m.runs[n])
    m.most = pyo.Constraint(range(2), rule=lambda m, n: m.batch[n] <= 3 * m.runs[n])
    m.reactor = Block(range(2), network=hours, inputs=lambda m, n: [m.batch[n]])
    m.time = pyo.Constraint(range(2), rule=lambda m, n: m.taken[n] >= m.reactor[n].outputs[0] + 2 - 9 * (1 - m.runs[n]))
    m.day = pyo.Constraint(expr=m.taken[0] + m.taken[1] <= 5)
    m.obj = pyo.Objective(expr=m.batch[0] + m.batch[1] - 0.3 * (m.taken[0] + m.taken[1]), sense=pyo.maximize)
    return m


#: Name -> the model.
FAMILIES: dict[str, Callable[[], Model]] = {
    "design": design,
    "planting": planting,
    "city": city,
    "scholarships": scholarships,
    "dispatching": dispatching,
    "commitment": commitment,
    "purifying": purifying,
    "control": lambda: control(on_off=False),
    "on_off": lambda: control(on_off=True),
    "counterfactual": counterfactual,
    "blending": blending,
    "tail": lambda: scenarios(chance=False),
    "chance": lambda: scenarios(chance=True),
    "expansion": expansion,
    "diet": diet,
    "batches": batches,
}
