"""Networks regenerated from seeds; with no import but the package's own, so that earlier versions can be measured."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.random import MT19937

from pyomo_relugrad import Network


def torch_default_network(n_inputs: int, widths: list[int], seed: int, n_outputs: int = 1) -> Network:
    """Weights as ``torch.manual_seed(seed)`` and ``nn.Linear`` in order would draw them, without PyTorch."""
    generator = MT19937()
    generator._legacy_seeding(seed)
    weights, biases = [], []
    sizes = [n_inputs, *widths, n_outputs]
    for fan_in, fan_out in itertools.pairwise(sizes):
        bound = 1.0 / np.sqrt(fan_in)
        for target, shape in ((weights, (fan_out, fan_in)), (biases, (fan_out,))):
            raw = generator.random_raw(int(np.prod(shape))) & 0xFFFFFF
            target.append((raw / 2.0**24 * 2.0 * bound - bound).reshape(shape))
    return Network.from_layers(weights, biases, name="-".join(map(str, sizes)))
