"""Watch a search, stop it, and start it where you like.
======================================================

A callback sees every new best point and can end the search. Starts are values of the model's variables: last week's
plan, the best record, an engineer's guess. Here the network is a plant's yield as its operators' records have it, and a
search walks over its linear regions from two of them.

Run it with ``python examples/callback_and_starts.py``; it takes some seconds. Network and records come from
``train_plant.py``.
"""  # noqa: D205

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pyomo.environ as pyo
from train_plant import SETTINGS

import pyomo_relugrad as relugrad
from pyomo_relugrad.modeling.solver import SolveProgress
from pyomo_relugrad.plotting import plot_slice

HERE = Path(__file__).parent
records = np.loadtxt(HERE / "plant.csv", delimiter=",", skiprows=1)
settings, measured = records[:, :4], records[:, 4]
network = relugrad.load_onnx(HERE / "plant.onnx")
lower, upper = settings.min(axis=0), settings.max(axis=0)

# %%
# A callback in Pyomo
# -------------------
# Its argument has the objective and the bound in the model's sense, the time and the work so far; ``get_vars()`` has
# the variables' values. The search ends when it returns True. Here: when the yield passes 79 %, or nothing better came
# for half a second.

m = pyo.ConcreteModel()
m.setting = pyo.Var(SETTINGS, bounds=dict(zip(SETTINGS, zip(lower.tolist(), upper.tolist(), strict=True), strict=True)))
m.network = relugrad.ReluNetworkBlock(network=network, inputs=m.setting)
m.best = pyo.Objective(expr=m.network.outputs[0], sense=pyo.maximize)

last_gain = 0.0


def watch(progress: SolveProgress) -> bool:
    """Print each new best point; whether the search may end."""
    global last_gain
    if progress.is_new:
        last_gain = progress.elapsed
        temperature = progress.get_vars()[m.setting["temperature"]]
        print(f"{progress.objective:7.3f} % at {temperature:.1f} K after {progress.points} points")
    is_enough = progress.objective is not None and progress.objective > 79
    return is_enough or progress.elapsed > last_gain + 0.5


results = pyo.SolverFactory("relugrad").solve(m, callback=watch)
print(f"Ended: {results.solver.termination_message}\n")

# %%
# Starts in Pyomo
# ---------------
# ``warmstart=True`` begins with the variables' values. The answer is never worse than a feasible start. Variables
# without a value are filled in; the network's outputs need none. We start at the best record.

record = settings[measured.argmax()]
for name, value in zip(SETTINGS, record.tolist(), strict=True):
    m.setting[name].set_value(value)
pyo.SolverFactory("relugrad").solve(m, warmstart=True, iteration_limit=20)
print(f"From the best record, {network.value([record])[0, 0]:.2f} % by the network, to {pyo.value(m.best):.2f} %.")

# %%
# The walk itself
# ---------------
# ``maximize`` takes a start and a callback as well. Its callback has the point as an array, inputs before outputs. The
# method ``lp-walk`` goes from linear region to linear region, so that its new best points are its way. We keep flow and
# recycle as they are in the record and look at the plane of temperature and pressure. The circle is the record, the
# star the end of the walk, and each field of the mosaic is a linear region.

figure, places = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained", sharey=True)
for row, place in zip((0, 1), places, strict=True):
    begin = settings[row]
    way = []
    best = relugrad.maximize(
        network,
        lower=np.where([True, True, False, False], lower, begin),
        upper=np.where([True, True, False, False], upper, begin),
        method="lp-walk",
        start=begin,
        iteration_limit=40,
        callback=lambda progress, way=way: way.append(progress.incumbent.values[:4]) if progress.is_new else None,
    )
    before = network.value([begin])[0, 0]
    print(f"From record {row} the walk took {len(way) - 1} steps, from {before:.2f} to {best.value:.2f} %.")
    plot_slice(network, begin, (0, 1), lower=lower, upper=upper, path=way, ax=place)
    place.set(xlabel="temperature [K]", ylabel="pressure [bar]")
plt.show()
