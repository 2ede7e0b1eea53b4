"""Searches on executors of other packages, where these are installed: MPI and Ray."""

import shutil
import subprocess
import sys
from concurrent.futures import Executor, wait
from pathlib import Path

import pytest
from random_networks import random_network

from pyomo_relugrad.problem.presolve import presolve
from pyomo_relugrad.run import Clock, Options, Report, Worker
from pyomo_relugrad.solve import array_problem
from pyomo_relugrad.solve.elsewhere import task_pool
from pyomo_relugrad.solve.elsewhere.islands import Islands

pytestmark = pytest.mark.slow

PROBLEM = array_problem(random_network((20, 60, 60, 1), 3), None, -1.0, 1.0)


class Idle(Worker):
    """Finds nothing itself."""

    def step(self):
        return Report()


def best_on(executor: Executor) -> float:
    """The value that the executor's workers find first."""
    task_pool.TaskPool.start_seconds = 0.0
    worker = Islands(Idle(), presolve(PROBLEM).problem, Options(executor=executor, threads=2), Clock())
    while not (found := worker.step().points):
        assert not worker._pool._failures
        wait(worker._pool._tasks, timeout=5.0)
    worker.close()
    return found[0].objective


def test_ray(monkeypatch):
    ray = pytest.importorskip("ray")
    monkeypatch.setattr(task_pool.TaskPool, "start_seconds", 0.0)
    monkeypatch.setenv("RAY_worker_niceness", "0")  # else its workers get nothing on a busy machine
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")

    @ray.remote
    def call(function, arguments, named):
        return function(*arguments, **named)

    class RayExecutor(Executor):
        def submit(self, function, /, *arguments, **named):
            return call.remote(function, arguments, named).future()

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        assert best_on(RayExecutor()) < 0.0
    finally:
        ray.shutdown()


def test_mpi():
    pytest.importorskip("mpi4py.futures")
    launcher = shutil.which("mpiexec", path=str(Path(sys.executable).parent)) or shutil.which("mpiexec")
    if launcher is None:
        pytest.skip("there is no mpiexec")
    command = [launcher, "-n", "3", sys.executable, "-m", "mpi4py.futures", __file__]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    assert float(done.stdout.split()[-1]) < 0.0


if __name__ == "__main__":
    from mpi4py.futures import MPIPoolExecutor

    with MPIPoolExecutor() as pool:
        print(best_on(pool))
