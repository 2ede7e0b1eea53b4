"""Train a network so that proofs over it are short, and train it again where the optimizer looks.
==================================================================================================

Two things decide how useful a network is to an optimizer. One is how long a proof takes: each ReLU whose sign is open
is a binary variable, and wide bounds make weak relaxations. Terms in the loss that press on the bounds help (`arXiv
2502.03016 <https://arxiv.org/abs/2502.03016>`_, `arXiv 2604.22746 <https://arxiv.org/abs/2604.22746>`_). The other is
whether the network is right where the optimizer ends, which is often where data are few: then new data from there go
into another training.

Run it with ``python examples/optimisable_training.py``; it takes about ten seconds. The trainer is in
``train_optimisable.py``, in plain NumPy.
"""  # noqa: D205

import time

import matplotlib.pyplot as plt
import numpy as np
import pyomo.environ as pyo
from train_optimisable import bound_terms, train

import pyomo_relugrad as relugrad

# %%
# Three functions
# ---------------
# The usual ones, each over the box that is usual for it, scaled to the box from -1 to 1.


def peaks(u: np.ndarray) -> np.ndarray:
    """Three hills and three valleys."""
    x, y = 2 * u.T
    return (
        3 * (1 - x) ** 2 * np.exp(-(x**2) - (y + 1) ** 2)
        - 10 * (x / 5 - x**3 - y**5) * np.exp(-(x**2) - y**2)
        - np.exp(-((x + 1) ** 2) - y**2) / 3
    )


def himmelblau(u: np.ndarray) -> np.ndarray:
    """Four minima of the same depth."""
    x, y = 5 * u.T
    return (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2


def ackley(u: np.ndarray) -> np.ndarray:
    """A bowl with waves."""
    x = 3.5 * u
    bowl, waves = np.exp(-0.2 * np.sqrt((x**2).mean(axis=1))), np.exp(np.cos(2 * np.pi * x).mean(axis=1))
    return 20 + np.e - 20 * bowl - waves


# %%
# With the terms and without
# --------------------------
# ``relugrad.omlt`` writes each network as constraints, and HiGHS proves its smallest value. The terms cost little
# accuracy, if any.


def smallest(network: relugrad.Network) -> pyo.ConcreteModel:
    """The input with the smallest value."""
    m = pyo.ConcreteModel()
    m.u = pyo.Var(range(network.n_inputs), bounds=(-1, 1))
    m.network = relugrad.ReluNetworkBlock(network=network, inputs=m.u)
    m.value = pyo.Objective(expr=m.network.outputs[0])
    return m


random = np.random.default_rng(1)
X, unseen = random.uniform(-1, 1, (2, 2000, 2))
seconds = {"plain": [], "with terms": []}
print(f"{'':24}{'error':>7}{'width':>7}{'binaries':>10}{'seconds':>9}")
for function in (peaks, himmelblau, ackley):
    spread = function(X).std()
    for kind, terms in (("plain", {}), ("with terms", {"width": 0.01, "stable": 0.1})):
        network = train(X, function(X) / spread, **terms)
        error = np.sqrt(np.mean((network.value(unseen)[:, 0] - function(unseen) / spread) ** 2))
        width, _, _ = bound_terms([layer.weights[0] for layer in network.layers], [o.bias for o in network.layers])
        m = smallest(network)
        pyo.TransformationFactory("relugrad.omlt").apply_to(m, formulation="bigm", bounds="crown")
        binaries = sum(v.is_binary() for v in m.component_data_objects(pyo.Var))
        begin = time.perf_counter()
        pyo.SolverFactory("appsi_highs").solve(m, options={"time_limit": 10.0}, load_solutions=False)
        seconds[kind].append(time.perf_counter() - begin)
        print(f"{function.__name__:<13}{kind:<11}{error:7.3f}{width:7.2f}{binaries:10}{seconds[kind][-1]:9.2f}")

# %%
# Trained again
# -------------
# An experiment is dear: at first there are forty. The network's smallest value is looked up, tried, and goes into the
# data with a few experiments around it. The training goes on from the network before.

data = random.uniform(-1, 1, (40, 2))
spread, network, history = peaks(X).std(), None, []
print("\nround   promised   measured")
for number in range(1, 13):
    network = train(data, peaks(data) / spread, width=0.001, stable=0.001, epochs=300, start=network)
    m = smallest(network)
    pyo.SolverFactory("relugrad").solve(m, iteration_limit=60)
    answer = np.array([m.u[k].value for k in range(2)])
    promised, measured = spread * pyo.value(m.value), peaks(answer[None])[0]
    history.append((promised, measured))
    print(f"{number:5}{promised:11.3f}{measured:11.3f}")
    if abs(promised - measured) < 0.2:
        break
    around = answer + 0.15 * random.standard_normal((4, 2))
    data = np.vstack([data, answer, np.clip(around, -1, 1)])
grid = np.linspace(-1, 1, 401)
best = peaks(np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)).min()
print(f"After {len(data)} experiments the best one measured {min(m for _, m in history):.3f}; the truth is {best:.3f}.")

# %%
# The pictures
# ------------
# How long the proofs took, and what was promised and measured in each round.

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
for shift, (kind, values) in zip((-0.2, 0.2), seconds.items(), strict=True):
    left.bar(np.arange(3) + shift, values, width=0.4, label=kind)
left.set_xticks(range(3), ["peaks", "Himmelblau", "Ackley"])
left.set(ylabel="seconds of the proof", yscale="log")
left.legend(frameon=False)
promised, measured = np.transpose(history)
right.plot(np.arange(len(history)) + 1, promised, "o-", label="promised")
right.plot(np.arange(len(history)) + 1, measured, "o-", label="measured")
right.axhline(best, color="#888888", linewidth=0.8)
right.set(xlabel="round", ylabel="peaks")
right.legend(frameon=False)
for place in (left, right):
    place.spines[["top", "right"]].set_visible(False)
plt.show()
