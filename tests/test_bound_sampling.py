"""No sampled point leaves any bound; `bound_sampling.py` samples a million of them."""

import numpy as np
import pytest
from bound_sampling import N_NETWORKS, Claims, network_of, points_of, random_box, violations_of

from pyomo_relugrad.network import Network


@pytest.mark.slow
@pytest.mark.parametrize("index", range(N_NETWORKS))
def test_no_point_leaves_a_bound(index):
    violations = violations_of(network_of(index, seed=1)[1], np.random.default_rng(index), 1000)
    assert not {kind: value for kind, value in violations.items() if value > 0}


def test_values_of_another_network_leave_every_bound():
    rng, (_, network) = np.random.default_rng(0), network_of(8, seed=0)
    box = random_box(network, rng)
    claims = Claims(network, box, rng)
    points = points_of(network, box, rng, 1000)
    assert max(claims.violations(points).values()) <= 0
    found = []
    for sign in (3, -3):
        weights = [sign * layer.weights[0] for layer in network.layers]
        claims.network = Network.from_layers(weights, [layer.bias for layer in network.layers])
        found.append(claims.violations(points))
    assert len(found[0]) == 8
    assert all(max(first, found[1][kind]) > 0 for kind, first in found[0].items())
