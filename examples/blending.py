"""Blend the cheapest petrol whose properties, and whose emissions, two networks predict.
=========================================================================================

A refinery mixes petrol from six streams. One network knows from the laboratory how the properties follow from the
recipe: octane number, vapour pressure, aromatics. Another knows from an engine test bench how the emissions follow from
the properties. We chain them: the outputs of the first are the inputs of the second. What is the cheapest recipe that
meets every limit?

Run it with ``python examples/blending.py``. The networks come from ``train_blending.py``.
"""  # noqa: D205

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pyomo.environ as pyo
from train_blending import STREAMS, true_emissions, true_properties

import pyomo_relugrad as relugrad

HERE = Path(__file__).parent

# %%
# The model
# ---------
# Prices are in euros a tonne; of some streams there is only so much.

price = dict(zip(STREAMS, [720, 640, 780, 690, 560, 850], strict=True))
available = dict(zip(STREAMS, [0.45, 0.40, 0.30, 0.25, 0.30, 0.10], strict=True))

m = pyo.ConcreteModel()
m.fraction = pyo.Var(STREAMS, bounds=lambda m, stream: (0, available[stream]))
m.whole = pyo.Constraint(expr=pyo.quicksum(m.fraction.values()) == 1)
m.cost = pyo.Objective(expr=sum(price[stream] * m.fraction[stream] for stream in STREAMS), sense=pyo.minimize)

# Inputs may be any variables of the model, so the second network simply takes the outputs of the first.
m.blend = relugrad.ReluNetworkBlock(network=HERE / "blend_properties.onnx", inputs=m.fraction)
m.engine = relugrad.ReluNetworkBlock(network=HERE / "engine_emissions.onnx", inputs=m.blend.outputs)

octane, vapour_pressure, aromatics = m.blend.outputs.values()
nitrogen_oxides, hydrocarbons = m.engine.outputs.values()
m.no_knocking = pyo.Constraint(expr=octane >= 95)
m.no_vapour_lock = pyo.Constraint(expr=(45, vapour_pressure, 60))
m.health = pyo.Constraint(expr=aromatics <= 30)
m.less_nitrogen_oxides = pyo.Constraint(expr=nitrogen_oxides <= 42)
m.less_hydrocarbons = pyo.Constraint(expr=hydrocarbons <= 75)

# %%
# The answer
# ----------

pyo.SolverFactory("relugrad").solve(m, tee=True, time_limit=3)
found = pyo.value(m.cost)
print(f"\nThe cheapest recipe found costs {found:.2f} euros a tonne:\n")
for stream in STREAMS:
    print(f"    {stream:<20} {m.fraction[stream].value:6.1%}  of at most {available[stream]:.0%}")

# %%
# The check
# ---------
# The limits hold for the networks. The recipes in this example come from formulas, so we can ask for the truth as well.

recipe = np.array([[m.fraction[stream].value for stream in STREAMS]])
properties = true_properties(recipe)
truth = np.concatenate([properties[0], true_emissions(properties)[0]])
predicted = [variable.value for block in (m.blend, m.engine) for variable in block.outputs.values()]
names = ["octane number", "vapour pressure, kPa", "aromatics, %", "nitrogen oxides, mg/km", "hydrocarbons, mg/km"]
limits = [">= 95", "45 to 60", "<= 30", "<= 42", "<= 75"]
print("\n                            limit   networks      truth")
for name, limit, guess, true in zip(names, limits, predicted, truth, strict=True):
    print(f"    {name:<22} {limit:>9} {guess:10.2f} {true:10.2f}")
print(f"\nThe model's outputs are the networks' to {max(m.blend.get_error(), m.engine.get_error()):.1e}.")

# %%
# The recipe
# ----------
# Filled is what the recipe takes, framed what there is.

figure, ax = plt.subplots(figsize=(6.4, 3.0), layout="constrained")
ax.barh(STREAMS, [100 * available[stream] for stream in STREAMS], color="none", edgecolor="#888888")
ax.barh(STREAMS, 100 * recipe[0], color="#0072B2")
ax.invert_yaxis()
ax.set_xlabel("share of the petrol [%]")
ax.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# The proof
# ---------
# Is there a cheaper recipe? ``relugrad.exact`` goes on from ours until no recipe can be cheaper by more than the gap of
# 0.01 percent, or the time is over.

proof = pyo.SolverFactory("relugrad.exact").solve(m, warmstart=True, time_limit=15)
bound = proof.problem.lower_bound
print(f"relugrad found {found:.2f}, then {pyo.value(m.cost):.2f}; no recipe costs less than {bound:.2f}.")
