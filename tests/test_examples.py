"""The scripts in examples/ run as they stand, and say what is true."""

import ast
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from fresh_processes import run_script
from omlt.io import load_onnx_neural_network
from sklearn.datasets import load_digits

from pyomo_relugrad import load_onnx
from pyomo_relugrad.search import METHODS

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_the_digits_network_reads_digits():
    images, labels = load_digits(return_X_y=True)
    network = load_onnx(EXAMPLES / "digits.onnx")
    assert (network.value(images / 16).argmax(axis=1) == labels).mean() > 0.96


SCRIPTS = sorted(
    path.name
    for path in EXAMPLES.glob("*.py")
    if not path.name.startswith("train_") and path.name not in ("mlp_to_onnx.py", "budget_bound.py")
)


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_example_is_a_page_with_a_title_and_has_a_test(script):
    title, line, *text = ast.get_docstring(ast.parse((EXAMPLES / script).read_text(encoding="utf-8"))).splitlines()
    assert len(title) <= len(line)
    assert set(line) == {"="}
    assert f"``python examples/{script}``" in " ".join(text)
    assert f"test_{Path(script).stem}" in globals()
    assert f"``{script}``" in (EXAMPLES / "README.rst").read_text(encoding="utf-8")
    order = (EXAMPLES.parent / "docs" / "gallery_setup.py").read_text(encoding="utf-8")
    assert f'"{Path(script).stem}"' in order


@pytest.fixture(scope="module")
def anywhere(tmp_path_factory):
    """A working folder that has nothing to do with the examples."""
    return tmp_path_factory.mktemp("anywhere")


@pytest.fixture
def output(anywhere):
    """What a script prints, run on one core, without windows, and by the clock of a slower processor."""
    return lambda script, rate=4.0: run_script(EXAMPLES / script, rate, anywhere)


@pytest.mark.slow
def test_omlt_model(output):
    alone, ours, started = re.findall(r"lead ([\d.]+)", output("omlt_model.py", rate=1.0))
    assert float(alone) == pytest.approx(float(ours), abs=2e-3)
    assert float(started) == pytest.approx(float(ours), abs=2e-3)


@pytest.mark.slow
def test_quickstart(anywhere):
    """As users run it: by Python, and on all cores."""
    command, quiet = [sys.executable, EXAMPLES / "quickstart.py"], {**os.environ, "MPLBACKEND": "Agg"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, cwd=anywhere, env=quiet)
    assert done.returncode == 0, done.stderr
    printed = done.stdout
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
def test_blending(output):
    printed = output("blending.py", rate=2.0)
    found, proven, bound = numbers(
        r"relugrad found ([\d.]+), then ([\d.]+); no recipe costs less than ([\d.]+)\.", printed
    )
    assert bound - 0.01 <= proven <= found
    assert bound > 650
    assert found == pytest.approx(711.88, abs=0.5)
    shares = [float(share) for share in re.findall(r"([\d.]+)%  of at most", printed)]
    assert sum(shares) == pytest.approx(100, abs=0.5)
    limited = {name: numbers(rf"{name}.* +([\d.]+) +([\d.]+)\n", printed) for name in ("octane", "nitrogen oxides")}
    assert limited["octane"][0] >= 95
    assert limited["nitrogen oxides"][0] <= 42
    assert limited["octane"][1] == pytest.approx(95, abs=1)  # the truth is near


@pytest.mark.slow
def test_stations(output):
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


def test_controller(output):
    ours, thermostat = numbers(
        r"cost ([\d.]+)\.\nA thermostat would have paid ([\d.]+)\.", output("controller.py", rate=1.0)
    )
    assert ours < thermostat


@pytest.mark.slow
def test_learned_constraint(output):
    printed = output("learned_constraint.py", rate=8.0)
    (kept,) = numbers(r"margin \d+; held by (\d+)% of the people", printed)
    assert 65 <= kept <= 95
    table = dict(re.findall(r"^([a-z ,]+\S) +([\d.]+) +\d$", printed, re.M))
    efforts = {kind: float(effort) for kind, effort in table.items()}
    assert efforts["the mean of five"] <= efforts["the mean with the margin"] + 0.05  # more safety, more effort
    assert efforts["one network"] <= efforts["all five"] + 0.05
    assert re.search(r"^all five .* 5$", printed, re.M)


@pytest.mark.slow
def test_reactor_design(output):
    printed = output("reactor_design.py")
    ours, proven, bound = numbers(r"found ([\d.]+), then ([\d.]+); no design needs less than ([\d.]+)\.", printed)
    assert bound <= proven <= ours
    assert bound >= 3
    tables = re.findall(r"yield +58 \.\. +([\d.]+) +([\d.]+)\n +impurity +\.\. 13 +([\d.]+) +([\d.]+)", printed)
    assert len(tables) == 2
    assert float(tables[0][0]) >= 58  # the network keeps its window from the first, the simulation at last
    assert float(tables[0][1]) < 57.5 or float(tables[0][3]) > 13.5
    assert float(tables[1][1]) >= 57.7
    assert float(tables[1][3]) <= 13.3


@pytest.mark.slow
def test_customer_budget(output):
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
def test_price_optimisation(output):
    printed = output("price_optimisation.py", rate=1.0)
    found, proven, bound = numbers(r"found ([\d.]+), then ([\d.]+); nobody can plan for more than ([\d.]+)", printed)
    assert found - 1e-2 <= proven <= bound + 1e-2
    assert proven > 0.95 * bound
    spent, budget = numbers(r"the bottles cost ([\d.]+) of ([\d.]+)\.", printed)
    assert spent <= budget
    ours, same = numbers(r"Truly, they earn ([\d.]+); the best markup for all wines alike earns ([\d.]+)\.", printed)
    assert ours > same
    if "SCIP is not installed" not in printed:
        assert "In six seconds, SCIP found" in printed


@pytest.mark.slow
def test_pooling(output):
    printed = output("pooling.py")
    (found,) = numbers(r"The plan found earns ([\d.]+) euros", printed)
    assert found > 25000
    assert numbers(r"largest violation of a row is ([\d.e-]+)\.\n", printed)[0] <= 1e-6
    for octane, limit, true in re.findall(r"octane number ([\d.]+) of at least (\d+), truly ([\d.]+)", printed):
        assert float(octane) >= float(limit)
        assert float(true) == pytest.approx(float(octane), abs=0.5)
    if "SCIP is not installed" not in printed:
        started, bound = numbers(
            r"SCIP started ([\d.]+)\.\nSCIP proved that no plan earns more than ([\d.]+)\.", printed
        )
        assert found - 0.1 <= started <= bound + 0.1


@pytest.mark.slow
def test_plant_section(output):
    printed = output("plant_section.py", rate=1.0)
    found, proven, bound = numbers(r"found ([\d.]+), then ([\d.]+); no plan costs less than ([\d.]+)\.", printed)
    assert bound - 0.01 <= proven <= found + 0.01
    assert proven - bound <= 1.1e-3 * proven
    assert proven == pytest.approx(281.6, abs=0.3)
    conversion, true = numbers(r"conversion is ([\d.]+), truly ([\d.]+);", printed)
    assert conversion == pytest.approx(true, abs=0.03)


@pytest.mark.slow
def test_extrapolation(output):
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


@pytest.mark.slow
def test_solution_pool(output):
    printed = output("solution_pool.py", rate=2.0)
    rows = re.findall(r"^ +(\d+) +([\d.]+) +([\d.]+) +([\d.]+)   ([\d, ]+)$", printed, re.MULTILINE)
    assert [int(number) for number, *_ in rows] == list(range(len(rows)))
    assert len(rows) >= 5
    minutes = [float(row[1]) for row in rows]
    assert minutes == sorted(minutes)
    assert minutes[0] == pytest.approx(4.831, abs=0.002)
    assert len({row[4] for row in rows}) == len(rows)
    assert all(float(row[3]) <= 6 and len(row[4].split(",")) <= 6 for row in rows)
    number, taken = numbers(r"Number (\d+) is the cheapest; it takes ([\d.]+) minutes", printed)
    assert min(rows, key=lambda row: float(row[3]))[0] == str(int(number))
    assert taken == minutes[int(number)]


@pytest.mark.slow
def test_callback_and_starts(output):
    printed = output("callback_and_starts.py")
    values = [float(value) for value in re.findall(r"^ +([\d.]+) % at", printed, re.MULTILINE)]
    assert values == sorted(values)
    assert values[-1] > 79
    assert "interrupted" in printed
    walks = re.findall(r"took (\d+) steps, from ([\d.]+) to ([\d.]+) %", printed)
    assert len(walks) == 2
    assert all(int(steps) >= 3 and float(end) > float(begin) + 1 for steps, begin, end in walks)
    before, after = numbers(r"best record, ([\d.]+) % by the network, to ([\d.]+) %", printed)
    assert after >= before


@pytest.mark.slow
def test_proof_and_gap(output):
    solves = re.findall(
        r"([\d.]+) minutes, and no design needs less than ([\d.]+): a gap of ([\d.]+)%",
        output("proof_and_gap.py", rate=2.0),
    )
    values, bounds, gaps = (np.array(column, float) for column in zip(*solves, strict=True))
    assert len(solves) == 3
    assert (bounds <= 10.5648).all()  # the optimum, to the gap of the last proof
    assert (values >= 10.5636).all()
    assert gaps[1] <= 5.0
    np.testing.assert_allclose(gaps, 100 * (values - bounds) / values, atol=0.01)


@pytest.mark.slow
def test_comparing_methods(output):
    printed = output("comparing_methods.py")
    values = {name: float(value) for name, value in re.findall(r"^([\w-]+) +([\d.]+)  ", printed, re.MULTILINE)}
    assert values.keys() == METHODS.keys()
    assert values["auto"] >= max(values.values()) - 0.05


@pytest.mark.slow
def test_training(output):
    printed = output("training.py")
    known = {
        name.strip(): [float(number) for number in numbers_.replace("%", "").split()]
        for name, numbers_ in re.findall(r"^(\w[\w, ]+?)  +([\d.]+% +.*)$", printed, re.MULTILINE)
    }
    plain, l1 = known["plain"], known["L1 penalty"]
    assert min(plain[0], l1[0]) > 93  # correct
    assert l1[1] < 80  # weights that are not zero
    assert l1[3] < plain[3]  # unstable
    assert l1[4] < 0.6 * plain[4]  # big-M
    proofs = re.findall(r"^(\w[\w, ]+?) +(-?[\d.]+) +(-?[\d.]+) +[\d.]+ +\d+$", printed, re.MULTILINE)
    assert [name for name, *_ in proofs] == list(known)
    gaps = {name: float(bound) - float(lead) for name, lead, bound in proofs}
    assert min(gaps.values()) >= -0.001
    assert gaps["L1 penalty"] <= gaps["plain"] + 0.001


@pytest.mark.slow
def test_optimisable_training(output):
    printed = output("optimisable_training.py")
    rows = re.findall(r"^(\w+) +(plain|with terms) +([\d.]+) +([\d.]+) +(\d+) +[\d.]+$", printed, re.MULTILINE)
    known = {(name, kind): (float(error), float(width), int(binaries)) for name, kind, error, width, binaries in rows}
    assert len(known) == 6
    for name in ("peaks", "himmelblau", "ackley"):
        plain, pressed = known[name, "plain"], known[name, "with terms"]
        assert pressed[0] < plain[0] + 0.1
        assert pressed[1] < 0.5 * plain[1]
        assert pressed[2] <= plain[2]
    rounds = re.findall(r"^ +(\d+) +(-[\d.]+) +(-[\d.]+)$", printed, re.MULTILINE)
    assert abs(float(rounds[-1][1]) - float(rounds[-1][2])) < abs(float(rounds[0][1]) - float(rounds[0][2]))
    best, truth = numbers(r"the best one measured (-[\d.]+); the truth is (-[\d.]+)\.", printed)
    assert truth <= best <= truth + 0.5


def assert_derivatives(loss, parameters, gradients):
    """Gradients agree with differences of the loss, at every third entry."""
    for parameter, gradient in zip(parameters, gradients, strict=True):
        for index in list(np.ndindex(parameter.shape))[::3]:
            before = parameter[index]
            parameter[index] = before + 1e-6
            above = loss()
            parameter[index] = before - 1e-6
            below = loss()
            parameter[index] = before
            assert gradient[index] == pytest.approx((above - below) / 2e-6, abs=1e-6)


@pytest.mark.parametrize("terms", [(0.7, 0.0), (0.0, 0.3)])
def test_terms_on_bounds_have_their_gradients(monkeypatch, terms):
    monkeypatch.syspath_prepend(EXAMPLES)
    trainer = importlib.import_module("train_optimisable")
    random = np.random.default_rng(0)
    weights = [random.normal(size=shape) for shape in ((6, 3), (5, 6), (1, 5))]
    biases = [random.normal(size=size) for size in (6, 5, 1)]

    def loss():
        width, stability, _ = trainer.bound_terms(weights, biases)
        return terms[0] * width + terms[1] * stability

    assert_derivatives(loss, [*weights, *biases], trainer.bound_gradients(weights, biases, *terms))


@pytest.mark.parametrize(
    "script", ["blending", "stations", "reactor", "plant", "acceptance", "price_optimisation", "plant_section"]
)
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
        "price_optimisation": lambda: (
            training.FILE,
            x := np.column_stack([training.WINES, random.uniform(*training.PRICES, len(training.WINES))]),
            training.true_demand(x[:, :4], x[:, 4])[:, None],
        ),
        "plant_section": lambda: (
            training.REACTOR,
            x := random.uniform(*np.transpose([training.TEMPERATURE, training.PRESSURE]), (500, 2)),
            training.true_conversion(*x.T)[:, None],
        ),
    }
    file, inputs, truth = pairs[script]()
    errors = load_onnx(file).value(inputs) - truth
    assert (errors.std(axis=0) < 0.2 * truth.std(axis=0)).all()
    assert (np.abs(errors.mean(axis=0)) < 0.1 * truth.std(axis=0)).all()


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.onnx")), ids=lambda path: path.stem)
def test_omlt_reads_the_networks_too(file):
    definition = load_onnx_neural_network(onnx.load(file))
    sizes = [layer.output_size[0] for layer in definition.layers]
    network = load_onnx(file)
    assert sizes == [network.n_inputs, *network.widths, network.n_outputs]


def five_open(random):
    """Choices (200, 14) of five stations each."""
    opened = np.zeros((200, 14))
    for row in opened:
        row[random.permutation(14)[:5]] = 1
    return opened


@pytest.fixture
def regularised(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    return importlib.import_module("train_regularised")


@pytest.mark.parametrize("clip", [np.inf, 0.6])
def test_the_trainer_has_the_gradients_of_the_cross_entropy_of_its_network(regularised, clip):
    random = np.random.default_rng(0)
    weights = [random.normal(size=shape) for shape in ((4, 6), (6, 5), (5, 3))]
    biases = [random.normal(size=size) for size in (6, 5, 3)]
    X, labels = random.normal(size=(9, 4)), random.integers(0, 3, 9)

    def loss():
        scores = regularised.to_network(weights, biases, clip).value(X)
        return np.mean(np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(9), labels])

    assert_derivatives(loss, [*weights, *biases], regularised.gradients(weights, biases, X, labels, clip))


def test_penalties_shrink_the_weights(regularised):
    images, labels = load_digits(return_X_y=True)
    plain, decayed, sparse = (
        np.concatenate(
            [layer.weights[0].ravel() for layer in regularised.train(images / 16, labels, epochs=8, **way).layers]
        )
        for way in ({}, {"weight_decay": 5.0}, {"l1": 1.0})
    )
    assert (plain != 0).all()
    assert abs(decayed).sum() < 0.9 * abs(plain).sum()
    assert (sparse == 0).mean() > 0.3
