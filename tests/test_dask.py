"""Searches on a Dask cluster."""

import os
import signal
from concurrent.futures import FIRST_COMPLETED, wait

import numpy as np
import pytest
from random_networks import random_network

from pyomo_relugrad.problem.presolve import presolve
from pyomo_relugrad.run import Clock, Options, Report, Worker
from pyomo_relugrad.solve import array_problem
from pyomo_relugrad.solve.elsewhere.islands import Islands

distributed = pytest.importorskip("distributed")

PROBLEM = array_problem(random_network((20, 60, 60, 1), 3), None, -1.0, 1.0)


class Idle(Worker):
    """Finds nothing itself."""

    def step(self):
        return Report()


@pytest.mark.slow
def test_a_cluster_joins_and_loses_no_more_than_a_task_with_a_worker(monkeypatch):
    monkeypatch.setattr("pyomo_relugrad.solve.elsewhere.task_pool.TaskPool.start_seconds", 0.0)
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        options = Options(executor=client.get_executor(), threads=2)
        worker = Islands(Idle(), presolve(PROBLEM).problem, options, Clock())
        while len(worker._pool._workers) < 2:
            worker.step()
            wait(worker._pool._tasks, timeout=5.0, return_when=FIRST_COMPLETED)
        victim = next(iter(client.run(os.getpid).values()))
        os.kill(victim, signal.SIGKILL)
        evaluated, best = 0, np.inf
        before = set(worker._pool._workers)
        while len(worker._pool._workers - before) < 1:  # its successor has come
            wait(worker._pool._tasks, timeout=5.0, return_when=FIRST_COMPLETED)
            found = worker.step()
            evaluated += found.evaluated
            best = min([best, *(point.objective for point in found.points)])
        assert evaluated > 0
        assert worker._pool.room() == 0  # as many tasks are under way as before
        worker.close()
