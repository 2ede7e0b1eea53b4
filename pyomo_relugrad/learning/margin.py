"""`conformal_margin`: by how much a prediction may be off, from data that the network has not seen."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from pyomo_relugrad.arrays import ArrayLike
from pyomo_relugrad.checks import check_known, check_number, named_arguments, numbers
from pyomo_relugrad.errors import ModelError


@named_arguments
def conformal_margin(
    predicted: ArrayLike,
    measured: ArrayLike,
    risk: float = 0.1,
    side: Literal["both", "lower", "upper"] = "both",
) -> float:
    """The margin that a new prediction keeps but for a risk, by split conformal prediction.

    With `n` rows of data that the network was not trained on, the margin is the ``ceil((n + 1) (1 - risk))``-th
    smallest error. If a new point is drawn as those were, its measured value lies within the margin of its prediction
    with probability ``1 - risk`` or more, whatever the network is. A row ``output >= limit`` becomes
    ``output - margin >= limit``.

    Parameters
    ----------
    predicted, measured : (n,) arrays
        Outputs of the network, and what they should have been.
    risk : float, optional
    side : {"both", "lower", "upper"}, optional
        Errors that count: all; those by which a prediction is too large, for rows ``output >= limit``; or too small,
        for rows ``output <= limit``.

    Returns
    -------
    float
        Negative where nearly all predictions err on the other side.

    Raises
    ------
    ModelError
        If shapes differ, a number is not finite, or there are too few rows for the risk.

    Notes
    -----
    An optimum is no random point: it is where the network promises most. Keep to the data (`DataHull`), and check
    decisions against what happens. See Vovk, Gammerman and Shafer (2005), and for learned constraints arXiv 2506.03531.

    Examples
    --------
    >>> conformal_margin([1.0, 2.0, 3.0, 4.0], [1.5, 2.0, 2.0, 4.2], risk=0.25)
    1.0
    """
    truth, guess = numbers(measured, "measured"), numbers(predicted, "predicted")
    truth, guess = (array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array for array in (truth, guess))
    if truth.ndim != 1 or truth.shape != guess.shape:
        raise ModelError(
            f"predicted has shape {guess.shape} and measured {truth.shape}: give two arrays of shape (n,), one output"
        )
    for name, array in (("predicted", guess), ("measured", truth)):
        if not np.isfinite(array).all():
            place = int(np.flatnonzero(~np.isfinite(array))[0])
            raise ModelError(f"{name}[{place}] is {array[place]}, no finite number: leave such rows out")
    check_number(risk, "the risk", "a number between 0 and 1, such as 0.1", lambda given: 0.0 < given < 1.0)
    check_known(side, "side", ("both", "lower", "upper"))
    count = math.ceil((truth.size + 1) * (1.0 - risk) - 1e-9)
    if count > truth.size:
        raise ModelError(
            f"{truth.size} rows are too few for a risk of {risk}: give {math.ceil(1.0 / risk) - 1} or more, or take a "
            "larger risk"
        )
    errors = {"both": abs(guess - truth), "lower": guess - truth, "upper": truth - guess}[side]
    return float(np.sort(errors)[count - 1])
