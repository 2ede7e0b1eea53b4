"""Scores of a classifier's network: rows by which one class has the largest."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np

from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.words import listed


def rows_of_class(scores: Sequence[Any], names: Sequence[str], which: Any, margin: float) -> list[Any]:
    """Relational expressions that say that a class wins; see `ReluNetworkBlockData.predicts`."""
    if not (isinstance(margin, Real) and 0 <= margin < np.inf):
        raise ModelError(f"the margin is {margin!r}; expected a finite number that is not negative")
    n_classes = max(len(scores), 2)
    position = names.index(which) if which in names else which
    if isinstance(position, bool) or position not in range(n_classes):
        known = f" or {listed(list(names))}" if names else ""
        raise ModelError(f"there is no class {which!r}: give its position, 0 to {n_classes - 1}{known}")
    if len(scores) == 1:
        return [scores[0] >= margin if position == 1 else scores[0] <= -margin]
    return [scores[position] - score >= margin for place, score in enumerate(scores) if place != position]
