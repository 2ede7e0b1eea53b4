"""Solve a model that you built with OMLT: nothing changes but the solver's name.
===============================================================================

The model below uses OMLT alone. It asks which picture the digits network takes for a nine most clearly, if there is
only so much ink. ``relugrad`` recognises the network in the `OmltBlock`, searches it as a function, and gives every
variable of the block its value, so that HiGHS can start from the answer.

Run it with ``python examples/omlt_model.py``; it takes about ten seconds.
"""  # noqa: D205

import time
from pathlib import Path

import matplotlib.pyplot as plt
import onnx
import pyomo.environ as pyo
from omlt import OmltBlock
from omlt.io import load_onnx_neural_network
from omlt.neuralnet import ReluBigMFormulation

FILE = Path(__file__).with_name("digits.onnx")


# %%
# The model, as an OMLT user writes it
# ------------------------------------


def nine_with_little_ink() -> pyo.ConcreteModel:
    """The clearest nine whose 64 pixels, each from 0 to 1, add up to at most 10."""
    definition = load_onnx_neural_network(onnx.load(FILE), input_bounds=[(0, 1)] * 64)
    m = pyo.ConcreteModel()
    m.nn = OmltBlock()
    m.nn.build_formulation(ReluBigMFormulation(definition))
    m.ink = pyo.Constraint(expr=pyo.quicksum(m.nn.inputs.values()) <= 10)
    m.lead = pyo.Var()
    m.wins = pyo.Constraint(range(9), rule=lambda m, digit: m.lead <= m.nn.outputs[9] - m.nn.outputs[digit])
    m.clearest = pyo.Objective(expr=m.lead, sense=pyo.maximize)
    return m


def show(what: str, m: pyo.ConcreteModel, begin: float) -> None:
    """One line: who answered, after how long, and the lead of the nine."""
    print(f"{what:<24}{time.perf_counter() - begin:6.1f} s   lead {pyo.value(m.lead):.4f}")


# %%
# HiGHS alone
# -----------
# This network is small, so that HiGHS can do without help.

m = nine_with_little_ink()
begin = time.perf_counter()
pyo.SolverFactory("appsi_highs").solve(m, options={"time_limit": 30.0})
show("HiGHS", m, begin)

# %%
# The solver's name changed
# -------------------------
# The import registers the solver. The model is the same. A local search stops when it finds nothing better, here at a
# limit of two seconds.

import pyomo_relugrad  # noqa: E402, F401

m = nine_with_little_ink()
begin = time.perf_counter()
pyo.SolverFactory("relugrad").solve(m, time_limit=2)
show("relugrad", m, begin)

# %%
# HiGHS started
# -------------
# All variables of the block have their values, ``m.nn.layer[...].zhat``, ``z`` and ``q_relu`` too: HiGHS has a feasible
# point before its first node, and what is left is the proof.

begin = time.perf_counter()
pyo.SolverFactory("appsi_highs").solve(m, warmstart=True, options={"time_limit": 30.0})
show("HiGHS, started with it", m, begin)

# %%
# The clearest nine
# -----------------

figure, ax = plt.subplots(figsize=(3, 3), layout="constrained")
ax.imshow([[m.nn.inputs[8 * row + column].value for column in range(8)] for row in range(8)], cmap="gray_r")
ax.axis("off")
plt.show()
