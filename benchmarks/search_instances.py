"""Instances for the search benchmark: networks regenerated from seeds, trained networks, ONNX files, polytopes."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from drawn_networks import torch_default_network
from scipy import sparse

from pyomo_relugrad import Network, load_onnx
from pyomo_relugrad.errors import UnsupportedOperatorError
from pyomo_relugrad.problem import EmbeddedNetwork, Problem
from pyomo_relugrad.readers.vnnlib import load_vnnlib
from pyomo_relugrad.solve import array_problem

ONNX_FOLDER = Path(__file__).parents[2] / "shared" / "networks"


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
    """Maximize ``weights @ y`` over inputs in [0, 1] with ``sum |x - centre| <= radius``."""
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
        maximize=True,
    )


def trained(net_seeds: list[int]) -> Iterator[tuple[str, Problem]]:
    """Networks that scikit-learn trains on its bundled data: a regression, and digits within L1 balls."""
    from sklearn.datasets import load_diabetes, load_digits
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    for seed in net_seeds:
        X, y = load_diabetes(return_X_y=True)
        X, y = (X - X.min(axis=0)) / np.ptp(X, axis=0), (y - y.mean()) / y.std()
        model = MLPRegressor(hidden_layer_sizes=(64, 64), max_iter=300, random_state=seed).fit(X, y)
        yield f"diabetes-s{seed}", array_problem(_from_sklearn(model), None, 0.0, 1.0)
        X, y = load_digits(return_X_y=True)
        model = MLPClassifier(hidden_layer_sizes=(128, 128), max_iter=60, random_state=seed).fit(X / 16.0, y)
        yield f"digits-s{seed}", misreading(_from_sklearn(model), X[seed] / 16.0, 3.0)


def enlarged_digits(net_seeds: list[int]) -> Iterator[tuple[str, Problem]]:
    """784-500-500-10 on digits of 28x28 pixels, as MNIST's, within L1 balls of radius 5 and 10 (arXiv 2401.03451).

    scikit-learn's digits of 8x8 pixels, enlarged: its package holds no larger ones.
    """
    from scipy.ndimage import zoom
    from sklearn.datasets import load_digits
    from sklearn.neural_network import MLPClassifier

    images, y = load_digits(return_X_y=True)
    X = zoom(images.reshape(-1, 8, 8) / 16.0, (1, 3.5, 3.5), order=1).reshape(-1, 784)
    for seed in net_seeds:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # so few epochs are enough here
            model = MLPClassifier(hidden_layer_sizes=(500, 500), max_iter=8, random_state=seed).fit(X, y)
        for radius in (5.0, 10.0):
            yield f"digits28-r{radius:g}-s{seed}", misreading(_from_sklearn(model), X[seed], radius)


def misreading(network: Network, image: np.ndarray, radius: float) -> Problem:
    """Maximize the score of the runner-up minus that of the digit that is read, near an image."""
    order = np.argsort(-network.value(image[None, :])[0])
    eye = np.eye(network.n_outputs)
    return l1_ball_problem(network, image, radius, eye[order[1]] - eye[order[0]])


def _from_sklearn(model: object) -> Network:
    return Network.from_layers([w.T for w in model.coefs_], list(model.intercepts_))


def onnx_files(net_seeds: list[int]) -> Iterator[tuple[str, Problem]]:
    """Maximize output 0 of the VNN-COMP files over [-0.5, 0.5] (images: [0, 1]), where the folder is present."""
    for path in sorted(ONNX_FOLDER.glob("vnncomp/*.onnx")):
        try:
            network = load_onnx(path)
        except UnsupportedOperatorError as error:
            print(f"{path.name} is left out: {error}")
            continue
        lower, upper = (0.0, 1.0) if path.stem.startswith("mnist") else (-0.5, 0.5)
        yield path.stem, array_problem(network, np.eye(network.n_outputs)[0], lower, upper)


def acas_xu(net_seeds: list[int]) -> Iterator[tuple[str, Problem]]:
    """Maximize output 0 of the ACAS Xu networks over the boxes of three properties, where the folder is present."""
    for path in sorted(ONNX_FOLDER.glob("vnncomp/ACASXU_*.onnx")):
        network = load_onnx(path)
        for file in sorted(ONNX_FOLDER.glob("vnncomp/acasxu_prop_[134].vnnlib")):
            box = load_vnnlib(file).cases[0]
            name = f"acas-{'-'.join(path.stem.split('_')[2:4])}-{file.stem.removeprefix('acasxu_')}"
            yield name, array_problem(network, np.eye(network.n_outputs)[0], box.lower, box.upper)


FAMILIES = {
    "relaxing-walk": relaxing_walk_family,
    "large": large,
    "polytopes": polytopes,
    "trained": trained,
    "digits": enlarged_digits,
    "onnx": onnx_files,
    "acas": acas_xu,
}
