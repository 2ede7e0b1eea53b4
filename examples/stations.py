"""Choose which ambulance stations to open when a network predicts the response times.
======================================================================================

Each of fourteen sites is open or closed, so the network's inputs are binary variables. From them it predicts the mean
response time in four districts; it was trained on a simulation, which is slow and not a formula. We look for the
stations that answer fastest over the whole town, within a budget and with a limit that every district can rely on.

Run it with ``python examples/stations.py``. The network comes from ``train_stations.py``.
"""  # noqa: D205

import itertools
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pyomo.environ as pyo
from train_stations import DISTRICTS, INHABITANTS, N_SITES, true_response_times

import pyomo_relugrad as relugrad

FILE = Path(__file__).with_name("response_times.onnx")

# %%
# The model
# ---------

yearly_cost = np.round(np.random.default_rng(1).uniform(0.6, 1.6, N_SITES), 2)  # in millions
budget, longest = 6.0, 7.5

m = pyo.ConcreteModel()
m.sites = pyo.RangeSet(0, N_SITES - 1)
m.open = pyo.Var(m.sites, domain=pyo.Binary)
m.network = relugrad.ReluNetworkBlock(network=FILE, inputs=m.open)
m.budget = pyo.Constraint(expr=pyo.sum_product(dict(enumerate(yearly_cost.tolist())), m.open) <= budget)
m.staff = pyo.Constraint(expr=pyo.quicksum(m.open.values()) <= 6)
m.neighbours = pyo.Constraint(expr=m.open[0] + m.open[1] <= 1)  # they share a garage
m.limit = pyo.Constraint(range(4), rule=lambda m, district: m.network.outputs[district] <= longest)
m.minutes = pyo.Objective(expr=sum(float(INHABITANTS[d]) * m.network.outputs[d] for d in range(4)), sense=pyo.minimize)

# %%
# The answer
# ----------

pyo.SolverFactory("relugrad").solve(m, tee=True, time_limit=3)
found = pyo.value(m.minutes)
choice = np.array([m.open[s].value for s in m.sites])
print(f"\nOpen {np.flatnonzero(choice > 0.5).tolist()} for {yearly_cost @ choice:.2f} millions a year.")
print(f"The network predicts {found:.4f} minutes on average:\n")
for district, (name, true) in enumerate(zip(DISTRICTS, true_response_times(choice[None, :])[0], strict=True)):
    print(f"    {name:<12} {m.network.outputs[district].value:.2f} minutes, in the simulation {true:.2f}")

# %%
# The check
# ---------
# There are only 16 384 choices. The network says in a moment what each is worth, so here we can see the truth, which a
# real town with fifty sites could not.

every = np.array(list(itertools.product([0, 1], repeat=N_SITES)), dtype=float)
minutes = relugrad.load_onnx(FILE).value(every)
allowed = (every @ yearly_cost <= budget) & (every.sum(axis=1) <= 6) & (every[:, 0] + every[:, 1] <= 1)
allowed &= (minutes <= longest).all(axis=1)
best = (minutes @ INHABITANTS)[allowed].min()
rank = int(((minutes @ INHABITANTS)[allowed] < found - 1e-6).sum())
print(
    f"\nOf {len(every)} choices {allowed.sum()} are allowed. The best takes {best:.4f} minutes, and {rank} beat ours."
)

# %%
# All of them
# -----------
# Each dot is a choice that is allowed; the cross is ours.

figure, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
ax.plot((every @ yearly_cost)[allowed], (minutes @ INHABITANTS)[allowed], ".", color="#BBBBBB", markersize=3)
ax.plot(yearly_cost @ choice, found, "x", color="#D55E00", markersize=10, markeredgewidth=2.5)
ax.set(xlabel="cost [millions a year]", ylabel="mean response time [min]")
ax.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# The proof
# ---------
# HiGHS, from our choice.

pyo.TransformationFactory("relugrad.omlt").apply_to(m, formulation="bigm", bounds="crown")
highs = pyo.SolverFactory("appsi_highs")
proof = highs.solve(m, warmstart=True, load_solutions=False, options={"time_limit": 8.0}).problem
print(f"relugrad found {found:.4f}, HiGHS {proof.upper_bound:.4f}; its bound is {proof.lower_bound:.4f}.")
