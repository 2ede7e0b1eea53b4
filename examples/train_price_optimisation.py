"""Train the network of the pricing example: bottles of a wine that a shop sells in a week at a price.

The wines are the 178 of ``sklearn.datasets.load_wine``. What they sold is simulated. Writes ``wine_demand.onnx`` next
to this file. The file is part of the repository, so there is no need to run this.
"""

from pathlib import Path

import numpy as np
from mlp_to_onnx import train
from sklearn.datasets import load_wine

FILE = Path(__file__).with_name("wine_demand.onnx")
PROPERTIES = ["alcohol", "flavanoids", "color_intensity", "hue"]
PRICES = (4.0, 30.0)

_wines = load_wine()
WINES = _wines.data[:, [_wines.feature_names.index(name) for name in PROPERTIES]]


def true_demand(wines: np.ndarray, prices: np.ndarray) -> np.ndarray:
    """Bottles a week (n,) of wines (n, 4) at prices (n,).

    There are two kinds of customers: many who want a cheap wine, and a few who pay for what they like.
    """
    worth = ((wines - WINES.mean(axis=0)) / WINES.std(axis=0)) @ [1.5, 2.0, 0.5, 0.5]
    thrifty = 120 / (1 + np.exp((prices - 8 - 0.4 * worth) / 1.2))
    connoisseurs = 40 / (1 + np.exp((prices - 18 - 1.2 * worth) / 2.0))
    return thrifty + connoisseurs


def main() -> None:
    """Train on 40 weeks of each wine, at random prices."""
    random = np.random.default_rng(0)
    wines = WINES[random.permutation(np.repeat(np.arange(len(WINES)), 40))]
    prices = random.uniform(*PRICES, len(wines))
    sold = true_demand(wines, prices) + random.normal(0, 3, len(wines))
    train(np.column_stack([wines, prices]), sold[:, None], (32, 32), FILE, ("wine_and_price", "sold"))


if __name__ == "__main__":
    main()
