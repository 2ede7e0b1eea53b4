"""Inverse design: the smallest reactors that make what was ordered.
====================================================================

A network replaces the simulation of a cascade of three stirred reactors: six design variables in, four outcomes out.
Simulations run forwards, but the question runs backwards: which design has outcomes within these windows? Among all
that do, we want the one with the smallest reactors.

Run it with ``python examples/reactor_design.py``. The network comes from ``train_reactor.py``.
"""  # noqa: D205

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pyomo.environ as pyo
from train_reactor import LOWER, OUTPUTS, UPPER, true_reactor

import pyomo_relugrad as relugrad

FILE = Path(__file__).with_name("reactor.onnx")

# %%
# The model
# ---------
# Windows on all outcomes; None where there is no limit on that side. The first three are in percent. The parameter
# ``correction`` is for later.

windows = {"conversion": (70, 80), "yield": (58, None), "impurity": (None, 13), "heating": (None, 100)}

m = pyo.ConcreteModel()
m.reactors = pyo.RangeSet(1, 3)
m.temperature = pyo.Var(m.reactors, bounds=(float(LOWER[0]), float(UPPER[0])))
m.time = pyo.Var(m.reactors, bounds=(float(LOWER[3]), float(UPPER[3])))
m.network = relugrad.ReluNetworkBlock(network=FILE, inputs=[*m.temperature.values(), *m.time.values()])
m.correction = pyo.Param(range(4), mutable=True, initialize=0.0)


@m.Constraint(range(4))
def window(m: pyo.ConcreteModel, k: int) -> tuple:
    """The outcome, corrected, lies within its window."""
    low, high = windows[OUTPUTS[k]]
    return low, m.network.outputs[k] + m.correction[k], high


m.steps = pyo.Constraint([1, 2], rule=lambda m, r: (-25, m.temperature[r + 1] - m.temperature[r], 25))
m.volume = pyo.Objective(expr=pyo.quicksum(m.time.values()), sense=pyo.minimize)

# %%
# The answer
# ----------

solver = pyo.SolverFactory("relugrad")
solver.solve(m, tee=True, time_limit=3)
print(f"\nThe feed stays {pyo.value(m.volume):.3f} minutes in all:\n")
for reactor in m.reactors:
    print(f"    reactor {reactor}: {m.temperature[reactor].value:.1f} K, {m.time[reactor].value:.2f} minutes")

# %%
# The check
# ---------
# The windows hold for the network. Does the simulation agree?


def simulate() -> np.ndarray:
    """Outcomes (4,) of the model's design in the simulation."""
    return true_reactor(np.array([[variable.value for variable in m.network.inputs.values()]]))[0]


def predict() -> np.ndarray:
    """Outcomes (4,) of the model's design by the network."""
    return np.array([variable.value for variable in m.network.outputs.values()])


def compare() -> None:
    """Print the windows and both outcomes."""
    print(f"\n{'window':>24} {'network':>11} {'simulation':>12}")
    for name, guess, true in zip(OUTPUTS, predict(), simulate(), strict=True):
        low, high = ("" if side is None else side for side in windows[name])
        print(f"{name:>10} {f'{low} .. {high}':>13} {guess:11.2f} {true:12.2f}")


compare()

# %%
# An optimizer likes the designs for which the network is too optimistic. So we correct the network by what it is off at
# the answer, half of the way each time so that answers do not leap to and fro, and solve again from there until the
# simulation agrees. Plants are run like this on imperfect models.

print()
rounds = []
correction = np.zeros(4)
for round_number in range(1, 16):
    correction = 0.5 * (correction + simulate() - predict())
    m.correction.store_values(dict(enumerate(correction.tolist())))
    solver.solve(m, warmstart=True, iteration_limit=200)
    error = np.abs(simulate() - predict() - correction).max()
    print(f"Round {round_number:2}: {pyo.value(m.volume):.3f} minutes, the corrected network is off by {error:.2f}")
    rounds.append((pyo.value(m.volume), error))
    if error < 0.1:
        break
compare()

# %%
# Round by round
# --------------

figure, places = plt.subplots(1, 2, figsize=(8, 3.0), layout="constrained")
for place, values, name in zip(places, np.transpose(rounds), ("minutes in all", "off by"), strict=True):
    place.plot(np.arange(len(values)) + 1, values, "o-", color="#0072B2")
    place.set(xlabel="round", ylabel=name)
    place.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# The proof
# ---------
# Are smaller reactors possible, with the last correction? ``relugrad.exact`` goes on from our design, and bounds the
# networks' inputs part by part. After six seconds it says how far it came.

found = pyo.value(m.volume)
proof = pyo.SolverFactory("relugrad.exact").solve(m, warmstart=True, time_limit=6)
bound = proof.problem.lower_bound
print(f"\nrelugrad found {found:.3f}, then {pyo.value(m.volume):.3f}; no design needs less than {bound:.3f}.")
