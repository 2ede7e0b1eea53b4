"""Mix six streams in two tanks, and two petrols from the tanks: the pooling problem with a network for the quality.
====================================================================================================================

A refinery has fewer tanks than streams. What is pumped into a tank has one composition, and both petrols are mixed from
the same two tanks. So a petrol's recipe is a sum of products: how much of it comes from a tank, times what is in that
tank. Pooling problems of this kind are hard because of these products. Here octane number, vapour pressure and
aromatics follow from the recipe by a network on top.

Run it with ``python examples/pooling.py``. The network is that of ``blending.py``, from ``train_blending.py``.
"""  # noqa: D205

from importlib.util import find_spec

import matplotlib.pyplot as plt
import numpy as np
import pyomo.environ as pyo
from train_blending import PROPERTIES, STREAMS, true_properties

import pyomo_relugrad as relugrad

# %%
# The model
# ---------
# Prices are in euros a tonne, amounts in tonnes. A recipe is written as what it is, an equation with the recipe alone
# on one side: it is computed from the tanks, and not searched for.

cost = dict(zip(STREAMS, [720, 640, 780, 690, 560, 850], strict=True))
available = dict(zip(STREAMS, [60, 50, 40, 40, 40, 15], strict=True))
sale = {"regular": 810, "super": 880}
demand = {"regular": 100, "super": 80}
octane_number = {"regular": 91, "super": 96}
aromatics = {"regular": 35, "super": 28}
TANKS = ["tank 1", "tank 2"]


def refinery() -> pyo.ConcreteModel:
    """The largest profit with two tanks."""
    m = pyo.ConcreteModel()
    m.content = pyo.Var(TANKS, STREAMS, bounds=(0, 1))
    m.full = pyo.Constraint(TANKS, rule=lambda m, tank: sum(m.content[tank, s] for s in STREAMS) == 1)
    m.part = pyo.Var(sale, bounds=(0, 1))  # of a petrol that comes from the first tank
    m.made = pyo.Var(sale, bounds=lambda m, petrol: (0, demand[petrol]))
    m.recipe = pyo.Var(sale, STREAMS, bounds=(0, 1))

    @m.Constraint(sale, STREAMS)
    def mix(m: pyo.ConcreteModel, petrol: str, s: str) -> object:
        """Both tanks' contents, by the parts."""
        first, second = (m.content[tank, s] for tank in TANKS)
        return m.recipe[petrol, s] == m.part[petrol] * first + (1 - m.part[petrol]) * second

    @m.Constraint(STREAMS)
    def supply(m: pyo.ConcreteModel, s: str) -> object:
        """Of a stream there is only so much."""
        return sum(m.made[petrol] * m.recipe[petrol, s] for petrol in sale) <= available[s]

    m.quality = relugrad.ReluNetworkBlock(
        list(sale), network=PROPERTIES, inputs=lambda m, petrol: [m.recipe[petrol, s] for s in STREAMS]
    )
    m.octane = pyo.Constraint(sale, rule=lambda m, p: m.quality[p].outputs[0] >= octane_number[p])
    m.pressure = pyo.Constraint(sale, rule=lambda m, p: (45, m.quality[p].outputs[1], 60))
    m.aromatics = pyo.Constraint(sale, rule=lambda m, p: m.quality[p].outputs[2] <= aromatics[p])
    m.profit = pyo.Objective(
        expr=sum(m.made[p] * (sale[p] - sum(cost[s] * m.recipe[p, s] for s in STREAMS)) for p in sale),
        sense=pyo.maximize,
    )
    return m


# %%
# The answer
# ----------

m = refinery()
pyo.SolverFactory("relugrad").solve(m, tee=True, time_limit=5)
found = pyo.value(m.profit)
print(f"\nThe plan found earns {found:.1f} euros.\n")
print(f"    {'':<22}" + "".join(f"{name:>10}" for name in [*TANKS, *sale]))
for s in STREAMS:
    shares = [m.content[tank, s].value for tank in TANKS] + [m.recipe[petrol, s].value for petrol in sale]
    print(f"    {s:<22}" + "".join(f"{share:10.1%}" for share in shares))
print(f"    {'tonnes':<42}" + "".join(f"{m.made[petrol].value:10.1f}" for petrol in sale))

# %%
# The check
# ---------
# Every row holds, as Pyomo evaluates it, and the networks' properties are near the truth.

violation = max(
    max(pyo.value(row.lower - row.body) if row.has_lb() else 0, pyo.value(row.body - row.upper) if row.has_ub() else 0)
    for row in m.component_data_objects(pyo.Constraint, active=True)
)
print(f"\nThe largest violation of a row is {violation:.1e}.")
for petrol in sale:
    truth = true_properties(np.array([[m.recipe[petrol, s].value for s in STREAMS]]))[0]
    octane = m.quality[petrol].outputs[0].value
    print(f"    {petrol}: octane number {octane:.2f} of at least {octane_number[petrol]}, truly {truth[0]:.2f}")

# %%
# Tanks and petrols
# -----------------

figure, ax = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
left = np.zeros(len(TANKS) + len(sale))
for s in STREAMS:
    shares = np.array([m.content[tank, s].value for tank in TANKS] + [m.recipe[petrol, s].value for petrol in sale])
    ax.barh([*TANKS, *sale], shares, left=left, label=s)
    left += shares
ax.invert_yaxis()
ax.set_xlabel("shares of the streams")
ax.spines[["top", "right"]].set_visible(False)
figure.legend(frameon=False, loc="outside right upper")
plt.show()

# %%
# Without us
# ----------
# A user of Pyomo would write the network as constraints, with a binary for each ReLU, and take SCIP, which knows
# products well. It has five seconds without our plan, and five with it: ``solve_from_start`` hands it over.

if find_spec("pyscipopt") is None:
    print("\nSCIP is not installed (pip install pyscipopt): nothing to compare with.")
else:
    pyo.TransformationFactory("relugrad.omlt").apply_to(m, bounds="crown")
    options = {"limits/time": 5.0}
    alone = refinery()
    pyo.TransformationFactory("relugrad.omlt").apply_to(alone, bounds="crown")
    alone = pyo.SolverFactory("scip_direct").solve(alone, options=options, load_solutions=False).problem
    started = relugrad.solve_from_start("scip_direct", m, options=options, load_solutions=False).problem
    by_itself = "nothing" if alone.lower_bound is None else f"{alone.lower_bound:.1f}"
    print(f"\nrelugrad found {found:.1f}, SCIP alone {by_itself}, SCIP started {started.lower_bound:.1f}.")
    print(f"SCIP proved that no plan earns more than {started.upper_bound:.1f}.")
