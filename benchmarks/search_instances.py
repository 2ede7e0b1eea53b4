"""Instances for the search benchmark: networks regenerated from seeds, trained networks, ONNX files, polytopes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.random import MT19937
from scipy import sparse

from pyomo_relugrad import Network, load_onnx
from pyomo_relugrad.problem import EmbeddedNetwork, Problem
from pyomo_relugrad.search.front_door import array_problem

ONNX_FOLDER = Path(__file__).parents[2] / "shared" / "networks"


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


def relaxing_walk_family(net_seeds: list[int]) -> Iterator[tuple[str, Problem]]:
    """Inputs {10, 100, 1000} x depth {1, 2, 3} x width {100, 500} over [0, 1] (arXiv 2401.03451)."""
    for seed in net_seeds:
        for n in (10, 100, 1000):
            for depth in (1, 2, 3):
                for width in (100, 500):
                    network = torch_default_network(n, [width] * depth, seed)
                    yield f"{n}-{depth}x{width}-s{seed}", array_problem(network, None, 0.0, 1.0)


def large(net_seeds: list[int]) -> Iterator[tuple[str, Problem]]:
    """Up to 32 million weights."""
    for seed in net_seeds:
        for n, widths in ((2000, [1000] * 2), (10000, [200] * 2), (5000, [1000] * 4), (10000, [2000] * 4)):
            network = torch_default_network(n, widths, seed)
            yield f"{n}-{len(widths)}x{widths[0]}-s{seed}", array_problem(network, None, 0.0, 1.0)


def polytopes(net_seeds: list[int]) -> Iterator[tuple[str, Problem]]:
    """A budget row, a few dense rows, equations, and an L1 ball modelled with auxiliary variables."""
    for seed in net_seeds:
        random = np.random.default_rng(seed)
        network = torch_default_network(100, [100, 100], seed)
        yield f"budget-s{seed}", array_problem(network, None, 0, 1, rows=(np.ones((1, 100)), -np.inf, 20.0))
        network = torch_default_network(50, [100, 100], seed)
        yield f"rows-s{seed}", array_problem(network, None, 0, 1, rows=(random.random((5, 50)), -np.inf, 8.0))
        yield f"equations-s{seed}", array_problem(network, None, 0, 1, rows=(random.random((2, 50)), 7.0, 7.0))
        network = torch_default_network(784, [256, 256], seed, n_outputs=10)
        yield f"l1-ball-s{seed}", l1_ball_problem(network, random.random(784), 5.0, np.eye(10)[0] - np.eye(10)[1])


def l1_ball_problem(network: Network, centre: np.ndarray, radius: float, weights: np.ndarray) -> Problem:
    """Maximise ``weights @ y`` over inputs in [0, 1] with ``sum |x - centre| <= radius``."""
    n, k = network.n_inputs, network.n_outputs
    eye, nothing = sparse.eye_array(n), sparse.csr_array((n, k))
    rows = sparse.vstack(
        [
            sparse.hstack([eye, nothing, -eye]),
            sparse.hstack([eye, nothing, eye]),
            sparse.hstack([sparse.csr_array((1, n + k)), np.ones((1, n))]),
        ],
        format="csr",
    )
    return Problem(
        cost=np.concatenate([np.zeros(n), -weights, np.zeros(n)]),
        lower=np.concatenate([np.zeros(n), np.full(k, -np.inf), np.zeros(n)]),
        upper=np.concatenate([np.ones(n), np.full(k, np.inf), np.full(n, np.inf)]),
        rows=rows,
        row_lower=np.concatenate([np.full(n, -np.inf), centre, [-np.inf]]),
        row_upper=np.concatenate([centre, np.full(n, np.inf), [radius]]),
        networks=(EmbeddedNetwork(network, np.arange(n), n + np.arange(k)),),
        maximise=True,
    )


def trained(net_seeds: list[int]) -> Iterator[tuple[str, Problem]]:
    """Networks that scikit-learn trains on its bundled data: a regression, and digits within an L1 ball."""
    from sklearn.datasets import load_diabetes, load_digits
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    for seed in net_seeds:
        X, y = load_diabetes(return_X_y=True)
        X, y = (X - X.min(axis=0)) / np.ptp(X, axis=0), (y - y.mean()) / y.std()
        model = MLPRegressor((64, 64), max_iter=300, random_state=seed).fit(X, y)
        yield f"diabetes-s{seed}", array_problem(_from_sklearn(model), None, 0.0, 1.0)
        X, y = load_digits(return_X_y=True)
        model = MLPClassifier((128, 128), max_iter=60, random_state=seed).fit(X / 16.0, y)
        network, image = _from_sklearn(model), X[seed] / 16.0
        order = np.argsort(-network.value(image[None, :])[0])
        yield f"digits-s{seed}", l1_ball_problem(network, image, 3.0, np.eye(10)[order[1]] - np.eye(10)[order[0]])


def _from_sklearn(model: object) -> Network:
    return Network.from_layers([w.T for w in model.coefs_], list(model.intercepts_))


def onnx_files(net_seeds: list[int]) -> Iterator[tuple[str, Problem]]:
    """ACAS Xu and other files, over [-0.5, 0.5] in each input, where the folder is present."""
    for path in sorted(ONNX_FOLDER.glob("vnncomp/*.onnx")):
        network = load_onnx(path)
        weights = np.eye(network.n_outputs)[0]
        yield path.stem, array_problem(network, weights, -0.5, 0.5)


FAMILIES = {
    "relaxing-walk": relaxing_walk_family,
    "large": large,
    "polytopes": polytopes,
    "trained": trained,
    "onnx": onnx_files,
}
