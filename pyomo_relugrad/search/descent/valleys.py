"""Which points of a batch go on, so that no valley is lost: of those that lie near each other, the best one goes first.

Descents of many points come to few valleys, and most of them to the same one. Where simply the best points go on, they
soon are all in that valley, and the others are left before they are at their bottom.
"""

from __future__ import annotations

import numpy as np

from pyomo_relugrad.arrays import Array, at_home, namespace, stable_order

#: Mean squared distance, in widths of the columns, below which two points lie in one valley, and at most its share of
#: the number of columns: where these are few, each moves what the network sees by much.
NEARBY, NEARBY_PER_COLUMN = 0.03, 3e-5
#: Points that are compared with each other at most, the best ones.
MAX_COMPARED = 1024


def best_of_valleys(
    U: Array, values: Array, lower: Array, width: Array, count: int, nearby: float | None = None
) -> Array:
    """Rows (count,) of the points that go on: the best of each valley, best first, then the best of the others.

    Parameters
    ----------
    U : (B, d) array
    values : (B,) array
        Of the objective, to be small.
    lower, width : (d,) arrays
        The columns' ranges, all finite, in the type of `U`.
    count : int
    nearby : float, optional
        Squared distance, in widths, below which two points lie in one valley.
    """
    xp, order, n_compared = namespace(U), stable_order(values), min(U.shape[0], MAX_COMPARED)
    scale = xp.where(width > 0, width, xp.ones_like(width))
    compared = (xp.take(U, order[:n_compared], axis=0) - lower) / scale
    squares = xp.sum(compared * compared, axis=1)
    distances = squares[:, None] + squares[None, :] - 2.0 * (compared @ compared.T)
    nearby = min(NEARBY, NEARBY_PER_COLUMN * U.shape[1]) * U.shape[1] if nearby is None else nearby
    firsts: list[int] = []
    is_covered = np.zeros(n_compared, bool)
    for row, near in enumerate(at_home(distances < nearby)):
        if len(firsts) == count:
            break
        if not is_covered[row]:
            firsts.append(row)
            is_covered |= near
    order = at_home(order)
    rows = np.concatenate([order[firsts], np.delete(order, firsts)])[:count]
    return rows if isinstance(U, np.ndarray) else xp.asarray(rows, device=U.device)
