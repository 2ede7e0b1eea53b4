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


def output(script):
    run = subprocess.run([sys.executable, EXAMPLES / script], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.mark.slow
def test_omlt_model():
    alone, ours, started = re.findall(r"lead ([\d.]+)", output("omlt_model.py"))
    assert float(alone) == pytest.approx(float(ours), abs=2e-3)
    assert float(started) == pytest.approx(float(ours), abs=2e-3)


@pytest.mark.slow
def test_quickstart():
    printed = output("quickstart.py")
    assert "onnxruntime reads a 4 before and a 9 after the change." in printed
    assert "MIP start solution is feasible" in printed
    found, bound = map(float, re.search(r"change of ([\d.]+); .* at least ([\d.]+) is needed", printed).groups())
    assert 0 < bound <= found + 1e-4
    assert found == pytest.approx(4.1198, abs=1e-3)
