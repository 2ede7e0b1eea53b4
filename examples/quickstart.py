"""Make a network misread a digit, by changing the picture as little as possible.
================================================================================

A small network has learnt scikit-learn's handwritten digits: 8 x 8 pixels in, one score for each digit out, the
highest score wins. We take a picture that it reads correctly and ask: what is the smallest change of its pixels after
which it reads a digit of our choice?

Run it with ``python examples/quickstart.py``; it takes about ten seconds.
"""  # noqa: D205

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import onnxruntime
import pyomo.environ as pyo
from sklearn.datasets import load_digits

import pyomo_relugrad as relugrad

FILE = Path(__file__).with_name("digits.onnx")

# %%
# The picture
# -----------
# We take a four, and want it to be read as a nine. Pixels lie between 0 and 1.

images, labels = load_digits(return_X_y=True)
picture = images[np.flatnonzero(labels == 4)[0]] / 16
wanted = 9
pixels = range(picture.size)

# %%
# The model
# ---------
# The network is a block like any other. Its inputs are the pixels of the new picture, its outputs the scores.

m = pyo.ConcreteModel()
m.pixel = pyo.Var(pixels, bounds=(0, 1), initialize=dict(enumerate(picture.tolist())))
m.network = relugrad.ReluNetworkBlock(network=FILE, inputs=m.pixel)

# The wanted digit must win against every other one, by a clear margin.
others = [digit for digit in range(10) if digit != wanted]
m.wins = pyo.Constraint(others, rule=lambda m, digit: m.network.outputs[wanted] >= m.network.outputs[digit] + 0.5)

# The change of a pixel is the absolute value of a difference. Two rows say so, and the objective does the rest.
m.change = pyo.Var(pixels, bounds=(0, 1))
m.brighter = pyo.Constraint(pixels, rule=lambda m, p: m.pixel[p] - picture[p] <= m.change[p])
m.darker = pyo.Constraint(pixels, rule=lambda m, p: picture[p] - m.pixel[p] <= m.change[p])
m.total_change = pyo.Objective(expr=pyo.quicksum(m.change.values()), sense=pyo.minimize)

# %%
# The answer
# ----------
# ``relugrad`` searches with the network's values and derivatives. It needs no binary variables, and what it returns
# satisfies every constraint.

pyo.SolverFactory("relugrad").solve(m, tee=True, time_limit=2)
found = np.array([m.pixel[p].value for p in pixels])
total_change = pyo.value(m.total_change)


def draw(picture: np.ndarray) -> list[str]:
    """The picture in characters, one string per row."""
    shades = " .:-=+*#%@"
    return ["".join(2 * shades[round(9 * value)] for value in row) for row in picture.reshape(8, 8)]


print(f"\nThe picture, and the one that is read as {wanted}:\n")
for before, after in zip(draw(picture), draw(found), strict=True):
    print(f"    {before}   {after}")
changed = np.sum(np.abs(found - picture) > 1e-6)
print(f"\n{changed} of {picture.size} pixels change, by {total_change:.4f} in all.")

# %%
# The check
# ---------
# What counts is what the original file says. We ask onnxruntime.

session = onnxruntime.InferenceSession(FILE)
scores = session.run(None, {"pixels": np.stack([picture, found]).astype(np.float32)})[0]
print(f"onnxruntime reads a {scores[0].argmax()} before and a {scores[1].argmax()} after the change.")
model_scores = [m.network.outputs[digit].value for digit in range(10)]
print(f"Its scores differ from the model's by at most {np.abs(scores[1] - model_scores).max():.1e}.")

# %%
# Both, side by side
# ------------------

figure, places = plt.subplots(1, 3, figsize=(6.4, 2.5), layout="constrained")
shown = {"read as a 4": picture, "the change": found - picture, f"read as a {wanted}": found}
for place, (title, values) in zip(places, shown.items(), strict=True):
    is_change = title == "the change"
    place.imshow(values.reshape(8, 8), cmap="RdBu_r" if is_change else "gray_r", vmin=-1 if is_change else 0, vmax=1)
    place.set_title(title, fontsize="medium")
    place.axis("off")
plt.show()

# %%
# The proof
# ---------
# Is there a smaller change? That is a question for an exact solver. ``relugrad.omlt`` writes the network out as
# mixed-integer constraints of OMLT and gives every variable its value, so that HiGHS starts from our picture: watch for
# "MIP start solution is feasible" in its log.

pyo.TransformationFactory("relugrad.omlt").apply_to(m, formulation="bigm", bounds="crown")
print("\nHiGHS starts from it:\n")
results = pyo.SolverFactory("appsi_highs").solve(m, warmstart=True, tee=True, options={"time_limit": 5.0})
bound = results.problem.lower_bound
print(f"\nrelugrad found a change of {total_change:.4f}; HiGHS has shown that at least {bound:.4f} is needed.")
