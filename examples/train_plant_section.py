"""Train the networks of the plant section: a reactor, with tanh neurons, and a column, with ReLUs.

Writes ``section_reactor.onnx`` and ``section_column.onnx`` next to this file. The files are part of the repository, so
there is no need to run this.
"""

from pathlib import Path

import numpy as np
from mlp_to_onnx import train

REACTOR = Path(__file__).with_name("section_reactor.onnx")
COLUMN = Path(__file__).with_name("section_column.onnx")

TEMPERATURE = (350.0, 420.0)  # K
PRESSURE = (2.0, 10.0)  # bar
REFLUX = (1.0, 5.0)
CONVERSION = (0.05, 0.95)


def true_conversion(temperature: np.ndarray, pressure: np.ndarray) -> np.ndarray:
    """Share of the feed that reacts: faster when hot and under pressure, and held back by the equilibrium when hot."""
    rate = 1.2 * np.exp(6000 * (1 / 385 - 1 / temperature)) * np.sqrt(pressure / 5)
    equilibrium = 1 / (1 + np.exp((temperature - 405) / 12))
    return equilibrium * (1 - np.exp(-rate))


def true_purity(conversion: np.ndarray, reflux: np.ndarray) -> np.ndarray:
    """Of the product that leaves the column, as a share."""
    return 1 - (1 - conversion) * np.exp(-0.9 * reflux) - 0.03 * np.exp(-0.5 * reflux)


def main() -> None:
    """Train on random states of both units."""
    random = np.random.default_rng(0)
    states = random.uniform(*np.transpose([TEMPERATURE, PRESSURE]), (4000, 2))
    conversion = true_conversion(*states.T) + random.normal(0, 0.005, len(states))
    train(states, conversion[:, None], (10, 10), REACTOR, ("state", "conversion"), activation="tanh")
    states = random.uniform(*np.transpose([CONVERSION, REFLUX]), (4000, 2))
    purity = true_purity(*states.T) + random.normal(0, 0.002, len(states))
    train(states, purity[:, None], (12, 12), COLUMN, ("state", "purity"))


if __name__ == "__main__":
    main()
