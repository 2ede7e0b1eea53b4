"""Compare the local searches on your own network.
=================================================

``maximize`` and ``minimize`` search over a network without Pyomo, and know the local searches of the literature by
name. Which picture, with only so much ink, does a classifier of handwritten digits take for a nine most clearly? We
let every method try for one second and draw its best value over time.

Run it with ``python examples/comparing_methods.py``; it takes about fifteen seconds.
"""  # noqa: D205

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from train_regularised import train

from pyomo_relugrad import maximize
from pyomo_relugrad.plotting import plot_progress
from pyomo_relugrad.search import METHODS

# %%
# The network
# -----------
# It has two hidden layers of 100 ReLUs and 64 pixels, and trains in two seconds.

images, labels = load_digits(return_X_y=True)
network = train(images / 16, labels, hidden=(100, 100), epochs=30)

# %%
# The question
# ------------
# The objective weighs the outputs: the score of the nine, less the mean of the others. Rows on the inputs are arrays as
# well; this one says that the ink adds up to at most 10. The real nines have twice as much.

objective = np.full(10, -1 / 9)
objective[9] = 1.0
question = {"lower": 0, "upper": 1, "A": np.ones((1, 64)), "row_upper": 10}
nines = images[labels == 9] / 16
print(f"The most ink in a nine is {nines.sum(axis=1).max():.1f}, the least {nines.sum(axis=1).min():.1f}.")
print(f"The real nines have values up to {(network.value(nines) @ objective).max():.2f}.\n")

# %%
# The answers
# -----------
# ``history`` of what ``maximize`` returns has the seconds and the value of each new best point. The time limit is
# wall-clock time: on a busy machine every method comes less far.

found = {}
for name, method in METHODS.items():
    found[name] = maximize(network, objective, **question, method=name, time_limit=1)
    print(f"{name:<15}{found[name].value:8.3f}  {method.summary}")

# %%
# The picture
# -----------
# The curves that are left and high are the better ones. With whole results in place of their histories, the bounds
# would be drawn too; see the example on proof and gap.

ax = plot_progress({name: best.history for name, best in found.items()})
ax.set_title("The clearest nine with little ink", loc="left")
ax.set_ylim(bottom=0)

# %%
# The best picture itself, beside the real nine that the network likes best.

figure, places = plt.subplots(1, 2, figsize=(5, 2.8), layout="constrained")
clearest = nines[(network.value(nines) @ objective).argmax()]
best = max(found.values(), key=lambda optimum: optimum.value).x
for place, picture, title in zip(places, (clearest, best), ("a real nine", "with little ink"), strict=True):
    place.imshow(picture.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
    place.set_title(f"{title}: {network.value(picture[None])[0] @ objective:.1f}", fontsize="medium")
    place.axis("off")
plt.show()
