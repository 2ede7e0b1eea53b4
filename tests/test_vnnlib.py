"""VNN-LIB properties: what files say, and what is refused."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyomo_relugrad.errors import PropertyFileError
from pyomo_relugrad.readers.vnnlib import load_vnnlib, parse_vnnlib

NETWORKS = Path(__file__).parents[2] / "shared" / "networks" / "vnncomp"
PROPERTY_FILES = sorted(NETWORKS.glob("*.vnnlib"))
HEAD = "(declare-const X_0 Real)(declare-const X_1 Real)(declare-const Y_0 Real)(declare-const Y_1 Real)\n"


def cases(assertions):
    return parse_vnnlib(HEAD + assertions).cases


def test_box_and_rows():
    (case,) = cases(
        """
        ; a comment (with parentheses
        (assert (<= X_0 1.5)) (assert (>= X_0 -1e-1)) ; another
        (assert (<= 0.25 X_1))
        (assert (>= Y_0 (+ Y_1 3.0)))
        """
    )
    assert case.lower.tolist() == [-0.1, 0.25]
    assert case.upper.tolist() == [1.5, np.inf]
    assert case.output_rows.tolist() == [[-1.0, 1.0]]
    assert case.limits.tolist() == [-3.0]
    assert not case.input_rows.any()


def test_tightest_bound_wins():
    (case,) = cases("(assert (<= X_0 2)) (assert (<= X_0 1)) (assert (<= X_0 3)) (assert (<= (* 2 X_1) 1))")
    assert case.upper.tolist() == [1.0, 0.5]


def test_negative_factor_turns_a_bound_round():
    (case,) = cases("(assert (<= (- X_0) 2)) (assert (>= (* X_1 -2.0) (- 4.0)))")
    assert case.lower.tolist() == [-2.0, -np.inf]
    assert case.upper.tolist() == [np.inf, 2.0]


def test_linear_expressions():
    (case,) = cases("(assert (<= (- (* 2.0 Y_0) Y_1 1.0) (+ X_0 (* X_1 3.0 0.5) 4.0)))")
    assert case.input_rows.tolist() == [[-1.0, -1.5]]
    assert case.output_rows.tolist() == [[2.0, -1.0]]
    assert case.limits.tolist() == [5.0]


def test_equality_is_two_rows():
    (case,) = cases("(assert (= Y_0 Y_1)) (assert (= X_0 0.5))")
    assert case.output_rows.tolist() == [[1.0, -1.0], [-1.0, 1.0]]
    assert case.lower[0] == case.upper[0] == 0.5


def test_or_gives_cases():
    first, second = cases("(assert (<= X_0 1)) (assert (or (and (<= Y_0 1) (<= Y_1 2)) (and (>= Y_0 3))))")
    assert first.limits.tolist() == [1.0, 2.0]
    assert second.limits.tolist() == [-3.0]
    assert first.upper[0] == second.upper[0] == 1.0


def test_or_of_input_boxes():
    first, second = cases("(assert (or (and (<= X_0 1) (>= X_0 0)) (and (<= X_0 3) (>= X_0 2)))) (assert (<= Y_0 0))")
    assert (first.lower[0], first.upper[0]) == (0.0, 1.0)
    assert (second.lower[0], second.upper[0]) == (2.0, 3.0)


def test_several_ors_are_multiplied_out():
    assert len(cases("(assert (or (<= Y_0 1) (<= Y_1 1))) (assert (or (<= X_0 1) (<= X_1 1) (<= X_1 2)))")) == 6


def test_nested_ors_are_multiplied_out():
    assert len(cases("(assert (and (or (<= Y_0 1) (or (<= Y_1 1) (<= Y_1 0))) (or (<= X_0 1) (<= X_1 1))))")) == 6


def test_contradicting_case_is_left_out():
    assert cases("(assert (<= X_0 0)) (assert (>= X_0 1))") == ()


def test_declared_as_functions():
    text = HEAD.replace("declare-const", "declare-fun").replace(" Real", " () Real")
    assert parse_vnnlib(text + "(assert (<= X_0 1))").n_inputs == 2


SMALL = st.integers(-3, 3)
CLAUSES = st.lists(st.lists(st.lists(SMALL, min_size=5, max_size=5), min_size=1, max_size=3), min_size=1, max_size=3)


@settings(max_examples=50, deadline=None)
@given(CLAUSES, st.lists(SMALL, min_size=4, max_size=4))
def test_cases_hold_where_the_formula_holds(clauses, point):
    """Random conjunctions of disjunctions of inequalities, evaluated directly and through the cases."""

    def inequality(row):
        sides = zip(row, ("X_0", "X_1", "Y_0", "Y_1"), strict=False)
        return f"(<= (+ {' '.join(f'(* {value} {name})' for value, name in sides)}) {row[4]})"

    text = " ".join(f"(assert (or {' '.join(map(inequality, clause))}))" for clause in clauses)
    expected = all(any(np.dot(row[:4], point) <= row[4] for row in clause) for clause in clauses)
    x, y = np.array(point[:2], float), np.array(point[2:], float)
    assert any(case.violation(x, y) <= 1e-9 for case in cases(text)) == expected


@pytest.mark.parametrize(
    ("assertions", "reason"),
    [
        ("(assert (<= X_0 1)", "line 2: a list that is not closed"),
        ("(assert (<= X_0 1)))", "line 2: a closing parenthesis"),
        ("\n(assert (<= X_7 1))", "line 3: the variable X_7 is not declared"),
        ("(assert (< X_0 1))", "'<' with 2 arguments is not a condition"),
        ("(assert (not (<= X_0 1)))", "'not' with 1 arguments"),
        ("(assert (<= X_0))", "'<=' with 1 arguments"),
        ("(assert (<= X_0 nan))", "'nan' is not finite"),
        ("(assert (<= X_0 one))", "'one' is neither a number nor a variable"),
        ("(assert (<= (* X_0 Y_0) 1))", "a product of variables is not linear"),
        ("(assert (<= (/ X_0 2) 1))", "'/' is not a linear expression"),
        ("(assert (<= () 1))", "'' is not a linear expression"),
        ("(assert X_0)", "expected a condition"),
        ("(check-sat)", "'check-sat' is not a declaration or an assertion"),
        ("stray", "expected declarations and assertions"),
        ("(declare-const Z_0 Real)", "only real variables"),
        ("(declare-const X_2 Int)", "only real variables"),
        ("(declare-const X_5 Real)", r"X_0, X_1, \.\.\. are not declared without a gap"),
        ("(declare-const X_999999999999 Real)", "the index of X_999999999999 is too large"),
        ("(" * 200, "nested more than"),
        ("(assert (or (<= X_0 1) (<= X_1 1)))" * 20, "more than 100000 cases"),
    ],
)
def test_refusals_name_file_and_line(assertions, reason):
    with pytest.raises(PropertyFileError, match=f"^property: .*{reason}"):
        parse_vnnlib(HEAD + assertions)


def test_files(tmp_path):
    text = HEAD + "(assert (<= X_0 1))"
    (tmp_path / "plain.vnnlib").write_text(text)
    (tmp_path / "small.vnnlib.gz").write_bytes(gzip.compress(text.encode()))
    assert load_vnnlib(tmp_path / "plain.vnnlib").name == "plain"
    assert load_vnnlib(str(tmp_path / "small.vnnlib.gz")).cases[0].upper[0] == 1.0
    (tmp_path / "broken.vnnlib.gz").write_bytes(gzip.compress(text.encode())[:20])
    (tmp_path / "binary.vnnlib").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PropertyFileError, match=r"cannot be read: there is no such file"):
        load_vnnlib(tmp_path / "absent.vnnlib")
    for name in ("broken.vnnlib.gz", "binary.vnnlib"):
        with pytest.raises(PropertyFileError, match=f"{name} cannot be read"):
            load_vnnlib(tmp_path / name)


@pytest.mark.skipif(not NETWORKS.is_dir(), reason="the folder of real networks is not there")
@pytest.mark.parametrize("path", PROPERTY_FILES, ids=[path.stem for path in PROPERTY_FILES])
def test_real_files(path):
    read = load_vnnlib(path)
    assert (read.n_inputs, read.n_outputs) == ((5, 5) if path.stem.startswith("acasxu") else (784, 10))
    expected = {"acasxu_prop_1": 1, "acasxu_prop_7": 2}.get(path.stem, 9 if path.stem.startswith("mnist") else 1)
    assert len(read.cases) == expected
    assert all(np.isfinite(case.lower).all() and np.isfinite(case.upper).all() for case in read.cases)
    if path.stem == "acasxu_prop_1":
        assert read.cases[0].limits.tolist() == [-3.991125645861615]
