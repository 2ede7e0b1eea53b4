"""Best value and bound over time, as any kind of result tells them."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.run import SearchResult
from pyomo_relugrad.solve import Optimum


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Two step functions of time: the best value so far, and the best bound.

    Parameters
    ----------
    values : (k, 2) array
        Seconds and objective of each incumbent.
    bounds : (b, 2) array
        Seconds and value of each better bound; empty where none was known.
    end : float
        Seconds after which the run ended.
    """

    values: Array
    bounds: Array
    end: float

    @property
    def value(self) -> float:
        """The last incumbent's objective, NaN where there was none."""
        return float(self.values[-1, 1]) if len(self.values) else math.nan

    @property
    def bound(self) -> float:
        """The last bound, NaN where none was known."""
        return float(self.bounds[-1, 1]) if len(self.bounds) else math.nan

    @property
    def gap(self) -> float:
        """Distance of value and bound, relative to the value's size; NaN where one is not known."""
        return abs(self.value - self.bound) / max(abs(self.value), 1e-10)


def trajectory(result: Any) -> Trajectory:
    """The trajectory of one run.

    Parameters
    ----------
    result : results of a solve, Optimum, SearchResult, or pairs of seconds and objective
        Results of Pyomo in the classic or the new form. Objectives in a `SearchResult` are to be minimized.

    Raises
    ------
    ModelError
        If it is something else, or the results of another solver, which have no history.
    """
    if isinstance(result, Optimum):
        return _trajectory(result.history, result.bound_history, result.result.elapsed)
    if isinstance(result, SearchResult):
        return _trajectory(result.history, result.bound_history, result.elapsed)
    known, timing = _plain(result, "extra_info"), _plain(result, "timing_info")
    if "history" in known:
        return _trajectory(known["history"], known["bound_history"], float(timing["wall_time"]))
    try:
        pairs = _pairs(result)
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"a {type(result).__name__} has no history of incumbents: give the results of 'relugrad' or "
            "'relugrad.exact', what maximize or minimize returned, or pairs of seconds and objective"
        ) from error
    return Trajectory(pairs, np.zeros((0, 2)), float(pairs[:, 0].max(initial=0.0)))


def _plain(result: Any, name: str) -> Mapping[str, Any]:
    """A dictionary of Pyomo's results: a ConfigDict in the new form, already plain in the classic one."""
    section: Any = getattr(result, name, None)
    if callable(getattr(section, "value", None)):
        section = section.value()
    return section if isinstance(section, Mapping) else {}


def _trajectory(history: Iterable[Any], bound_history: Iterable[Any], end: float) -> Trajectory:
    return Trajectory(_pairs(history), _pairs(bound_history), end)


def _pairs(history: Iterable[Any]) -> Array:
    return np.array([(float(moment), float(value)) for moment, value in history], dtype=np.float64).reshape(-1, 2)
