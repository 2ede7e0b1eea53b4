"""The scripts in examples/ run as they stand, and say what is true."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from sklearn.datasets import load_digits

from pyomo_relugrad import load_onnx

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_the_digits_network_reads_digits():
    images, labels = load_digits(return_X_y=True)
    network = load_onnx(EXAMPLES / "digits.onnx")
    assert (network.value(images / 16).argmax(axis=1) == labels).mean() > 0.96


@pytest.mark.slow
def test_quickstart():
    run = subprocess.run([sys.executable, EXAMPLES / "quickstart.py"], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    assert "onnxruntime reads a 4 before and a 9 after the change." in run.stdout
    assert "MIP start solution is feasible" in run.stdout
    found, bound = map(float, re.search(r"change of ([\d.]+); .* at least ([\d.]+) is needed", run.stdout).groups())
    assert 0 < bound <= found + 1e-4
    assert found == pytest.approx(4.1198, abs=1e-3)
