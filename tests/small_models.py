"""Small models and networks of which several test modules are about."""

import numpy as np
import pyomo.environ as pyo

from pyomo_relugrad.network import Network


def knapsack() -> pyo.ConcreteModel:
    """Maximize x + n subject to 2x + n <= 7.5: optimum 7.25 at x = 0.25, n = 7."""
    model = pyo.ConcreteModel()
    model.x = pyo.Var(bounds=(0, 2))
    model.n = pyo.Var(domain=pyo.Integers, bounds=(0, 9))
    model.capacity = pyo.Constraint(expr=2 * model.x + model.n <= 7.5)
    model.profit = pyo.Objective(expr=model.x + model.n, sense=pyo.maximize)
    return model


def shallow_network(seed: int, n_inputs: int, n_outputs: int, width: int = 6) -> Network:
    """A network of one hidden layer."""
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=(width, n_inputs)), rng.normal(size=(n_outputs, width))]
    return Network.from_layers(weights, [rng.normal(size=width), rng.normal(size=n_outputs)])
