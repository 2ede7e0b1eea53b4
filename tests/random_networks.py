"""Random networks for the tests of the searches."""

import itertools
from collections.abc import Sequence

import numpy as np

from pyomo_relugrad.network import Network


def random_network(sizes: Sequence[int], seed: int) -> Network:
    """A dense ReLU chain, from the inputs' number to the outputs', whose values keep their size from layer to layer."""
    random = np.random.default_rng(seed)
    pairs = list(itertools.pairwise(sizes))
    weights = [random.normal(size=(b, a)) / np.sqrt(a) for a, b in pairs]
    return Network.from_layers(weights, [random.normal(size=b) * 0.3 for _, b in pairs])
