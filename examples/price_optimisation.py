"""Set the prices of eight wines when a network predicts what each sells: revenue is price times demand.
=======================================================================================================

A shop has eight wines on offer. From what is in a wine, and its price, a network predicts how many bottles are sold in
a week. The profit is the margin times the demand, a product of a variable and a network's output. All bottles must be
bought first, and the money for that is limited. Which prices earn most?

Run it with ``python examples/price_optimisation.py``. The network comes from ``train_price_optimisation.py``: the wines
are those of scikit-learn's data, their sales are simulated.
"""  # noqa: D205

import time
from importlib.util import find_spec

import matplotlib.pyplot as plt
import numpy as np
import pyomo.environ as pyo
from train_price_optimisation import FILE, PRICES, WINES, true_demand

import pyomo_relugrad as relugrad

# %%
# The model
# ---------
# A wine's properties are numbers; its price is a variable. So each network has five inputs and one that is free. The
# products stand in the objective as they are.

random = np.random.default_rng(5)
wines = WINES[random.choice(len(WINES), 8, replace=False)]
costs = random.uniform(3, 7, len(wines)).round(2)  # what the shop pays for a bottle
budget = 1600.0


def shop() -> pyo.ConcreteModel:
    """The prices that earn most, if the bottles sold must not have cost more than the budget."""
    m = pyo.ConcreteModel()
    m.wines = pyo.RangeSet(0, len(wines) - 1)
    m.price = pyo.Var(m.wines, bounds=PRICES)
    m.demand = relugrad.ReluNetworkBlock(m.wines, network=FILE, inputs=lambda m, w: [*wines[w].tolist(), m.price[w]])
    m.sold = pyo.Expression(m.wines, rule=lambda m, w: m.demand[w].outputs[0])
    m.bought = pyo.Constraint(expr=sum(float(costs[w]) * m.sold[w] for w in m.wines) <= budget)
    m.not_negative = pyo.Constraint(m.wines, rule=lambda m, w: m.sold[w] >= 0)
    m.profit = pyo.Objective(expr=sum((m.price[w] - float(costs[w])) * m.sold[w] for w in m.wines), sense=pyo.maximize)
    return m


# %%
# The answer
# ----------

m = shop()
pyo.SolverFactory("relugrad").solve(m, tee=True, time_limit=2)
found = pyo.value(m.profit)
print(f"\nThe prices found earn {found:.2f} a week; the bottles cost {pyo.value(m.bought.body):.2f} of {budget:.2f}.\n")
prices, sold = (np.array([pyo.value(values[w]) for w in m.wines]) for values in (m.price, m.sold))
for cost, price, bottles in zip(costs, prices, sold, strict=True):
    print(f"    bought at {cost:5.2f}, sold at {price:5.2f}: {bottles:5.1f} bottles")

# %%
# The check
# ---------
# The true demand is known in this example. The best markup that is the same for all wines is what one would try without
# a model.


def true_profit(prices: np.ndarray) -> float:
    """Of a week; minus infinity if the bottles cost over two percent more than the budget."""
    bottles = true_demand(wines, prices)
    return float((prices - costs) @ bottles) if costs @ bottles <= 1.02 * budget else -np.inf


same = max(true_profit(factor * costs) for factor in np.linspace(1, 4, 301))
print(f"\nTruly, they earn {true_profit(prices):.2f}; the best markup for all wines alike earns {same:.2f}.")

# %%
# Wine by wine
# ------------
# Profit over the price as the network sees it, and the prices found. The budget keeps some below their own best one.

figure, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
grid, network = np.linspace(*PRICES, 200), relugrad.load_onnx(FILE)
for w, (cost, price, bottles) in enumerate(zip(costs, prices, sold, strict=True)):
    demand = network.value(np.column_stack([np.tile(wines[w], (200, 1)), grid]))[:, 0]
    (line,) = ax.plot(grid, (grid - cost) * np.maximum(demand, 0), linewidth=1.2)
    ax.plot(price, (price - cost) * bottles, "o", color=line.get_color())
ax.set(xlabel="price", ylabel="profit of a week", ylim=(0, None))
ax.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# The proof
# ---------
# ``relugrad.exact`` bounds networks and products together, and branches on the prices.

begin = time.perf_counter()
proof = pyo.SolverFactory("relugrad.exact").solve(m, warmstart=True, time_limit=8)
print(
    f"\nrelugrad found {found:.2f}, then {pyo.value(m.profit):.2f}; nobody can plan for more than "
    f"{proof.problem.upper_bound:.2f}: that took {time.perf_counter() - begin:.1f} s."
)

# %%
# Without us
# ----------
# A user of Pyomo would write the network as constraints, with a binary for each ReLU, and take SCIP. Here it has six
# seconds.

if find_spec("pyscipopt") is None:
    print("SCIP is not installed (pip install pyscipopt): nothing to compare with.")
else:
    m = shop()
    pyo.TransformationFactory("relugrad.omlt").apply_to(m, bounds="crown")
    scip = pyo.SolverFactory("scip_direct").solve(m, options={"limits/time": 6.0}, load_solutions=False).problem
    best = "nothing" if scip.lower_bound is None else f"{scip.lower_bound:.2f}"
    print(f"In six seconds, SCIP found {best} and proved that no prices earn more than {scip.upper_bound:.2f}.")
