"""Threads and standard output belong to the user: what a solve takes of them it gives back."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pyomo.environ as pyo
import pytest
from fresh_processes import run_code
from random_networks import random_network
from threadpoolctl import threadpool_info, threadpool_limits

import pyomo_relugrad as relugrad
from pyomo_relugrad.modeling.data_hull.extreme_points import extreme_points
from pyomo_relugrad.programs import lower_priority, solver_threads
from pyomo_relugrad.programs.threads import LOWER_PRIORITY

EXAMPLES = Path(__file__).parents[1] / "examples"


def blas_threads():
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


@pytest.fixture(autouse=True)
def two_blas_threads():
    with threadpool_limits(2, user_api="blas"):
        with solver_threads():  # leaves the control of BLAS's threads to any thread
            pass
        yield


def integer_model():
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(2), bounds=(0, 1))
    m.n = pyo.Var(bounds=(0, 3), domain=pyo.Integers)
    m.nn = relugrad.ReluNetworkBlock(network=random_network((2, 6, 1), 0), inputs=m.x)
    m.row = pyo.Constraint(expr=m.x[0] + m.x[1] + m.n <= 2.5)
    m.best = pyo.Objective(expr=m.nn.outputs[0] + m.n, sense=pyo.maximize)
    return m


def test_blas_has_one_thread_while_something_is_solved_and_its_own_number_afterwards():
    seen = []
    for solver in ("relugrad", "relugrad.exact"):
        pyo.SolverFactory(solver).solve(integer_model(), callback=lambda _: seen.append(blas_threads()))
    relugrad.maximize(random_network((3, 5, 1), 1), lower=0, upper=1, callback=lambda _: seen.append(blas_threads()))
    assert len(seen) >= 3
    assert all(threads == {1} for threads in seen)
    assert blas_threads() == {2}


def test_the_number_is_restored_after_an_error():
    @solver_threads()
    def fail():
        raise RuntimeError(f"inside with {blas_threads()}")

    with pytest.raises(RuntimeError, match=r"inside with \{1\}"):
        fail()
    assert blas_threads() == {2}


def test_the_first_of_two_solves_side_by_side_leaves_the_other_its_limit():
    began, end = threading.Event(), threading.Event()

    def other():
        with solver_threads():
            began.set()
            end.wait()

    thread = threading.Thread(target=other)
    with solver_threads(), solver_threads():
        thread.start()
        began.wait()
    seen = blas_threads()
    end.set()
    thread.join()
    assert (seen, blas_threads()) == ({1}, {2})


STEPS = (("ours", "1", "ours"), ("2", "ours", "1"), ("1", "exact 2", "exact 1", "2"), ("maximize", "1"), ("hull", "1"))


@pytest.mark.parametrize("steps", STEPS)
def test_other_users_of_highs_choose_their_number_of_threads_before_and_after_ours(steps):
    with solver_threads():  # what earlier tests left of HiGHS's threads ends here
        pass
    for step in steps:
        m = integer_model()
        if step == "maximize":
            relugrad.maximize(m.nn.network, lower=0, upper=1, A=np.ones((1, 2)), row_upper=1.5, iteration_limit=20)
        elif step == "hull":
            extreme_points(np.random.default_rng(0).normal(size=(60, 9)))
        elif step.isdigit():
            pyo.TransformationFactory("relugrad.omlt").apply_to(m)
            results = pyo.SolverFactory("appsi_highs").solve(m, options={"threads": int(step)})
            pyo.assert_optimal_termination(results)
        else:
            solver, _, threads = step.replace("ours", "relugrad").replace("exact", "relugrad.exact").partition(" ")
            options = {"highs_options": {"threads": int(threads)}} if threads else {}
            pyo.SolverFactory(solver).solve(m, iteration_limit=20, **options)
            assert pyo.value(m.best) > 0


@pytest.mark.parametrize(
    "program",
    [
        "pyo.SolverFactory('relugrad').solve(m)",
        "pyo.SolverFactory('relugrad.exact').solve(m)",
        "relugrad.maximize(m.nn.network, lower=0, upper=1, iteration_limit=5)",
        "extreme_points(np.random.default_rng(0).normal(size=(60, 9)))",
        "pyo.TransformationFactory('relugrad.omlt').apply_to(m, bounds='lp')",
    ],
)
def test_nothing_reaches_standard_output_unasked(program):
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import numpy as np, pyomo.environ as pyo, pyomo_relugrad as relugrad\n"
        f"from test_solver_threads import extreme_points, integer_model\nm = integer_model()\n{program}\n"
    )
    assert run_code(code) == ""


def test_an_answer_in_json_is_json_alone():
    words = [
        "maximize",
        str(EXAMPLES / "plant.onnx"),
        *["--lower", "0", "--upper", "1", "--exact", "--time-limit", "2", "--json"],
    ]
    done = subprocess.run([sys.executable, "-m", "pyomo_relugrad", *words], capture_output=True, text=True, check=True)
    assert "inputs" in json.loads(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has priorities of threads")
def test_a_thread_that_gives_way_has_lower_priority_and_the_others_keep_theirs():
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    lower_priority(thread)
    found = os.getpriority(os.PRIO_PROCESS, thread.native_id)
    end.set()
    thread.join()
    assert found == min(own + LOWER_PRIORITY, 19)
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == own


def test_a_thread_that_has_ended_or_not_begun_has_no_priority_to_lower():
    thread = threading.Thread(target=int)
    lower_priority(thread)
    thread.start()
    thread.join()
    lower_priority(thread)
