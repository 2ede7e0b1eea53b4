"""VNN-LIB 2.0: networks and their tensors, what assertions say of them, and what is refused."""

import numpy as np
import pytest

from pyomo_relugrad.errors import PropertyFileError
from pyomo_relugrad.readers.vnnlib import Tensor, parse_vnnlib

ONE = """(vnnlib-version <2.0>)
(declare-network f (declare-input X float32 [1,3]) (declare-output Y real [2]))
"""
TWO = """(vnnlib-version <2.0>)
(declare-network f (declare-input X real [2]) (declare-output Y real []))
(declare-network g (equal-to f) (declare-input U real [2]) (declare-output V real []))
"""


def cases(assertions, head=ONE):
    return parse_vnnlib(head + assertions).cases


def test_networks_and_their_tensors():
    read = parse_vnnlib(
        """(vnnlib-version <2.0>) ; a comment
        (declare-network f
            (declare-input image Real [1, 2,3] "pixels")
            (declare-input state float16 [2] "x:0")
            (declare-output scores float64 [1,2] "y"))
        (declare-network g (isomorphic-to f)
            (declare-input A real [1,2,3]) (declare-input B real [2]) (declare-output C real [1,2]))
        """
    )
    first, second = read.networks
    assert first.inputs == (Tensor("image", "Real", (1, 2, 3), "pixels"), Tensor("state", "float16", (2,), "x:0"))
    assert (first.n_inputs, first.n_outputs, second.isomorphic_to, second.equal_to) == (8, 2, "f", "")
    assert (read.n_inputs, read.n_outputs, len(read.cases)) == (16, 4, 1)
    values = {tensor.name: value for tensor, value in read.tensors(np.arange(16.0), np.arange(4.0)).items()}
    assert list(values) == ["image", "state", "scores", "A", "B", "C"]
    assert values["A"].tolist() == [[[8.0, 9.0, 10.0], [11.0, 12.0, 13.0]]]
    assert values["C"].tolist() == [[2.0, 3.0]]


def test_indices_count_row_by_row():
    head = "(declare-network f (declare-input X real [2,3]) (declare-output Y real [2,1]))"
    (case,) = cases("(assert (and (<= X[1,0] 1) (>= X [0, 2] -1) (<= Y[1,0] (* 2 Y[0,0] 3))))", head)
    assert case.upper.tolist() == [np.inf, np.inf, np.inf, 1.0, np.inf, np.inf]
    assert case.lower[2] == -1.0
    assert case.output_rows.tolist() == [[-6.0, 1.0]]


def test_arithmetic_has_any_number_of_operands():
    (case,) = cases("(assert (<= (+ Y[0] Y[1] X[0,0] (- 8 2 1) (- X[0,1]) (* 2 3 X[0,2])) 0))")
    assert case.output_rows.tolist() == [[1.0, 1.0]]
    assert case.input_rows.tolist() == [[1.0, -1.0, 6.0]]
    assert case.limits.tolist() == [-5.0]


def test_strict_comparisons_are_not_satisfied_by_equal_sides():
    (case,) = cases("(assert (< Y[0] Y[1])) (assert (<= Y[0] 1)) (assert (> X[0,0] 2))")
    assert case.strict.tolist() == [True, False, True]
    assert case.lower[0] == 2.0
    x = np.array([3.0, 0.0, 0.0])
    assert case.violation(x, np.array([0.5, 0.75])) <= 0.0
    assert case.violation(x, np.array([0.5, 0.5])) > 0.0
    assert case.violation(np.array([2.0, 0.0, 0.0]), np.array([0.5, 0.75])) > 0.0


def test_unequal_sides_are_two_cases():
    first, second = cases("(assert (!= Y[0] Y[1]))")
    assert first.output_rows.tolist() == [[1.0, -1.0]]
    assert second.output_rows.tolist() == [[-1.0, 1.0]]
    assert first.strict.all()
    assert second.strict.all()


def test_an_open_interval_of_one_point_is_empty():
    assert cases("(assert (and (< X[0,0] 1) (>= X[0,0] 1)))") == ()
    assert len(cases("(assert (and (<= X[0,0] 1) (>= X[0,0] 1)))")) == 1
    assert len(cases("(assert (and (<= X[0,0] 1) (>= X[0,0] 1) (< X[0,0] 2)))")) == 1


def test_equal_inputs_are_links():
    (case,) = cases(
        "(assert (== X[0] U[0])) (assert (<= X[1] U[1])) (assert (>= X[1] U[1])) (assert (< Y V))"
        "(assert (<= X[0] X[1])) (assert (== X[0] (+ U[1] 1)))",
        TWO,
    )
    assert case.links.tolist() == [[0, 2], [1, 3]]
    assert case.output_rows.tolist() == [[1.0, -1.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]
    assert case.input_rows[1].tolist() == [1.0, -1.0, 0.0, 0.0]
    x = np.array([1.0, 2.0, 1.0, 2.5])
    assert case.violation(x, np.array([0.0, 1.0])) >= 0.5


def test_the_version_may_be_told_of_the_first_format_too():
    text = "(declare-const X_0 Real)(declare-const Y_0 Real)(assert (<= X_0 1))"
    assert parse_vnnlib("(vnnlib-version <1.0>)" + text).networks == ()
    assert parse_vnnlib(ONE.replace("<2.0>", "2.1")).n_inputs == 3


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("(vnnlib-version <3.0>)", "line 1: VNN-LIB '<3.0>' is not known: write it in 1.0 or 2.0"),
        ("(vnnlib-version)", "line 1: VNN-LIB '' is not known"),
        ("(vnnlib-version <2.0>)", "no network is declared"),
        (ONE + "(assert (<= (* X[0,0] X[0,1]) 1))", "line 3: a product of variables is not linear"),
        (ONE + "(assert (<= X[0] 1))", r"line 3: 'X\[0\]' is no entry of X, whose shape is \[1,3\]"),
        (ONE + "(assert (<= X[0,3] 1))", r"'X\[0,3\]' is no entry of X"),
        (ONE + "(assert (<= X[0,-1] 1))", r"'X\[0,-1\]' is no entry of X"),
        (ONE + "(assert (<= X[0 1] 1))", r"'X\[0 1\]' is no entry of X"),
        (ONE + "(assert (<= Y[0 1] 1))", r"'Y\[0 1\]' is no entry of Y"),
        (ONE + "(assert (<= Y 1))", r"'Y' is no entry of Y, whose shape is \[2\]"),
        (ONE + "(assert (<= Z[0] 1))", r"the variable 'Z\[0\]' is not declared"),
        (ONE + "(assert (<= Y[0] inf))", "the variable 'inf' is not declared"),
        (ONE + "(assert (<= Y[0] 1_0))", "'1_0' is neither a number nor a variable"),
        (ONE + "(assert (<= Y[0] 1e999))", "'1e999' is not finite"),
        (ONE + "(assert (not (<= Y[0] 1)))", "'not' with 1 arguments is not a condition of VNN-LIB 2.0"),
        (ONE + "(assert (=> (<= Y[0] 1) (<= Y[1] 1)))", "'=>' with 2 arguments is not a condition of VNN-LIB 2.0"),
        (ONE + "(assert (<= Y[0] 1)) (declare-network g)", "networks are declared by declare-network, and assertions"),
        (ONE + "(declare-const Z Real)", "'declare-const' is not what VNN-LIB 2.0 has here"),
        (ONE + "(declare-network f (declare-input A real [1]))", "'f' is not a new name for a network"),
        (ONE + "(declare-network g (declare-input A real [1]))", "the network g has no inputs or no outputs"),
        (ONE + "(declare-network g (declare-hidden H real [1] 'h'))", "declare-hidden: hidden values"),
        (ONE + "(declare-network g (declare-thing H real [1]))", "begins with 'declare-thing' is not a part"),
        (ONE + "(declare-network g (declare-input X real [1]))", r"a tensor has a new name, .* not 'X real \[1\]'"),
        (ONE + "(declare-network g (declare-input A real 3))", "a tensor has a new name, a type and a shape"),
        (ONE + "(declare-network g (declare-input A int8 [1]))", "the tensor A is of type 'int8'; real, float16"),
        (ONE + "(declare-network g (declare-input A real [0]))", "the tensor A has 0 entries"),
        (ONE + "(declare-network g (declare-input A real [99999,99999]))", "the tensor A has 9999800001 entries"),
        (ONE + "(declare-network g (equal-to h))", "the network g is equal-to 'h', which must be a network"),
        (
            TWO + "(declare-network h (equal-to g) (declare-input A real [2]) (declare-output B real []))",
            "which must be a network that is declared before it, without such a relation",
        ),
        (
            ONE + "(declare-network g (equal-to f) (declare-input A real [3]) (declare-output B real [2]))",
            "the network g is equal or isomorphic to a network of other shapes",
        ),
        (
            ONE + '(declare-network g (declare-input A real [1] "a") (declare-input B real [1]))',
            "some tensors of the network g have names in the file and some have none",
        ),
    ],
)  # fmt: skip
def test_refusals_name_what_is_wrong(text, reason):
    with pytest.raises(PropertyFileError, match=f"^property: .*{reason}"):
        parse_vnnlib(text)
