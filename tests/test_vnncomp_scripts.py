"""The scripts that VNN-COMP calls."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = ROOT / "benchmarks" / "vnncomp"
SURROGATE, PROPERTY = (str(ROOT / "examples" / name) for name in ("surrogate.onnx", "property.vnnlib"))


def call(script: str, *words: str) -> int:
    environment = {**os.environ, "RELUGRAD_PYTHON": sys.executable, "PYTHONPATH": str(ROOT)}
    return subprocess.run([SCRIPTS / script, *words], env=environment, check=False, capture_output=True).returncode


@pytest.mark.slow
def test_an_instance_is_answered(tmp_path):
    results = tmp_path / "results.txt"
    instance = ("v1", "category", SURROGATE, PROPERTY)
    assert call("prepare_instance.sh", *instance) == 0
    assert call("run_instance.sh", *instance, str(results), "20") == 0
    answer, first, *_ = results.read_text().splitlines()
    assert answer == "sat"
    assert first.startswith("((X_0 ")


def test_what_cannot_be_answered_is_unknown(tmp_path):
    results = tmp_path / "results.txt"
    absent = ("v1", "category", SURROGATE, str(tmp_path / "absent.vnnlib"))
    assert call("prepare_instance.sh", *absent) == 1
    assert call("run_instance.sh", *absent, str(results), "20") == 0
    assert results.read_text() == "unknown\n"
    assert call("run_instance.sh", "v2", *absent[1:], str(results), "20") == 1
