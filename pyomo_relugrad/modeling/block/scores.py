"""Scores of a classifier's network: rows by which one class has the largest."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np

from pyomo_relugrad.checks import check_number
from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.words import listed, shown


def rows_of_class(scores: Sequence[Any], names: Sequence[str], which: Any, margin: float) -> list[Any]:
    """Relational expressions that say that a class wins; see `ReluNetworkBlockData.predicts`."""
    check_number(margin, "the margin", "a finite number of 0 or more", lambda given: 0.0 <= given < np.inf)
    n_classes = max(len(scores), 2)
    position: Any = names.index(which) if isinstance(which, str) and which in names else which
    if isinstance(position, bool) or not isinstance(position, Integral) or position not in range(n_classes):
        known = f" or {listed(list(names))}" if names else ""
        raise ModelError(f"there is no class {shown(which)}: give its position, 0 to {n_classes - 1}{known}")
    if len(scores) == 1:
        return [scores[0] >= margin if position == 1 else scores[0] <= -margin]
    return [scores[int(position)] - score >= margin for place, score in enumerate(scores) if place != position]
