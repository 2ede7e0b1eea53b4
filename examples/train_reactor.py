"""Train the network of the inverse design example: what a cascade of three stirred reactors makes.

Writes ``reactor.onnx`` next to this file. The file is part of the repository, so there is no need to run this.
"""

from pathlib import Path

import numpy as np
from mlp_to_onnx import train

FILE = Path(__file__).with_name("reactor.onnx")
LOWER = np.array([320.0, 320.0, 320.0, 1.0, 1.0, 1.0])
UPPER = np.array([390.0, 390.0, 390.0, 20.0, 20.0, 20.0])
OUTPUTS = ["conversion", "yield", "impurity", "heating"]


def true_reactor(designs: np.ndarray) -> np.ndarray:
    """Conversion, yield, impurity in % and heating power in kW (n, 4) of designs (n, 6).

    A design has three temperatures in kelvin and three residence times in minutes. The feed becomes product, and the
    product becomes impurity, both by first-order kinetics; the second reaction likes heat more.
    """
    temperatures, times = designs[:, :3], designs[:, 3:]
    feed, product, impurity = np.ones(len(designs)), np.zeros(len(designs)), np.zeros(len(designs))
    for temperature, time in zip(temperatures.T, times.T, strict=True):
        first = 0.08 * np.exp(-6000 * (1 / temperature - 1 / 350)) * time
        second = 0.010 * np.exp(-11000 * (1 / temperature - 1 / 350)) * time
        left = feed / (1 + first)
        made = (product + first * left) / (1 + second)
        feed, product, impurity = left, made, impurity + second * made
    warmed = np.diff(temperatures, axis=1, prepend=298.0)
    heating = 0.9 * np.maximum(warmed, 0).sum(axis=1) + 0.02 * ((temperatures - 298) * times**0.7).sum(axis=1)
    return np.column_stack([100 * (1 - feed), 100 * product, 100 * impurity, heating])


def main() -> None:
    """Train on 20_000 simulated designs."""
    random = np.random.default_rng(0)
    designs = random.uniform(LOWER, UPPER, (20_000, 6))
    train(designs, true_reactor(designs), (32, 32), FILE, ("design", "outcome"))


if __name__ == "__main__":
    main()
