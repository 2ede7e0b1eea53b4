"""Pictures of searches and networks, drawn by matplotlib: ``python -m pip install "pyomo_relugrad[plot]"``.

Every function draws on the Axes that it is given, or on new ones, and returns them: titles, labels and limits may be
changed afterwards. None of them shows or saves a figure.
"""

from pyomo_relugrad.plotting.progress import plot_progress
from pyomo_relugrad.plotting.ranges import plot_ranges
from pyomo_relugrad.plotting.slices import plot_slice

__all__ = ["plot_progress", "plot_ranges", "plot_slice"]
