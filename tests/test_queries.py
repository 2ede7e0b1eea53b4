"""Properties of several networks: what their networks are, inputs that are linked, and verdicts on them."""

import numpy as np
import pytest
from milp_oracle import exact_optimum
from random_models import random_network

from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.network import Network, TensorSpec
from pyomo_relugrad.network.curves import TANH
from pyomo_relugrad.readers.vnnlib import Case, parse_vnnlib
from pyomo_relugrad.solve import Answer, find_counterexample, verify
from pyomo_relugrad.solve.verdicts.counterexample import best_sample, violation_problem
from pyomo_relugrad.solve.verdicts.query import query_of
from pyomo_relugrad.solve.verdicts.question import Question

TWO = """(vnnlib-version <2.0>)
(declare-network f (declare-input X real [2]) (declare-output Y real [1]))
(declare-network g (declare-input U real [1,2]) (declare-output V real []))
(assert (and (<= X[0] 1) (>= X[0] -1) (<= X[1] 1) (>= X[1] -1)))
"""
LINKED = "(assert (== X[0] U[0,0])) (assert (== U[0,1] X[1]))"


def networks(seed=0):
    rng = np.random.default_rng(seed)
    return {"f": random_network(rng, (2, 6, 4, 1)), "g": random_network(rng, (2, 5, 1))}


def differences(pair, sign):
    """The difference of both networks' values on a fine grid."""
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, 101)] * 2), axis=-1).reshape(-1, 2)
    return sign * (pair["f"].value(grid) - pair["g"].value(grid))[:, 0]


def test_linked_inputs_are_one_input():
    pair = networks()
    (question,) = query_of(pair, parse_vnnlib(TWO + LINKED + "(assert (<= Y[0] V))")).questions
    assert question.places.tolist() == [0, 1, 0, 1]
    assert question.network.widths == (11, 4)
    points = np.random.default_rng(1).uniform(-1, 1, (20, 2))
    expected = np.column_stack([pair["f"].value(points), pair["g"].value(points)])
    assert np.allclose(question.network.value(points), expected)


@pytest.mark.parametrize("seed", range(4))
def test_verdicts_on_the_difference_of_two_networks(seed):
    pair = networks(seed)
    values = differences(pair, 1.0)
    for limit, answer in ((values.max() + 0.3, Answer.HOLDS), (values.max() - 0.01, Answer.VIOLATED)):
        property_ = parse_vnnlib(TWO + LINKED + f"(assert (>= (- Y[0] V) {limit}))")
        verdict = verify(pair, property_, time_limit=20)
        assert verdict.answer is answer
        (question,) = query_of(pair, property_).questions
        assert (exact_optimum(violation_problem(question.network, question.case)) > 0) == (answer is Answer.HOLDS)
    found = find_counterexample(pair, property_, time_limit=10)
    for point in (verdict.counterexample, found):
        assert np.array_equal(point.x[:2], point.x[2:])
        assert pair["f"].value(point.x[None, :2])[0, 0] - pair["g"].value(point.x[None, 2:])[0, 0] >= limit


def test_inputs_that_are_not_linked_are_on_their_own():
    pair = networks()
    text = TWO + "(assert (and (<= U[0,0] 1) (>= U[0,0] -1) (<= U[0,1] X[1]) (== U[0,1] 0.25)))(assert (<= Y[0] V))"
    verdict = verify(pair, parse_vnnlib(text), time_limit=20)
    assert verdict.answer is Answer.VIOLATED
    x = verdict.counterexample.x
    assert 0.25 == x[3] <= x[1]


def test_a_network_may_be_asked_about_twice():
    network = Network.from_layers([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])  # |x|
    text = """(vnnlib-version <2.0>)
    (declare-network f (declare-input A real [1]) (declare-output B real [1]))
    (declare-network g (equal-to f) (declare-input C real [1]) (declare-output D real [1]))
    (assert (and (<= A[0] 2) (>= A[0] {}) (<= C[0] 2) (<= A[0] (- C[0] 0.1)))) (assert (> B[0] D[0]))"""
    for least, answer in ((0.0, Answer.HOLDS), (-1.0, Answer.VIOLATED)):  # |x| grows where x is positive
        property_ = parse_vnnlib(text.format(least) + f"(assert (>= C[0] {least}))")
        assert verify(network, property_, time_limit=10).answer is answer
        assert verify({"f": network}, property_, time_limit=10).answer is answer


def test_a_strict_property_is_not_violated_by_equality():
    network = Network.from_layers([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])  # |x|
    text = """(declare-network f (declare-input A real [1]) (declare-output B real []))
    (assert (and (<= A[0] 2) (>= A[0] -2)))"""
    assert verify(network, parse_vnnlib(text + "(assert (< B 0))"), time_limit=1).answer is Answer.UNKNOWN
    found = verify(network, parse_vnnlib(text + "(assert (> B 1.9))"), time_limit=10).counterexample
    assert found.y[0] > 1.9


def test_samples_are_judged_as_by_the_network_of_violations():
    """Which is positive where a row does not hold."""
    rng = np.random.default_rng(5)
    network = random_network(rng, (3, 6, 2))
    for limits in (np.array([0.5, -0.25]), np.array([-40.0, -30.0])):
        case = Case(-np.ones(3), np.ones(3), rng.normal(size=(2, 3)), rng.normal(size=(2, 2)), limits)
        smallest, point = best_sample(network, case, 0.01, rng)
        problem = violation_problem(network, case)
        assert smallest == pytest.approx(problem.propagate(np.append(point, 0.0)[None])[0, -1], rel=1e-12, abs=1e-12)


def test_smooth_networks_stand_beside_others():
    rng = np.random.default_rng(3)
    smooth = Network.from_layers(
        [rng.normal(size=(4, 2)), rng.normal(size=(1, 4))], [rng.normal(size=4), [0.0]], "", TANH
    )
    pair = {"f": networks()["f"], "g": smooth}
    values = differences(pair, -1.0)
    for limit, answer in ((values.max() + 0.3, Answer.HOLDS), (values.max() - 0.01, Answer.VIOLATED)):
        text = TWO + LINKED + f"(assert (>= (- V Y[0]) {limit}))"
        assert verify(pair, parse_vnnlib(text), time_limit=20).answer is answer


def test_tensors_are_found_by_their_names_in_the_file():
    rng = np.random.default_rng(0)
    specs = {
        "inputs": (TensorSpec("a", (1,)), TensorSpec("b", (2,))),
        "outputs": (TensorSpec("y", (1,)), TensorSpec("z", (1,))),
    }
    plain = random_network(rng, (3, 4, 2))
    network = Network(3, plain.layers, **specs)
    text = """(declare-network f (declare-input B real [2] "b") (declare-input A real [1] "a")
    (declare-output Z real [1] "z") (declare-output Y real [1] "y"))
    (assert (and (<= B[0] 1) (>= B[0] 0) (<= B[1] 1) (>= B[1] 0) (<= A[0] 1) (>= A[0] 0)))"""
    query = query_of(network, parse_vnnlib(text))
    b, a = np.array([0.25, 0.5]), np.array([0.75])
    assert np.allclose(query.outputs(np.concatenate([b, a])), plain.value([[*a, *b]])[0, ::-1])
    with pytest.raises(ModelError, match="declares the inputs of the network f as c of 2, a of 1 entries, but the net"):
        query_of(network, parse_vnnlib(text.replace('"b"', '"c"')))
    with pytest.raises(ModelError, match="no finite bounds on the input A"):
        query_of(network, parse_vnnlib(text.replace("(<= A[0] 1)", "")))


def test_rows_of_unusual_size_are_scaled():
    network = networks()["f"]
    text = "(declare-network f (declare-input X real [2]) (declare-output Y real [1]))" + TWO.splitlines()[3]
    value = network.value(np.random.default_rng(0).uniform(-1, 1, (5000, 2))).max()
    for factor in (1e9, 1e-9):
        for limit, answer in ((value + 0.5, Answer.HOLDS), (value - 0.01, Answer.VIOLATED)):
            asked = parse_vnnlib(f"{text}(assert (>= (* {factor} Y[0]) {factor * limit}))")
            (question,) = query_of(network, asked).questions
            assert 1.0 <= question.scales[0] / factor < 1e3
            assert verify(network, asked, time_limit=10).answer is answer


def test_a_bound_of_scaled_rows_is_none_above_what_it_bounds():
    rng, network = np.random.default_rng(0), Network.from_layers([[[1.0]]], [[0.0]])
    case = Case(np.zeros(1), np.ones(1), np.zeros((3, 1)), np.ones((3, 1)), np.zeros(3))
    for scales in np.exp2(rng.integers(-3, 4, (50, 3))):
        question = Question(0, case, network, np.zeros(1, int), scales)
        for violations in (rng.normal(size=3), -rng.random(3), rng.random(3)):
            bound = question.unscaled(float((violations / scales).max()))
            assert bound <= violations.max()
            assert np.sign(bound) == np.sign(violations.max())
    assert question.unscaled(1.0) == scales.min()
    assert question.unscaled(-1.0) == -scales.max()


def test_rows_are_not_scaled_up_where_only_their_values_are_small():
    network = Network.from_layers([[[1.0]], [[1.0]]], [[-0.999], [0.0]])  # nearly always 0
    text = "(declare-network f (declare-input X real [1]) (declare-output Y real []))"
    text += "(assert (and (<= X[0] 1) (>= X[0] -1) (>= Y 1e-5)))"
    (question,) = query_of(network, parse_vnnlib(text)).questions
    assert question.scales.tolist() == [1.0]
    assert (question.unscaled(2.0), question.unscaled(-2.0)) == (2.0, -2.0)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({}, "the property is about the networks f, g: give a dict with one network under each of these names$"),
        (networks()["f"], "give a dict with one network under each of these names"),
        ({**networks(), "h": networks()["f"]}, "and none named h"),
        ({"f": networks()["f"], "g": networks()["g"].with_names(), "X": None}, "and none named X"),
    ],
)
def test_networks_are_given_by_name(given, reason):
    with pytest.raises(ModelError, match=reason):
        query_of(given, parse_vnnlib(TWO))


def test_networks_that_are_no_match_are_refused():
    declared = "(equal-to f) (declare-input U real [2]) (declare-output V real [1])"
    equal = TWO.replace("(declare-input U real [1,2]) (declare-output V real [])", declared)
    with pytest.raises(ModelError, match="the property says that the network g is f: give the same for both, or f"):
        query_of(networks(), parse_vnnlib(equal))
    with pytest.raises(ModelError, match=r"VNN-LIB 1\.0, and so of one network: give that, without a name"):
        query_of(networks(), parse_vnnlib("(declare-const X_0 Real)(declare-const Y_0 Real)"))
    wrong = {**networks(), "g": random_network(np.random.default_rng(0), (3, 4, 1))}
    with pytest.raises(
        ModelError, match="declares the inputs of the network g as U of 2 entries, but the network has one of 3"
    ):
        query_of(wrong, parse_vnnlib(TWO))
    with pytest.raises(ModelError, match=r"no finite bounds on the input U\[0,0\]"):
        query_of(networks(), parse_vnnlib(TWO))
