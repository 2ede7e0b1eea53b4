"""Run a reactor and a column at the least cost: networks, exponentials and products in one model, and a proof.
===============================================================================================================

A feed is compressed and heated, reacts, and is separated. Two units are networks: the reactor, with tanh neurons, and
the column, with ReLUs. The rest of the plant section are equations as they stand in textbooks: the work of the
compressor is a power, the heat exchanger has a logarithm, the catalyst ages with an exponential of the temperature,
and balances are products.

Run it with ``python examples/plant_section.py``. The networks come from ``train_plant_section.py``.
"""  # noqa: D205

import time
from importlib.util import find_spec

import matplotlib.pyplot as plt
import numpy as np
import pyomo.environ as pyo
from train_plant_section import (
    COLUMN,
    CONVERSION,
    PRESSURE,
    REACTOR,
    REFLUX,
    TEMPERATURE,
    true_conversion,
    true_purity,
)

import pyomo_relugrad as relugrad

# %%
# The model
# ---------
# Every equation has what it defines alone on its left: power in kW, heat in kW, costs in euros an hour.


def section() -> pyo.ConcreteModel:
    """The cheapest way to make 40 kmol an hour of product with a purity of 98 %."""
    m = pyo.ConcreteModel()
    m.feed = pyo.Var(bounds=(40, 150))  # kmol/h
    m.temperature = pyo.Var(bounds=TEMPERATURE)
    m.pressure = pyo.Var(bounds=PRESSURE)
    m.reflux = pyo.Var(bounds=REFLUX)
    m.conversion = pyo.Var(bounds=CONVERSION)
    m.purity = pyo.Var(bounds=(0.5, 1))
    m.reactor = relugrad.ReluNetworkBlock(network=REACTOR, inputs=[m.temperature, m.pressure], outputs=[m.conversion])
    m.column = relugrad.ReluNetworkBlock(network=COLUMN, inputs=[m.conversion, m.reflux], outputs=[m.purity])

    m.product = pyo.Var(bounds=(0, 150))
    m.made = pyo.Constraint(expr=m.product == m.feed * m.conversion)
    m.ordered = pyo.Constraint(expr=m.product >= 40)
    m.pure = pyo.Constraint(expr=m.purity >= 0.98)

    m.work = pyo.Var(bounds=(0, 500))
    m.compressor = pyo.Constraint(expr=m.work == 2.9 * m.feed * (m.pressure**0.28 - 1))
    m.heat = pyo.Var(bounds=(0, 500))
    m.heater = pyo.Constraint(expr=m.heat == 0.03 * m.feed * (m.temperature - 320))
    m.boiling = pyo.Var(bounds=(0, 5000))
    m.reboiler = pyo.Constraint(expr=m.boiling == 8 * m.product * (1 + m.reflux))
    m.units = pyo.Var(bounds=(0, 10))  # of heat transfer, with steam of 450 K
    m.exchanger = pyo.Constraint(expr=m.units == pyo.log(450 - 320) - pyo.log(450 - m.temperature))
    m.ageing = pyo.Var(bounds=(0, 100))
    m.catalyst = pyo.Constraint(expr=m.ageing == 2 * pyo.exp(0.05 * (m.temperature - 380)))

    m.cost = pyo.Objective(
        expr=3 * m.feed + 0.3 * m.work + 0.04 * m.heat + 0.03 * m.boiling + 15 * m.units + m.ageing,
        sense=pyo.minimize,
    )
    return m


# %%
# The answer
# ----------

m = section()
pyo.SolverFactory("relugrad").solve(m, tee=True, time_limit=2)
found = pyo.value(m.cost)
print(
    f"\nThe plan found costs {found:.2f} euros an hour: {m.feed.value:.1f} kmol/h of feed, "
    f"{m.temperature.value:.1f} K, {m.pressure.value:.2f} bar, a reflux of {m.reflux.value:.2f}."
)

# %%
# The check
# ---------
# The truth behind the networks is known in this example.

conversion = float(true_conversion(np.array(m.temperature.value), np.array(m.pressure.value)))
purity = float(true_purity(np.array(conversion), np.array(m.reflux.value)))
print(
    f"The conversion is {m.conversion.value:.3f}, truly {conversion:.3f}; "
    f"the purity {m.purity.value:.4f}, truly {purity:.4f}."
)

# %%
# What it costs
# -------------

parts = {
    "feed": 3 * m.feed, "compressor": 0.3 * m.work, "heater": 0.04 * m.heat, "reboiler": 0.03 * m.boiling,
    "exchanger": 15 * m.units, "catalyst": m.ageing,
}  # fmt: skip
figure, ax = plt.subplots(figsize=(6.4, 2.8), layout="constrained")
ax.barh(list(parts), [pyo.value(part) for part in parts.values()], color="#0072B2")
ax.invert_yaxis()
ax.set_xlabel("euros an hour")
ax.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# The proof
# ---------
# ``relugrad.exact`` knows bounding lines for tanh and ReLU, and for powers, exponentials, logarithms and products. It
# goes on from the plan until no plan can be cheaper by more than a tenth of a percent.

begin = time.perf_counter()
proof = pyo.SolverFactory("relugrad.exact").solve(m, warmstart=True, time_limit=15, rel_gap=1e-3)
print(
    f"relugrad found {found:.2f}, then {pyo.value(m.cost):.2f}; "
    f"no plan costs less than {proof.problem.lower_bound:.2f}. "
    f"That took {time.perf_counter() - begin:.1f} s."
)

# %%
# Without us
# ----------
# A user of Pyomo would write the networks as constraints, and take SCIP. Here it has six seconds.

if find_spec("pyscipopt") is None:
    print("SCIP is not installed (pip install pyscipopt): nothing to compare with.")
else:
    m = section()
    pyo.TransformationFactory("relugrad.omlt").apply_to(m, bounds="crown")
    scip = pyo.SolverFactory("scip_direct").solve(m, options={"limits/time": 6.0}, load_solutions=False).problem
    best = "nothing" if scip.upper_bound is None else f"{scip.upper_bound:.2f}"
    print(f"In six seconds, SCIP found {best} and proved that no plan costs less than {scip.lower_bound:.2f}.")
