"""The HiGHS wrapper: statuses, duals, changes that keep the basis, starts."""

import _thread
import threading

import numpy as np
import pytest
from scipy import sparse

from pyomo_relugrad.errors import RelugradError
from pyomo_relugrad.programs import LinearProgram, LinearStatus, linear_program, solver_threads
from pyomo_relugrad.programs.interruptible import LOOK_SECONDS, run_interruptibly

INF = np.inf


def small_program(**kwds) -> LinearProgram:
    """min -x - 2y over x + y <= 1.5 in the unit square."""
    rows = np.array([[1.0, 1.0]])
    return LinearProgram(np.array([-1.0, -2.0]), np.zeros(2), np.ones(2), rows, None, np.array([1.5]), **kwds)


def test_optimum_and_multipliers():
    solution = small_program().solve()
    assert solution.is_optimal
    np.testing.assert_allclose(solution.values, [0.5, 1.0])
    assert solution.objective == solution.bound == pytest.approx(-2.5)
    np.testing.assert_allclose(solution.row_duals, [-1.0])
    np.testing.assert_allclose(solution.column_duals, [0.0, -1.0])


def test_small_coefficients_of_large_columns_count():
    for rows, tail in (([[1e-10, 1.0]], None), (None, [[1e-10, 1.0]])):
        sides = (None, None) if rows is None else ([2.0], [2.0])
        program = LinearProgram(np.array([0.0, 1.0]), np.array([1e10, -5.0]), np.array([1e10, 5.0]), rows, *sides)
        if tail is not None:
            program.append_rows(sparse.csr_array(tail), np.array([2.0]), np.array([2.0]))
        assert program.solve().objective == pytest.approx(1.0)


def test_changes_act_on_the_next_solve():
    program = small_program()
    program.solve()
    program.change_costs(np.array([-3.0, -1.0]))
    assert program.solve().objective == pytest.approx(-3.5)
    program.change_bounds(np.zeros(1), np.full(1, 0.25), np.array([0]))
    assert program.solve().objective == pytest.approx(-1.75)
    program.change_row_bounds(np.array([0]), np.array([-INF]), np.array([0.5]))
    assert program.solve().objective == pytest.approx(-1.0)


def test_appended_and_replaced_rows():
    program = small_program()
    program.append_rows(np.array([[0.0, 1.0]]), np.array([-INF]), np.array([0.25]))
    assert program.solve().objective == pytest.approx(-1.5)
    program.replace_tail(1, sparse.csr_array([[0.0, 2.0]]), np.array([-INF]), np.array([1.0]))
    assert program.solve().objective == pytest.approx(-2.0)
    assert program.n_rows == 2
    program.truncate_rows(1)
    assert program.solve().objective == pytest.approx(-2.5)


def test_a_replaced_tail_of_the_same_size_keeps_the_basis():
    rng = np.random.default_rng(0)
    matrix, tail = rng.normal(size=(30, 40)), rng.normal(size=(10, 40))
    program = LinearProgram(rng.normal(size=40), np.zeros(40), np.ones(40), matrix, None, np.full(30, 1.0))
    program.append_rows(tail, np.full(10, -INF), np.full(10, 0.5))
    cold = program.solve().iterations
    program.replace_tail(30, tail * 1.001, np.full(10, -INF), np.full(10, 0.5))
    assert program.solve().iterations <= max(2, cold // 5)


def test_infeasible_unbounded_and_both_told_apart():
    program = small_program()
    program.append_rows(np.array([[1.0, 0.0]]), np.array([2.0]), np.array([INF]))
    solution = program.solve()
    assert (solution.status, solution.values, solution.bound) == (LinearStatus.INFEASIBLE, None, INF)
    free = LinearProgram(np.array([-1.0]), np.zeros(1), np.full(1, INF))
    assert free.solve().status is LinearStatus.UNBOUNDED
    contradiction = LinearProgram(
        np.array([-1.0, -1.0]), np.zeros(2), np.full(2, INF), np.array([[1.0, -1.0], [-1.0, 1.0]]), np.ones(2), None
    )
    assert contradiction.solve().status is LinearStatus.INFEASIBLE


@pytest.mark.parametrize("seed", [326, 656, 1156])
def test_points_with_next_to_no_room_are_not_taken_for_none(seed):
    """The presolve of HiGHS 1.16 finds these programs infeasible."""
    rng = np.random.default_rng(seed)
    rows = np.zeros((2, 5))
    rows[0, :3], rows[1, 2:] = rng.normal(size=3), rng.normal(size=3)
    point, room = rng.uniform(-1, 1, size=5), 10.0 ** rng.uniform(-9, -5, size=5)
    program = LinearProgram(np.zeros(5), point - room, point + room, rows, rows @ point, rows @ point)
    assert program.solve().is_optimal


def test_integers_and_their_bound():
    solution = small_program(integers=np.array([True, True])).solve()
    np.testing.assert_allclose(solution.values, [0.0, 1.0])
    assert solution.objective == pytest.approx(solution.bound) == pytest.approx(-2.0)
    assert solution.row_duals is None


def test_quadratic_objectives_and_their_change():
    program = LinearProgram(np.array([-1.0]), np.full(1, -9.0), np.full(1, 9.0), quadratic=sparse.csr_array([[2.0]]))
    assert program.solve().values[0] == pytest.approx(0.5, abs=1e-6)
    program.change_quadratic(sparse.csr_array([[4.0]]))
    assert program.solve().values[0] == pytest.approx(0.25, abs=1e-6)


def test_rows_with_huge_coefficients_are_not_put_to_the_quadratic_solver():
    program = LinearProgram(np.array([-1.0]), np.full(1, -9.0), np.full(1, 9.0), quadratic=sparse.csr_array([[2.0]]))
    program.append_rows(sparse.csr_array([[1e12]]), np.full(1, -np.inf), np.full(1, 1e12))
    assert program.solve().status is LinearStatus.FAILED
    program.truncate_rows(0)
    assert program.solve().objective == pytest.approx(-0.25)


def test_points_of_quadratic_programs_are_no_bounds():
    program = LinearProgram(np.array([-1.0]), np.full(1, -9.0), np.full(1, 9.0), quadratic=sparse.csr_array([[2.0]]))
    assert program.solve().bound == -INF


def test_a_time_limit_counts_from_each_solve():
    program = small_program()
    for _ in range(3):
        assert program.solve(time_limit=5.0).is_optimal


def test_what_highs_refuses_is_an_error():
    with pytest.raises(RelugradError, match="HiGHS does not take the option nonsense = 1"):
        small_program(options={"nonsense": 1})
    with pytest.raises(RelugradError, match=r"coefficients up to 1e\+16; it takes those below 1e15"):
        LinearProgram(np.ones(1), np.zeros(1), np.ones(1), np.array([[1e16]]), np.ones(1))


@pytest.mark.parametrize(
    ("coefficient", "lower", "upper"),
    [
        (1e15, 0.0, INF),
        (INF, 0.0, INF),
        (np.nan, 0.0, INF),
        (1.0, 6e122, 6e122),
        (1.0, -INF, -1e20),
        (1.0, np.nan, 1.0),
    ],
)
def test_rows_that_cannot_be_stated_make_solves_fail_until_they_are_replaced(coefficient, lower, upper):
    program = small_program()
    row, sides = np.array([[coefficient, 1.0]]), (np.array([lower]), np.array([upper]))
    program.append_rows(row, *sides)
    program.append_rows(np.array([[0.0, 1.0]]), np.array([-INF]), np.array([0.25]))
    program.start_from_basis(np.zeros(2, int), np.zeros(3, int))
    solution = program.solve()
    assert (solution.status, solution.values, solution.row_duals) == (LinearStatus.FAILED, None, None)
    assert (solution.objective, solution.bound) == (INF, -INF)
    program.replace_tail(1, row, *sides)
    assert program.solve().status is LinearStatus.FAILED
    program.replace_tail(1, np.array([[0.0, 1.0]]), np.array([-INF]), np.array([0.25]))
    assert program.solve().objective == pytest.approx(-1.5)


@pytest.mark.parametrize("number", [np.nan, 1e122])
def test_changes_that_cannot_be_stated_make_solves_fail_until_the_next(number):
    """Without that the program before the change would be solved in place of the one after it."""
    for change, wrong, right in [
        ("change_costs", [np.array([-1.0, np.where(number > 0, INF, number)])], [np.array([-1.0, -2.0])]),
        ("change_bounds", [np.array([0.0, number]), np.full(2, INF)], [np.zeros(2), np.ones(2)]),
        ("change_row_bounds", [np.zeros(1, int), [number], [INF]], [np.zeros(1, int), [-INF], [1.5]]),
    ]:
        program = small_program()
        getattr(program, change)(*wrong)
        assert program.solve().status is LinearStatus.FAILED, change
        program.change_bounds(np.zeros(1), np.ones(1), np.array([1]))
        assert program.solve().status is LinearStatus.FAILED, f"another {change}"
        getattr(program, change)(*right)
        assert program.solve().objective == pytest.approx(-2.5), change


def test_programs_run_after_others_chose_highs_threads():
    """HiGHS keeps one number of threads per process: a program that asked for its own would fail here."""
    with solver_threads():
        assert small_program(options={"threads": 2}).solve().is_optimal
        assert small_program().solve().is_optimal


class Endless:
    """What runs until it is told that its time is over, and is interrupted meanwhile."""

    def __init__(self):
        self.is_told = threading.Event()

    def run(self):
        _thread.interrupt_main()
        assert self.is_told.wait(60.0)

    def setOptionValue(self, name, value):  # noqa: N802 - as of HiGHS
        assert (name, value) == ("time_limit", 0.0)
        self.is_told.set()


def test_ctrl_c_ends_a_run_of_highs():
    with pytest.raises(KeyboardInterrupt):
        run_interruptibly(Endless())


def test_errors_of_a_run_come_through():
    with pytest.raises(AttributeError):
        run_interruptibly(None)


@pytest.mark.parametrize(("is_long", "limit"), [(True, np.inf), (True, 0.05), (False, np.inf)])
def test_ctrl_c_ends_what_may_take_long(is_long, limit, monkeypatch):
    def interrupted(highs):
        raise KeyboardInterrupt

    monkeypatch.setattr(linear_program, "run_interruptibly", interrupted)
    program = LinearProgram(np.ones(1), np.zeros(1), np.ones(1), integers=np.array([is_long]))
    if not is_long or limit < LOOK_SECONDS:
        assert program.solve(limit).objective == 0.0
        return
    with pytest.raises(KeyboardInterrupt):
        program.solve(limit)
    assert program.solve(limit).status is LinearStatus.FAILED  # HiGHS may still be at work
