"""Real networks beside the repository: each agrees with onnxruntime, or is refused for a good reason."""

from pathlib import Path

import pytest
from onnx_models import assert_agrees, points_for, relative_gap

from pyomo_relugrad.errors import NetworkFileError, RelugradError
from pyomo_relugrad.readers.onnx import load_onnx

NETWORKS = Path(__file__).parents[2] / "shared" / "networks"
FILES = sorted(NETWORKS.glob("*/*.onnx"))
SMOOTH = {
    "gemm": ("softplus",),  # of a LogSoftmax
    "keras_3_42_1_0": ("sigmoid",),
    "keras_3_42_1_1": ("sigmoid", "softplus", "exp"),
    "keras_linear_131_sigmoid": ("sigmoid",),
    "mnist_concat": ("sigmoid",),
    "sk_3_42_1_0_logistic": ("sigmoid",),
    "sk_3_42_1_0_tanh": ("tanh",),
}
INVALID = {"maxpool_2d": "kernel"}  # a kernel in three dimensions on an image of two; onnxruntime refuses it too

pytestmark = pytest.mark.skipif(not FILES, reason="the folder of real networks is not there")


@pytest.mark.parametrize("path", FILES, ids=[f"{path.parent.name}/{path.stem}" for path in FILES])
def test_file_agrees_with_onnxruntime_or_is_refused(path):
    if path.stem in INVALID:
        with pytest.raises(NetworkFileError, match=INVALID[path.stem]):
            load_onnx(path)
    else:
        network = assert_agrees(str(path))
        assert network.smooth_activations == SMOOTH.get(path.stem, ())


def test_table_of_files():
    """The same as a table: ``pytest -s -k table_of_files``."""
    lines = []
    for path in FILES:
        try:
            network = load_onnx(path)
        except RelugradError as error:
            lines.append(f"{path.parent.name}/{path.stem:40} {error}")
            continue
        points = points_for(network, seed=1, count=2)
        gap = 1e-5 * relative_gap(str(path), network, points).max()
        lines.append(f"{path.parent.name}/{path.stem:40} {gap:.1e} {network.n_relus:6} ReLUs {network}")
        assert gap <= 1e-5
    print("\n".join(lines))
    assert len(lines) == len(FILES)
