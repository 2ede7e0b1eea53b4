"""The scripts in examples/ run as they stand, and say what is true."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
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


def numbers(pattern, printed):
    """The numbers in the groups of a pattern that must be there."""
    match = re.search(pattern, printed)
    assert match is not None, printed
    return [float(group) for group in match.groups()]


@pytest.mark.slow
def test_blending():
    printed = output("blending.py")
    found, started, bound = numbers(
        r"relugrad found ([\d.]+), HiGHS ([\d.]+); no recipe costs less than ([\d.]+)\.", printed
    )
    assert bound - 0.01 <= started <= found + 0.01  # HiGHS took the start, or a better point
    assert found == pytest.approx(711.88, abs=0.5)
    shares = [float(share) for share in re.findall(r"([\d.]+)%  of at most", printed)]
    assert sum(shares) == pytest.approx(100, abs=0.5)
    limited = {name: numbers(rf"{name}.* +([\d.]+) +([\d.]+)\n", printed) for name in ("octane", "nitrogen oxides")}
    assert limited["octane"][0] >= 95
    assert limited["nitrogen oxides"][0] <= 42
    assert limited["octane"][1] == pytest.approx(95, abs=1)  # the truth is near


@pytest.mark.slow
def test_stations():
    printed = output("stations.py")
    (found,) = numbers(r"predicts ([\d.]+) minutes on average", printed)
    n_allowed, best, rank = numbers(
        r"choices (\d+) are allowed. The best takes ([\d.]+) minutes, and (\d+) beat", printed
    )
    assert found >= best - 1e-4
    assert rank <= 0.01 * n_allowed
    ours, started, bound = numbers(r"relugrad found ([\d.]+), HiGHS ([\d.]+); its bound is ([\d.]+)\.", printed)
    assert bound <= best + 1e-3
    assert best - 1e-3 <= started <= ours + 1e-3


@pytest.mark.slow
def test_reactor_design():
    printed = output("reactor_design.py")
    ours, started, bound = numbers(r"relugrad found ([\d.]+), HiGHS ([\d.]+); its bound is ([\d.]+)\.", printed)
    assert bound <= started <= ours + 1e-3
    tables = re.findall(r"yield +58 \.\. +([\d.]+) +([\d.]+)\n +impurity +\.\. 13 +([\d.]+) +([\d.]+)", printed)
    assert len(tables) == 2
    assert float(tables[0][0]) >= 58  # the network keeps its window from the first, the simulation at last
    assert float(tables[0][1]) < 57.5 or float(tables[0][3]) > 13.5
    assert float(tables[1][1]) >= 57.7
    assert float(tables[1][3]) <= 13.3


@pytest.mark.slow
def test_customer_budget():
    printed = output("customer_budget.py")
    spent, budget, earned = numbers(r"cost ([\d.]+) of ([\d.]+), and the credits should earn ([\d.]+)\.", printed)
    assert spent <= budget
    ours, equal = numbers(r"ours earn ([\d.]+) and equal bonuses ([\d.]+)\.", printed)
    assert ours > 1.1 * equal
    bound, gap = numbers(r"more than ([\d.]+): we are within ([\d.]+)% of the best", printed)
    assert earned <= bound
    assert gap == pytest.approx(100 * (1 - earned / bound), abs=0.05)
    assert gap < 10


@pytest.mark.slow
def test_extrapolation():
    printed = output("extrapolation.py")
    promised = {}
    for name in ("box", "hull", "clusters"):
        promise, true = numbers(rf"\n{name} .* ([\d.]+) +([\d.]+)\n", printed)
        found, started, bound = numbers(
            rf"{name} +relugrad found ([\d.]+), HiGHS ([\d.]+); its bound is ([\d.]+)", printed
        )
        assert found == pytest.approx(promise, abs=0.06)
        assert found - 0.01 <= started <= bound + 0.01
        promised[name] = promise - true
    assert promised["box"] > 40
    assert abs(promised["hull"]) < 2
    assert abs(promised["clusters"]) < 2
    records, vertices = numbers(r"Of (\d+) records (\d+) are vertices", printed)
    assert vertices < 0.15 * records


@pytest.mark.parametrize("script", ["blending", "stations", "reactor", "plant", "acceptance"])
def test_networks_know_what_they_were_trained_on(script, monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    training = importlib.import_module(f"train_{script}")
    random = np.random.default_rng(11)
    pairs = {
        "blending": lambda: (training.PROPERTIES, x := random.dirichlet(np.ones(6), 500), training.true_properties(x)),
        "stations": lambda: (training.FILE, x := five_open(random), training.true_response_times(x)),
        "reactor": lambda: (
            training.FILE,
            x := random.uniform(training.LOWER, training.UPPER, (500, 6)),
            training.true_reactor(x),
        ),
        "plant": lambda: (training.FILE, x := training.draw_records(random, 500), training.true_yield(x)[:, None]),
        "acceptance": lambda: (
            training.FILE,
            x := np.column_stack([training.draw_customers(500, random), random.uniform(0, 5, 500)]),
            training.true_acceptance(x[:, :4], x[:, 4])[:, None],
        ),
    }
    file, inputs, truth = pairs[script]()
    errors = load_onnx(file).value(inputs) - truth
    assert (errors.std(axis=0) < 0.2 * truth.std(axis=0)).all()
    assert (np.abs(errors.mean(axis=0)) < 0.1 * truth.std(axis=0)).all()


def five_open(random):
    """Choices (200, 14) of five stations each."""
    opened = np.zeros((200, 14))
    for row in opened:
        row[random.permutation(14)[:5]] = 1
    return opened
