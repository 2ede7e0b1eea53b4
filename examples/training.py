"""Train networks that are easy to optimize over.
================================================

How long a proof takes is decided when the network is trained. A ReLU whose sign is open needs a binary variable, and
the longer its range, the weaker the relaxation. Penalties on the weights and clipped ReLUs were compared for this by
Plate and others (`arXiv 2502.03016 <https://arxiv.org/abs/2502.03016>`_). Here five networks learn the same handwritten
digits in five ways, and answer the same question: can a four be changed, each pixel by at most 0.15, so that the
score of the nine passes the score of the four?

Run it with ``python examples/training.py``; it takes about half a minute.
"""  # noqa: D205

import matplotlib.pyplot as plt
import numpy as np
import pyomo.environ as pyo
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from train_regularised import train

import pyomo_relugrad as relugrad
from pyomo_relugrad.network import network_statistics
from pyomo_relugrad.plotting import plot_ranges, plot_slice

# %%
# Five ways of training
# ---------------------
# The networks have two hidden layers of 24 neurons, and train for less than a second each. What differs is the penalty,
# and whether a neuron's value is cut off at one. A clipped neuron is written as two ReLUs.

images, labels = load_digits(return_X_y=True)
seen, unseen, seen_labels, unseen_labels = train_test_split(
    images / 16, labels, test_size=0.2, random_state=0, stratify=labels
)
ways = {
    "plain": {},
    "weight decay": {"weight_decay": 2.0},
    "L1 penalty": {"l1": 0.2},
    "clipped": {"clip": 1.0},
    "clipped, L1": {"clip": 1.0, "l1": 0.2},
}
networks = {name: train(seen, seen_labels, **options) for name, options in ways.items()}

# %%
# What to expect of a proof
# -------------------------
# These numbers need no solver: how many ReLUs are unstable over the box around the picture, how large a big-M they need
# on average, and how many linear regions a segment through the box crosses.

picture = images[np.flatnonzero(labels == 4)[0]] / 16
lower, upper = np.clip(picture - 0.15, 0, 1), np.clip(picture + 0.15, 0, 1)
print(f"{'':<14}{'correct':>8}{'not zero':>10}{'ReLUs':>7}{'unstable':>10}{'big-M':>7}{'regions':>9}")
for name, network in networks.items():
    known = network_statistics(network, lower, upper)
    stability = known.stability["crown"]
    correct = (network.value(unseen).argmax(axis=1) == unseen_labels).mean()
    print(
        f"{name:<14}{correct:8.1%}{1 - known.sparsity:10.0%}{known.n_relus:7}{stability.unstable:10}"
        f"{stability.mean_big_m:7.2f}{known.regions_per_segment:9.1f}"
    )

# %%
# The proof
# ---------
# The lead of the nine is negative where the four stays ahead. Where the bound is negative, it is proven that no such
# change of the picture fools the network.


def strongest_nine(network: relugrad.Network) -> pyo.ConcreteModel:
    """The picture near ours in which the nine leads most."""
    m = pyo.ConcreteModel()
    m.pixel = pyo.Var(range(64), bounds=lambda m, p: (lower[p], upper[p]))
    m.network = relugrad.ReluNetworkBlock(network=network, inputs=m.pixel)
    m.lead = pyo.Objective(expr=m.network.outputs[9] - m.network.outputs[4], sense=pyo.maximize)
    return m


print(f"\n{'':<14}{'lead':>8}{'bound':>8}{'seconds':>9}{'nodes':>7}")
for name, network in networks.items():
    m = strongest_nine(network)
    results = pyo.SolverFactory("relugrad.exact").solve(m, time_limit=5)
    print(
        f"{name:<14}{pyo.value(m.lead):8.3f}{results.problem.upper_bound:8.3f}"
        f"{results.solver.wallclock_time:9.1f}{results.extra_info['nodes']:7}"
    )

# %%
# The L1 penalty drops weights, leaves fewer ReLUs unstable and shortens their ranges, and costs no accuracy here.
# Weight decay does the same without dropping weights, and costs some. Clipping shortens the ranges as well, but every
# neuron has two ReLUs now, so that the proof takes longer all the same.

# %%
# Ranges
# ------
# What enters each ReLU lies within these ranges over the box.

figure, places = plt.subplots(1, 2, figsize=(10, 4), layout="constrained", sharey=True)
for place, name in zip(places, ("plain", "L1 penalty"), strict=True):
    plot_ranges(networks[name], lower, upper, ax=place)
    place.set_title(name, loc="left", pad=24)
places[0].set_ylim(-30, 30)

# %%
# Linear regions
# --------------
# The plane through three pictures: a four at the origin, a nine at (1, 0), a seven at (0, 1). Where a pixel would leave
# the range from zero to one, the plane ends. On each of the linear regions the lead of the nine is affine.

four, nine, seven = (images[np.flatnonzero(labels == digit)[0]] / 16 for digit in (4, 9, 7))
lead = np.eye(10)[9] - np.eye(10)[4]
figure, places = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained", sharey=True)
for place, name in zip(places, ("plain", "L1 penalty"), strict=True):
    plot_slice(networks[name], four, [nine - four, seven - four], lower=0, upper=1, objective=lead, ax=place)
    place.set_title(f"{name}: {place.get_title(loc='left')}", loc="left")
    place.set(xlabel="towards the nine", ylabel="towards the seven")
plt.show()
