"""Control a heated room: the same model is solved at every step, with another temperature.
============================================================================================

A controller plans the heat of the next 24 hours, applies the first hour of the plan, measures the room, and plans
again. The model is built once. Each time only numbers change: the temperature now, and the prices of the hours ahead.
The solver object keeps what it knows of the model, and begins where the last plan ended.

Run it with ``python examples/controller.py``. The network that stands for the room is written down here.
"""  # noqa: D205

import time

import matplotlib.pyplot as plt
import numpy as np
import pyomo.environ as pyo

import pyomo_relugrad as relugrad

# %%
# The room
# --------
# The temperature after an hour, from the one before and the heat: it cools towards 8 degrees, and faster above 22,
# where windows are opened.

room = relugrad.Network.from_layers(
    [[[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]], [[0.85, 0.5, -0.3]]], [[0.0, 0.0, -22.0], [0.15 * 8.0]]
)

# %%
# The model
# ---------

hours = range(24)
m = pyo.ConcreteModel()
m.now = pyo.Param(initialize=18.0, mutable=True)
m.price = pyo.Param(hours, initialize=0.2, mutable=True)
m.heat = pyo.Var(hours, bounds=(0, 8))
m.inside = pyo.Var(range(25), bounds=(-20, 60))
m.cold = pyo.Var(hours, bounds=(0, 50))
m.begin = pyo.Constraint(expr=m.inside[0] == m.now)
m.room = relugrad.ReluNetworkBlock(
    hours, network=room, inputs=lambda m, k: [m.inside[k], m.heat[k]], outputs=lambda m, k: [m.inside[k + 1]]
)
m.comfort = pyo.Constraint(hours, rule=lambda m, k: m.inside[k + 1] + m.cold[k] >= 20)
m.cost = pyo.Objective(expr=sum(m.price[k] * m.heat[k] + 5 * m.cold[k] for k in hours))

# %%
# The loop
# --------
# Power is dear in the evening. One solver object serves all steps; the plan, shifted by an hour, is where the variables
# stand when the next solve begins.

opt = pyo.SolverFactory("relugrad")
random, temperature, paid, seconds, course = np.random.default_rng(0), 18.0, 0.0, [], []
for hour in range(48):
    m.now.set_value(temperature)
    for k in hours:
        m.price[k].set_value(0.5 if (hour + k) % 24 in (17, 18, 19, 20) else 0.2)
        m.heat[k].set_value(m.heat[min(k + 1, 23)].value if hour else 4.0)
    begin = time.perf_counter()
    opt.solve(m, time_limit=0.05 if hour else 1)  # nothing waits for the first plan
    seconds.append(time.perf_counter() - begin)
    heat = pyo.value(m.heat[0])
    paid += pyo.value(m.price[0]) * heat
    course.append((temperature, heat, pyo.value(m.price[0])))
    temperature = float(room.value([[temperature, heat]])[0, 0] + 0.1 * random.standard_normal())

print(f"48 plans, {1e3 * np.median(seconds[1:]):.0f} ms each in the median; the heat cost {paid:.1f}.")

# %%
# Against a rule
# --------------
# A thermostat heats to 20 degrees every hour, whatever the price. It needs no plan, and pays for that.

random, temperature, thermostat = np.random.default_rng(0), 18.0, 0.0
for hour in range(48):
    without = float(room.value([[temperature, 0.0]])[0, 0])
    heat = min(max((20.0 - without) / 0.5, 0.0), 8.0)
    thermostat += (0.5 if hour % 24 in (17, 18, 19, 20) else 0.2) * heat
    temperature = float(room.value([[temperature, heat]])[0, 0] + 0.1 * random.standard_normal())

print(f"A thermostat would have paid {thermostat:.1f}.")

# %%
# Against a mixed-integer program
# -------------------------------
# A user of Pyomo would write the network as constraints, and take HiGHS. A room of three neurons is little for it: over
# 24 hours it needs a tenth of a second, and its plan is the best there is. With 64 neurons a step and squared costs
# (``benchmarks/horizon.py``) SCIP has no plan after 45 seconds, and the search its first one after 0.1.

opt.solve(m, time_limit=0.05)
plan = pyo.value(m.cost)
pyo.TransformationFactory("relugrad.omlt").apply_to(m)
begin = time.perf_counter()
pyo.SolverFactory("appsi_highs").solve(m, options={"time_limit": 5.0})
print(f"A plan costs {plan:.4f}; one by HiGHS {pyo.value(m.cost):.4f}, after {time.perf_counter() - begin:.1f} s.")

# %%
# Two days
# --------
# The room is heated before the hours in which power is dear.

temperatures, heats, prices = np.transpose(course)
figure, places = plt.subplots(2, 1, figsize=(7, 3.8), layout="constrained", sharex=True)
places[0].plot(temperatures, color="#D55E00")
places[0].axhline(20, color="#888888", linewidth=0.8)
places[1].step(range(48), heats, where="post", color="#0072B2")
for place, name in zip(places, ("temperature", "heat"), strict=True):
    place.fill_between(range(48), 0, 1, where=prices > 0.3, color="#EEEEEE", transform=place.get_xaxis_transform())
    place.set_ylabel(name)
    place.spines[["top", "right"]].set_visible(False)
places[1].set_xlabel("hour")
plt.show()
