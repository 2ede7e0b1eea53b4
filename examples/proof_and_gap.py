"""Prove an answer, or know how far from the best it may be.
==========================================================

The smallest reactors that make what was ordered, again, but all three of one size, as one buys them. From three
temperatures and three residence times a network predicts what comes out. A local search has a good design at once. Are
there better ones? ``relugrad.exact`` goes on where the search ends, with a bound that no design can beat, until the gap
between the two is small enough or the time is over.

Run it with ``python examples/proof_and_gap.py``; it takes some seconds. The network comes from ``train_reactor.py``.
"""  # noqa: D205

import matplotlib.pyplot as plt
import pyomo.environ as pyo
from pyomo.opt import SolverResults
from train_reactor import FILE, LOWER, UPPER

import pyomo_relugrad as relugrad
from pyomo_relugrad.plotting import plot_progress

# %%
# The model
# ---------
# One variable serves as three inputs. The outputs are conversion, yield and impurity in percent, and the heating power
# in kilowatts.

m = pyo.ConcreteModel()
m.reactors = pyo.RangeSet(1, 3)
m.temperature = pyo.Var(m.reactors, bounds=(float(LOWER[0]), float(UPPER[0])))
m.time = pyo.Var(bounds=(float(LOWER[3]), float(UPPER[3])))
m.network = relugrad.ReluNetworkBlock(network=FILE, inputs=[*m.temperature.values(), m.time, m.time, m.time])
conversion, product, impurity, heating = m.network.outputs.values()
m.conversion = pyo.Constraint(expr=(70, conversion, 80))
m.product = pyo.Constraint(expr=product >= 58)
m.impurity = pyo.Constraint(expr=impurity <= 13)
m.heating = pyo.Constraint(expr=heating <= 100)
m.steps = pyo.Constraint([1, 2], rule=lambda m, r: (-25, m.temperature[r + 1] - m.temperature[r], 25))
m.volume = pyo.Objective(expr=3 * m.time, sense=pyo.minimize)

# %%
# A good answer
# -------------
# The local search also computes a bound, once and without branching. It is cheap, and far off for all but small
# networks. The answer counts as feasible, not as optimal.


def tell(results: SolverResults) -> None:
    """Print value, bound, gap and why the solve ended."""
    value, bound = pyo.value(m.volume), results.problem.lower_bound
    print(
        f"\n{value:.4f} minutes, and no design needs less than {bound:.4f}: a gap of {(value - bound) / value:.2%}. "
        f"Ended as {results.solver.termination_condition} after {results.solver.wallclock_time:.1f} s."
    )


local = pyo.SolverFactory("relugrad").solve(m, time_limit=1)
tell(local)

# %%
# An answer that is good enough
# -----------------------------
# The proof takes long where the last percent is asked for. With ``rel_gap=0.05`` it ends when the bound is within five
# percent of the value, and that is what "optimal" means then. ``warmstart=True`` begins with the design that is in the
# model.

exact = pyo.SolverFactory("relugrad.exact")
rough = exact.solve(m, warmstart=True, rel_gap=0.05, time_limit=20)
tell(rough)

# %%
# Search and proof at once
# ------------------------
# Without a warm start ``relugrad.exact`` searches itself. The default gap is 0.01 percent. If the time ends first,
# value and bound are still there: ``maxTimeLimit`` is no failure. The log has the incumbent, the bound and the gap in
# its columns; a star marks a new incumbent.

thorough = exact.solve(m, time_limit=25, tee=True)
tell(thorough)

# %%
# The picture
# -----------
# The results of every solve have the history of both; the bound rises towards the value, as we minimize.

plot_progress(thorough).set_ylabel("residence time [min]")
plt.show()
