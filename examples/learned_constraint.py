"""A learned constraint, from data to a decision.
==============================================

442 people with diabetes were examined, and a year later doctors measured how far the disease had progressed
(scikit-learn's ``load_diabetes``). Which is the smallest change of weight, blood pressure and blood values by which one
of them may expect a progression below 150?

The limit is on something that nobody has a formula for. A network learns it, and becomes a row of the model. The
optimizer then looks for the points at which the network is most in favour, also where it is wrong. So the row is made
safer step by step: several networks in place of one, a margin from data that none of them has seen, and a stay near the
data. Run it with ``python examples/learned_constraint.py``; it needs scikit-learn.
"""  # noqa: D205

import matplotlib.pyplot as plt
import numpy as np
import pyomo.environ as pyo
from sklearn.datasets import load_diabetes
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import pyomo_relugrad as relugrad

# %%
# Data in three parts
# -------------------
# One part trains the networks, one tells how wrong they are, one judges the decision.

data = load_diabetes(scaled=False)
NAMES = ["age", "sex", "bmi", "pressure", "cholesterol", "ldl", "hdl", "ratio", "triglycerides", "sugar"]
FREE = [name for name in NAMES if name not in ("age", "sex")]
LIMIT = 150.0
order = np.random.default_rng(0).permutation(len(data.target))
training, calibration, judging = np.split(order, [240, 380])
X, y = data.data, data.target

# %%
# Five networks
# -------------
# Each is trained on its own draw of the training data. Where data are few, they disagree.


def train(seed):
    """A network behind a scaler, trained on a bootstrap sample."""
    rows = np.random.default_rng(seed).choice(training, training.size)
    network = MLPRegressor(hidden_layer_sizes=(12,), alpha=30.0, solver="lbfgs", max_iter=3000, random_state=seed)
    return make_pipeline(StandardScaler(), network).fit(X[rows], y[rows])


ensemble = relugrad.Ensemble(train(seed) for seed in range(5))
mean = ensemble.mean()
errors = mean.value(X[judging])[:, 0] - y[judging]
print(f"typical error of the mean: {np.sqrt((errors**2).mean()):.0f}; spread of the target: {y.std():.0f}")

# %%
# A margin
# --------
# On the calibration data the progression was higher than predicted by no more than the margin, but for one case in
# five. For a new person like those, that holds with a probability of 80 %.

margin = relugrad.conformal_margin(mean.value(X[calibration]), y[calibration], risk=0.2, side="upper")
kept = (y[judging] <= mean.value(X[judging])[:, 0] + margin).mean()
print(f"margin {margin:.0f}; held by {kept:.0%} of the people that judge")

# %%
# The decision
# ------------
# For the person with the worst prediction. Changes are measured in standard deviations of the data; age and sex stay as
# they are.

person = X[judging][np.argmax(mean.value(X[judging])[:, 0])]
print(f"the networks promise this person {mean.value(person[None])[0, 0]:.0f}, and may promise at most {LIMIT:.0f}")
deviation = dict(zip(NAMES, X.std(axis=0).tolist(), strict=True))


def decide(network, extra=0.0, near_data=False):
    """The smallest change by which a network promises a progression below the limit."""
    m = pyo.ConcreteModel()
    m.x = pyo.Var(NAMES)
    for k, name in enumerate(NAMES):
        m.x[name].setlb(float(X[:, k].min()))
        m.x[name].setub(float(X[:, k].max()))
        if name not in FREE:
            m.x[name].fix(float(person[k]))
    m.change = pyo.Var(FREE, bounds=(0, 10))
    start = dict(zip(NAMES, person.tolist(), strict=True))
    m.more = pyo.Constraint(FREE, rule=lambda m, k: m.x[k] - start[k] <= deviation[k] * m.change[k])
    m.less = pyo.Constraint(FREE, rule=lambda m, k: start[k] - m.x[k] <= deviation[k] * m.change[k])
    m.disease = relugrad.ReluNetworkBlock(network=network, inputs=[m.x[name] for name in NAMES])
    m.limit = pyo.Constraint(expr=m.disease.outputs[0] + extra <= LIMIT)
    if near_data:
        columns = [NAMES.index(name) for name in FREE]
        m.hull = relugrad.DataHull(inputs=[m.x[name] for name in FREE], data=X[training][:, columns])
    m.effort = pyo.Objective(expr=sum(m.change.values()))
    results = pyo.SolverFactory("relugrad").solve(m, time_limit=4)
    if not results.problem.number_of_solutions:
        return None
    return np.array([m.x[name].value for name in NAMES])


# %%
# What each kind of safety costs
# ------------------------------
# The first row trusts one network. The others ask more: all five members, the margin, the data's convex hull.

KINDS = {
    "one network": (ensemble.members[0], 0.0, False),
    "the mean of five": (mean, 0.0, False),
    "all five": (ensemble.kept_by(1.0), 0.0, False),
    "four of five, near the data": (ensemble.kept_by(0.8), 0.0, True),
    "the mean with the margin": (mean, margin, False),
}
print(f"\n{'promise of':28} {'effort':>6} {'members below the limit':>24}")
decisions, efforts = {}, {}
for kind, (network, extra, near_data) in KINDS.items():
    point = decide(network, extra, near_data)
    if point is None:
        print(f"{kind:28} no point found")
        continue
    decisions[kind] = point
    effort = sum(abs(point[NAMES.index(name)] - person[NAMES.index(name)]) / deviation[name] for name in FREE)
    efforts[kind] = effort
    below = int((ensemble.values(point[None])[:, 0, 0] <= LIMIT + 1e-6).sum())
    print(f"{kind:28} {effort:6.2f} {below:24}")

# %%
# What the five members say to each decision, and the limit:

figure, ax = plt.subplots(figsize=(7.2, 3.2), layout="constrained")
for row, point in enumerate(decisions.values()):
    ax.plot(ensemble.values(point[None])[:, 0, 0], [row] * 5, "o", color="#0072B2", alpha=0.6)
ax.axvline(LIMIT, color="#D55E00")
ax.set_yticks(range(len(decisions)), [f"{kind}\neffort {efforts[kind]:.1f}" for kind in decisions])
ax.invert_yaxis()
ax.set_xlabel("predicted progression")
ax.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# What the answer rests on
# ------------------------
# The gradient at the answer says which of the values matter there, in points of progression per standard deviation.

point = decisions["all five"]
slopes = mean.jacobian(point[None])[0, 0]
print("\nwhat the mean says at the answer of all five:")
for name in sorted(FREE, key=lambda name: -abs(slopes[NAMES.index(name)] * deviation[name]))[:4]:
    k = NAMES.index(name)
    print(f"{name:>14}: {person[k]:6.1f} -> {point[k]:6.1f}, {slopes[k] * deviation[name]:+6.1f} per deviation")

# %%
# Against what happened
# ---------------------
# Nobody tried the decision. But among all people there are some that are like it; this is what became of them.

distance = (abs(X - point) / X.std(axis=0)).sum(axis=1)
near = np.argsort(distance)[:10]
print(f"\nthe ten people most like the decision had {y[near].mean():.0f} on average, {y[near].max():.0f} at most")
print("A network that learned from few data is a hint, not a doctor.")
