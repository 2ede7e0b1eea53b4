"""Train the network of the station example: response times in four districts, given which ambulance stations are open.

Writes ``response_times.onnx`` next to this file. The file is part of the repository, so there is no need to run this.
"""

from pathlib import Path

import numpy as np
from mlp_to_onnx import train

FILE = Path(__file__).with_name("response_times.onnx")
N_SITES = 14
DISTRICTS = ["north-west", "north-east", "south-west", "south-east"]

_random = np.random.default_rng(3)
SITES = _random.uniform(0, 10, (N_SITES, 2))
HOMES = np.clip(_random.normal(5, 2.6, (800, 2)), 0, 10)
DISTRICT = 2 * (HOMES[:, 1] < 5) + (HOMES[:, 0] >= 5)
INHABITANTS = np.bincount(DISTRICT, minlength=4) / len(HOMES)


def true_response_times(opened: np.ndarray) -> np.ndarray:
    """Mean minutes (n, 4) per district for choices of stations (n, 14), zeros and ones.

    An ambulance needs two minutes to start and drives 0.7 km a minute. Three times in ten the nearest station's is
    busy, and the next one comes.
    """
    minutes = 2 + np.linalg.norm(HOMES[:, None, :] - SITES[None, :, :], axis=2) / 0.7
    result = np.empty((len(opened), 4))
    for row, choice in enumerate(np.asarray(opened) > 0.5):
        nearest = np.sort(minutes[:, choice], axis=1)
        mean = 0.7 * nearest[:, 0] + 0.3 * nearest[:, min(1, nearest.shape[1] - 1)]
        result[row] = [mean[district == DISTRICT].mean() for district in range(4)]
    return result


def main() -> None:
    """Train on 5000 random choices of three to nine stations, as a simulation would be sampled."""
    random = np.random.default_rng(0)
    opened = np.zeros((5000, N_SITES))
    for row in opened:
        row[random.permutation(N_SITES)[: random.integers(3, 10)]] = 1
    train(opened, true_response_times(opened), (24, 24), FILE, ("open", "minutes"))


if __name__ == "__main__":
    main()
