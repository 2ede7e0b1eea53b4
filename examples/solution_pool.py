"""Look at several good answers, not only at the best one.
========================================================

The best choice by a network is rarely the best in all that matters to people, and the second best may be as good for
all that the network knows. A search keeps up to ten distinct good points. Here they are choices of ambulance stations
with short response times, of which a town may prefer the cheaper one.

Run it with ``python examples/solution_pool.py``; it takes some seconds. The network comes from ``train_stations.py``.
"""  # noqa: D205

import matplotlib.pyplot as plt
import numpy as np
import pyomo.environ as pyo
from pyomo.contrib.solver.common.factory import SolverFactory
from train_stations import FILE, INHABITANTS, N_SITES, true_response_times

import pyomo_relugrad as relugrad

# %%
# The model
# ---------
# Which of fourteen stations to open, at most six of them and within a budget, so that ambulances come fast.

yearly_cost = np.round(np.random.default_rng(1).uniform(0.6, 1.6, N_SITES), 2)  # in millions

m = pyo.ConcreteModel()
m.open = pyo.Var(range(N_SITES), domain=pyo.Binary)
m.network = relugrad.ReluNetworkBlock(network=FILE, inputs=m.open)
m.budget = pyo.Constraint(expr=pyo.sum_product(dict(enumerate(yearly_cost.tolist())), m.open) <= 6)
m.staff = pyo.Constraint(expr=(1, pyo.quicksum(m.open.values()), 6))
m.minutes = pyo.Objective(expr=sum(float(INHABITANTS[d]) * m.network.outputs[d] for d in range(4)), sense=pyo.minimize)

# %%
# The pool
# --------
# Pyomo's new solver interface has a place for several solutions: the loader of the results. They are numbered from 0,
# best first; number 0 is in the model after the solve. Who wants one solution has it as soon as it is proven; with
# ``solutions=10`` the search goes on until there are ten.

results = SolverFactory("relugrad").solve(m, time_limit=3, solutions=10)
pool = results.solution_loader
print(f"{pool.get_number_of_solutions()} solutions, the best takes {results.incumbent_objective:.3f} minutes.\n")

rows = []
print(f"{'':>4}{'network':>9}{'simulation':>12}{'millions':>10}   open")
for number in pool.get_solution_ids():
    values = pool.solution(number).get_vars()
    choice = np.array([round(values[m.open[site]]) for site in range(N_SITES)])
    minutes = sum(INHABITANTS[d] * values[m.network.outputs[d]] for d in range(4))
    simulated = float(true_response_times(choice[None, :])[0] @ INHABITANTS)
    stations = ", ".join(str(site) for site in np.flatnonzero(choice))
    rows.append((choice @ yearly_cost, minutes, simulated))
    print(f"{number:4}{minutes:9.3f}{simulated:12.3f}{choice @ yearly_cost:10.2f}   {stations}")

# %%
# Taking another one
# ------------------
# ``load_vars`` writes a solution into the model. All variables change, those of networks as well.


def cost_of(number: int) -> float:
    """Millions a year of a solution of the pool."""
    values = pool.solution(number).get_vars()
    return float(yearly_cost @ [values[m.open[site]] for site in range(N_SITES)])


cheapest = min(pool.get_solution_ids(), key=cost_of)
pool.solution(cheapest).load_vars()
print(f"\nNumber {cheapest} is the cheapest; it takes {pyo.value(m.minutes):.3f} minutes on average.")
print(f"Its outputs are the network's to {m.network.get_error():.1e}.")

# %%
# The picture
# -----------
# Where the network and the simulation behind it differ more than two solutions do, the order of these two says nothing.

cost, minutes, simulated = np.array(rows).T
figure, ax = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
ax.vlines(cost, minutes, simulated, color="#BBBBBB", linewidth=1.5, zorder=1)
ax.scatter(cost, simulated, s=36, facecolor="white", edgecolor="#D55E00", label="simulation", zorder=2)
ax.scatter(cost, minutes, s=36, color="#0072B2", label="network", zorder=3)
for number, place in enumerate(zip(cost, minutes, strict=True)):
    ax.annotate(str(number), place, xytext=(6, 4), textcoords="offset points")
ax.set(xlabel="cost [millions a year]", ylabel="mean response time [min]")
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
plt.show()
