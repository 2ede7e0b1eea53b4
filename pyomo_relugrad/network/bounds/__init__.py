"""Bounds of the pre-activations and outputs of networks over boxes."""

from pyomo_relugrad.network.bounds.boxes import Boxes
from pyomo_relugrad.network.bounds.crown import CrownBounds, crown_bounds
from pyomo_relugrad.network.bounds.intervals import (
    PreactivationBounds,
    affine_range,
    interval_bounds,
    interval_range,
    sign_parts,
)
from pyomo_relugrad.network.bounds.lower_slopes import STEPS, SlopedFunctions, optimize_lower_slopes
from pyomo_relugrad.network.bounds.relaxation import Relaxation
from pyomo_relugrad.network.bounds.substitution import LinearFunctions
