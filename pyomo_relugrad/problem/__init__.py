"""A model around networks, as arrays: what every search and every proof works on."""

from pyomo_relugrad.problem.problem import (
    FEASIBILITY_TOLERANCE,
    ROUNDING,
    EmbeddedNetwork,
    Incumbent,
    NetworkStage,
    Problem,
    Shape,
    rows_data,
)

__all__ = [
    "FEASIBILITY_TOLERANCE",
    "ROUNDING",
    "EmbeddedNetwork",
    "Incumbent",
    "NetworkStage",
    "Problem",
    "Shape",
    "rows_data",
]
