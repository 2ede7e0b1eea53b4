"""Verdicts on properties: never a wrong one, against enumeration, samples and an independent MILP."""

from pathlib import Path

import numpy as np
import pytest
from milp_oracle import exact_optimum
from random_models import random_network

from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.network import Network
from pyomo_relugrad.readers.onnx import load_onnx
from pyomo_relugrad.readers.vnnlib import Case, Property, load_vnnlib, parse_vnnlib
from pyomo_relugrad.run import Stop
from pyomo_relugrad.solve import Answer, OpenCase, Verdict, verify
from pyomo_relugrad.solve.verdicts import verification as verification_module
from pyomo_relugrad.solve.verdicts.counterexample import violation_problem
from pyomo_relugrad.solve.verdicts.query import query_of
from pyomo_relugrad.solve.verdicts.verification import screen

NETWORKS = Path(__file__).parents[2] / "shared" / "networks" / "vnncomp"
BOX = """(declare-const X_0 Real)(declare-const X_1 Real)(declare-const Y_0 Real)
(assert (<= X_0 1))(assert (>= X_0 -1))(assert (<= X_1 1))(assert (>= X_1 -1))"""


def random_property(seed: int) -> tuple[Network, Property]:
    """A small network, and cases about as many of which are possible as not."""
    rng = np.random.default_rng(seed)
    sizes = ((2, 6, 2), (4, 6, 5, 2), (3, 5, 4, 4, 2), (8, 8, 2))[seed % 4]
    network, n = random_network(rng, sizes), sizes[0]
    values = network.value(rng.uniform(-1, 1, (500, n)))
    cases = []
    for _ in range(1 + seed % 3):
        rows = rng.normal(size=(1 + seed % 2, 2))
        least = (values @ rows.T).min(axis=0)
        width = (values @ rows.T).max(axis=0) - least
        limits = least + width * rng.uniform(-0.15, 0.02, len(rows))
        cases.append(Case(-np.ones(n), np.ones(n), np.zeros((len(rows), n)), rows, limits))
    return network, Property(n, 2, tuple(cases))


@pytest.mark.parametrize("seed", range(24))
def test_verdicts_are_those_of_an_independent_program(seed):
    network, property_ = random_property(seed)
    least = [exact_optimum(violation_problem(network, case)) for case in property_.cases]
    verdict = verify(network, property_, time_limit=20, seed=seed)
    if min(least) > 1e-5:
        assert verdict.answer is Answer.HOLDS
    elif min(least) < -1e-5:
        assert verdict.answer is Answer.VIOLATED
        found = verdict.counterexample
        assert found.case.violation(found.x, found.y) <= 0.0
        assert np.array_equal(network.value(found.x[None])[0], found.y)
    assert (screen(query_of(network, property_).questions) <= np.array(least) + 1e-9).all()


def test_proofs_use_as_many_cores_as_are_given(monkeypatch):
    network, property_ = random_property(0)
    threads, solve = [], verification_module.solve_exactly

    def asked(problem, options, **more):
        threads.append(options.threads)
        return solve(problem, options, **more)

    monkeypatch.setattr(verification_module, "screen", lambda questions: np.full(len(questions), -np.inf))
    monkeypatch.setattr(verification_module, "solve_exactly", asked)
    verify(network, property_, threads=1)
    assert set(threads) == {1}
    with pytest.raises(ModelError, match="threads"):
        verify(network, property_, threads=0)


def test_rows_on_inputs_and_a_case_without_rows_count():
    network = Network.from_layers([np.eye(2), np.ones((1, 2))], [np.zeros(2), np.zeros(1)])
    text = "(assert (<= (+ X_0 X_1) -0.5))(assert (>= Y_0 {}))"
    for at_least, answer in ((1.2, Answer.HOLDS), (0.4, Answer.VIOLATED)):  # 0.5 at (0.5, -1)
        assert verify(network, parse_vnnlib(BOX + text.format(at_least)), time_limit=20).answer is answer
    assert verify(network, parse_vnnlib(BOX)).answer is Answer.VIOLATED


def test_a_property_without_a_possible_case_holds():
    network = Network.from_layers([np.eye(2), np.ones((1, 2))], [np.zeros(2), np.zeros(1)])
    assert verify(network, parse_vnnlib(BOX + "(assert (>= X_0 2))")).answer is Answer.HOLDS


def test_what_is_left_is_told(monkeypatch):
    network, property_ = random_property(1)
    monkeypatch.setattr(verification_module, "SCREENING_STEPS", 0)
    least = [exact_optimum(violation_problem(network, case)) for case in property_.cases]
    limit = property_.cases[0].limits - 0.01 * abs(least[0]) + least[0]
    case = property_.cases[0]
    tight = Property(4, 2, (Case(case.lower, case.upper, case.input_rows, case.output_rows, limit),))
    verdict = verify(network, tight, time_limit=0.0)
    assert verdict.answer is Answer.UNKNOWN
    (left,) = verdict.open_cases
    assert left.index == 0
    assert left.bound < exact_optimum(violation_problem(network, tight.cases[0])) <= left.violation


def test_a_bound_within_the_tolerances_of_programs_is_no_proof(monkeypatch):
    network, property_ = random_property(1)
    real = verification_module.solve_exactly

    def barely(*arguments, **options):
        result = real(*arguments, **options)
        return type(result)((), None, Stop.FINISHED, 0, 0, 0.0, (), bound=1e-7)

    monkeypatch.setattr(verification_module, "screen", lambda questions: np.full(len(questions), -np.inf))
    monkeypatch.setattr(verification_module, "solve_exactly", barely)
    assert verify(network, property_, time_limit=1).answer is Answer.UNKNOWN


def test_a_case_without_rows_does_not_hold_where_its_point_is_no_counterexample(monkeypatch):
    network = random_network(np.random.default_rng(0), (2, 4, 1))
    question, options = query_of(network, parse_vnnlib(BOX)).questions[0], verification_module.Options()
    query = query_of(network, parse_vnnlib(BOX))
    assert (verification_module._decide(query, question, options).x <= 1.0).all()
    monkeypatch.setattr(type(query), "counterexample", lambda *_: None)
    assert verification_module._decide(query, question, options) == (-np.inf, np.inf)


def test_a_property_of_another_network_is_refused():
    network = random_network(np.random.default_rng(0), (3, 4, 1))
    with pytest.raises(ModelError, match="the property has 2 inputs and 1 outputs, but the network has 3 and 1"):
        verify(network, parse_vnnlib(BOX))


@pytest.mark.skipif(not NETWORKS.exists(), reason="needs the collection of networks")
@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("10_0.03", Answer.HOLDS),
        pytest.param("1_0.05", Answer.VIOLATED, marks=pytest.mark.slow),
    ],
)
def test_whether_an_image_is_read_alike_all_over_a_ball(name, answer):
    network = load_onnx(NETWORKS / "mnist-net_256x2.onnx")
    assert verify(network, load_vnnlib(NETWORKS / f"mnist_fc_prop_{name}.vnnlib"), time_limit=60).answer is answer


def test_a_verdict_is_a_line():
    left = tuple(OpenCase(index, 0.0, np.inf) for index in range(2))
    assert repr(Verdict(Answer.HOLDS, None, (), 0.25)) == "<Verdict: holds after 0.25 s>"
    assert repr(Verdict(Answer.UNKNOWN, None, left, 60.0)) == "<Verdict: unknown after 60.00 s, 2 cases undecided>"
