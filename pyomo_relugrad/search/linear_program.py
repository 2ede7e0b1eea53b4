"""Linear programs under their earlier path; they are in `pyomo_relugrad.programs` now."""

from pyomo_relugrad.programs import LinearProgram, LinearSolution, LinearStatus

__all__ = ["LinearProgram", "LinearSolution", "LinearStatus"]
