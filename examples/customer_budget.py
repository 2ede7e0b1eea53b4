"""Share out a budget over two hundred customers when one network predicts who accepts.
======================================================================================

A bank offers its customers a bonus for taking a credit. From age, income, loyalty, distance to the branch and the
bonus, a network predicts whether a customer accepts. What is the best bonus for each of them when the bonuses must not
cost more than a budget? The model has the same network two hundred times; ``relugrad`` evaluates them as one batch.

Run it with ``python examples/customer_budget.py``. The network comes from ``train_acceptance.py``.
"""  # noqa: D205

import matplotlib.pyplot as plt
import numpy as np
import pyomo.environ as pyo
from budget_bound import lagrangian_bound
from train_acceptance import FILE, LARGEST_BONUS, draw_customers, true_acceptance

import pyomo_relugrad as relugrad

# %%
# The model
# ---------
# Of a customer everything is known but the bonus, so four of a network's five inputs are numbers. An indexed block
# takes a function that gives the inputs of each of its networks.

network = relugrad.load_onnx(FILE)
random = np.random.default_rng(7)
customers = draw_customers(200, random)
margins = random.uniform(5, 40, len(customers))  # what each credit earns, in hundreds
budget = 1.2 * len(customers)

m = pyo.ConcreteModel()
m.customers = pyo.RangeSet(0, len(customers) - 1)
m.bonus = pyo.Var(m.customers, bounds=(0, LARGEST_BONUS))
m.acceptance = relugrad.ReluNetworkBlock(
    m.customers, network=network, inputs=lambda m, c: [*customers[c].tolist(), m.bonus[c]]
)
m.budget = pyo.Constraint(expr=pyo.quicksum(m.bonus.values()) <= budget)
m.earned = pyo.Objective(
    expr=pyo.quicksum(float(margins[c]) * m.acceptance[c].outputs[0] for c in m.customers), sense=pyo.maximize
)

# %%
# The answer
# ----------

pyo.SolverFactory("relugrad").solve(m, tee=True, time_limit=8)
found = pyo.value(m.earned)
bonus = np.array([m.bonus[c].value for c in m.customers])
print(f"\nThe bonuses cost {bonus.sum():.1f} of {budget:.1f}, and the credits should earn {found:.1f}.")
print(f"{(bonus < 0.01).sum()} customers get none, the others {bonus[bonus >= 0.01].mean():.2f} on average.")

# %%
# The check
# ---------
# The true chances are known in this example. The same bonus for everybody is what one would do without a model.

same = np.full(len(customers), budget / len(customers))
print(
    f"\nTruly, ours earn {margins @ true_acceptance(customers, bonus):.1f} and equal bonuses "
    f"{margins @ true_acceptance(customers, same):.1f}."
)

# %%
# Who gets what
# -------------
# A bonus goes to those with a large margin, if it may change their mind: each dot is a customer.

figure, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
chances = np.array([m.acceptance[c].outputs[0].value for c in m.customers])
dots = ax.scatter(margins, bonus, c=chances, s=18, cmap="viridis")
figure.colorbar(dots, label="predicted acceptance")
ax.set(xlabel="margin [hundreds]", ylabel="bonus [hundreds]")
ax.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# The proof
# ---------
# Written out for an exact solver, this model has 25 600 ReLUs: no longer a question of seconds. But only the budget
# ties the customers together. With a price on the budget each is a problem in one variable, and the sum of their best
# values is a bound on every way to spend it.

bound = lagrangian_bound(network, customers, margins, LARGEST_BONUS, budget)
print(f"\nNobody can plan for more than {bound:.1f}: we are within {1 - found / bound:.2%} of the best.")
