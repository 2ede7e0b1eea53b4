"""Stay where the data are: what an optimizer does to a network outside them.
=============================================================================

A plant's operators have recorded settings and yields for years, and a network has learnt the yield from them. In summer
they run hot at low pressure, in winter the reverse. Nobody ever ran hot at high pressure, so there the network only
guesses, and an optimizer goes exactly where the guess is best.

``DataHull`` keeps variables in the convex hull of the data, or in the hull of one of its clusters. It consists of
ordinary variables and linear rows, so every solver understands it.

Run it with ``python examples/extrapolation.py``. Network and records come from ``train_plant.py``.
"""  # noqa: D205

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pyomo.environ as pyo
from train_plant import SETTINGS, true_yield

import pyomo_relugrad as relugrad

HERE = Path(__file__).parent
records = np.loadtxt(HERE / "plant.csv", delimiter=",", skiprows=1)
settings, measured = records[:, :4], records[:, 4]
network = relugrad.load_onnx(HERE / "plant.onnx")

# %%
# Three models
# ------------
# They have the same network and the same box, which spans the records. The second keeps the settings in the convex hull
# of the records. The third keeps them in the hull of one of two clusters: summer or winter, and nothing between.


def build(hull: str) -> pyo.ConcreteModel:
    """The plant's best settings: in the box, in the hull of the data, or in the hull of a cluster."""
    m = pyo.ConcreteModel()
    box = dict(
        zip(SETTINGS, zip(settings.min(axis=0).tolist(), settings.max(axis=0).tolist(), strict=True), strict=True)
    )
    m.setting = pyo.Var(SETTINGS, bounds=box)
    m.network = relugrad.ReluNetworkBlock(network=network, inputs=m.setting)
    if hull == "hull":
        m.known = relugrad.DataHull(inputs=m.setting, data=settings)
    elif hull == "clusters":
        m.known = relugrad.DataHull(inputs=m.setting, data=settings, clusters=2)
    m.best = pyo.Objective(expr=m.network.outputs[0], sense=pyo.maximize)
    return m


# %%
# What they promise, and what is true
# -----------------------------------

models = {name: build(name) for name in ("box", "hull", "clusters")}
print(f"The best of {len(measured)} records has a yield of {measured.max():.1f} %, measured with noise.\n")
print("           " + "".join(f"{name:>13}" for name in SETTINGS) + "   promised   true")
answers = {}
for name, m in models.items():
    pyo.SolverFactory("relugrad").solve(m, time_limit=2)
    answers[name] = found = np.array([m.setting[key].value for key in SETTINGS])
    line = "".join(f"{value:13.2f}" for value in found)
    print(f"{name:<11}{line}{pyo.value(m.best):10.1f} {true_yield(found[None, :])[0]:6.1f}")

kept = len(models["hull"].known.weights)
print(f"\nOf {len(settings)} records {kept} are vertices of the hull; only these became columns of the model.")
rows = [row for row, weight in models["clusters"].known.weights.items() if weight.value > 1e-6]
print(f"The last answer mixes the settings of records {rows}.")

# %%
# Where they are
# --------------

figure, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
ax.plot(settings[:, 0], settings[:, 1], ".", color="#BBBBBB", label="records")
for (name, found), marker in zip(answers.items(), "X*D", strict=True):
    ax.plot(found[0], found[1], marker, markersize=11, label=name)
ax.set(xlabel=f"{SETTINGS[0]}", ylabel=f"{SETTINGS[1]}")
ax.spines[["top", "right"]].set_visible(False)
figure.legend(frameon=False, loc="outside right upper")
plt.show()

# %%
# The proof
# ---------
# The hull's rows go to HiGHS as they are.

for name, m in models.items():
    found = pyo.value(m.best)
    pyo.TransformationFactory("relugrad.omlt").apply_to(m, formulation="bigm", bounds="crown")
    highs = pyo.SolverFactory("appsi_highs")
    proof = highs.solve(m, warmstart=True, load_solutions=False, options={"time_limit": 3.0}).problem
    print(f"{name:<9} relugrad found {found:.2f}, HiGHS {proof.lower_bound:.2f}; its bound is {proof.upper_bound:.2f}")
