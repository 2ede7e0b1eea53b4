"""An upper bound for budgets shared out over customers: the Lagrangian relaxation of the budget row.

With a price on the budget each customer is a problem of his own, in one variable: his bonus. Along the bonus a ReLU
network is piecewise linear, so its best value lies at one of its breakpoints, and these can be listed. Any price gives
a bound; a bisection finds the best one.
"""

import numpy as np

from pyomo_relugrad import Network


def breakpoints(network: Network, customer: np.ndarray, largest: float) -> np.ndarray:
    """All bonuses in [0, largest] at which the network's slope in its last input may change, and both ends."""
    bonuses = np.array([0.0, largest])
    for layer in range(len(network.layers) - 1):  # the last one has no ReLUs
        values = network.preactivations(inputs_of(customer, bonuses))[layer]
        left, right = values[:-1], values[1:]
        piece, relu = np.nonzero(left * right < 0)
        share = left[piece, relu] / (left[piece, relu] - right[piece, relu])
        crossings = bonuses[piece] + share * (bonuses[piece + 1] - bonuses[piece])
        bonuses = np.unique(np.concatenate([bonuses, crossings]))
    return bonuses


def inputs_of(customer: np.ndarray, bonuses: np.ndarray) -> np.ndarray:
    """Network inputs (k, n + 1): one customer (n,) with many bonuses (k,)."""
    return np.column_stack([np.repeat(customer[None, :], len(bonuses), axis=0), bonuses])


def lagrangian_bound(
    network: Network, customers: np.ndarray, margins: np.ndarray, largest: float, budget: float
) -> float:
    """Upper bound on the sum of ``margins * acceptance`` over all ways to spend the budget.

    Parameters
    ----------
    network : Network
        From (customer, bonus) to acceptance.
    customers : (k, n) array
    margins : (k,) array
        Not negative.
    largest : float
        Of the bonuses, the smallest is zero.
    budget : float
    """
    bonuses = [breakpoints(network, customer, largest) for customer in customers]
    profits = [
        margin * network.value(inputs_of(customer, choices))[:, 0]
        for customer, margin, choices in zip(customers, margins, bonuses, strict=True)
    ]

    def relaxed(price: float) -> tuple[float, float]:
        """Value of the relaxation at a price, and what it spends."""
        value, spent = price * budget, 0.0
        for choices, profit in zip(bonuses, profits, strict=True):
            best = int(np.argmax(profit - price * choices))
            value += profit[best] - price * choices[best]
            spent += choices[best]
        return value, spent

    cheap, dear = 0.0, float(max(np.ptp(profit) for profit in profits)) + 1.0
    bound = min(relaxed(cheap)[0], relaxed(dear)[0])
    for _ in range(50):
        price = 0.5 * (cheap + dear)
        value, spent = relaxed(price)
        bound = min(bound, value)
        cheap, dear = (price, dear) if spent > budget else (cheap, price)
    return bound
