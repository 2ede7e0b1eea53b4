"""Processes beside ours, and objects that travel to them."""

import math
import operator
import os
import pickle
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from random_networks import random_network

from pyomo_relugrad.run import Parcel, forking, packed, parcel, processes, serving
from pyomo_relugrad.run.processes import WorkerLost, WorkerProcesses
from pyomo_relugrad.solve import array_problem


@pytest.fixture(scope="module")
def worker():
    pool = WorkerProcesses(1)
    yield pool
    pool.shutdown()


def test_a_process_calls_what_it_imports_and_does_not_run_the_main_module(worker):
    process = worker.submit(os.getpid).result()
    assert process != os.getpid()
    assert worker.submit(math.hypot, 3.0, 4.0).result() == 5.0
    assert worker.submit(eval, "__import__('__main__').__dict__.get('__file__')").result() is None
    assert worker.submit(os.getpid).result() == process


def test_what_is_printed_disturbs_no_answer(worker):
    assert worker.submit(print, "words").result() is None
    assert worker.submit(os.write, 1, b"more words").result() == 10


def test_errors_come_back_and_the_process_goes_on(worker):
    process = worker.submit(os.getpid).result()
    with pytest.raises(ZeroDivisionError):
        worker.submit(operator.truediv, 1, 0).result()
    with pytest.raises(TypeError, match="cannot pickle"):
        worker.submit(threading.Lock).result()
    assert worker.submit(os.getpid).result() == process


def test_what_cannot_travel_is_refused_at_once(worker):
    with pytest.raises((pickle.PicklingError, AttributeError)):
        worker.submit(lambda: 1)


def test_a_lost_process_loses_its_own_work_only(worker):
    process = worker.submit(os.getpid).result()
    lost = worker.submit(signal.raise_signal, signal.SIGTERM)
    kept = worker.submit(os.getpid)
    with pytest.raises(WorkerLost):
        lost.result()
    assert kept.result() not in (process, os.getpid())


def test_what_is_called_back_is_not_done(worker):
    begun, waiting = worker.submit(sum, range(10**6)), worker.submit(os.getpid)
    assert waiting.cancel() or begun.done()
    assert worker.submit(os.getpid).result() > 0


def test_a_process_without_work_ends(monkeypatch):
    monkeypatch.setattr(processes, "IDLE_SECONDS", 0.0)
    started = []
    monkeypatch.setattr(processes, "_started", lambda niceness: started.append(1))
    pool = WorkerProcesses(2)
    monkeypatch.setattr(pool, "_call", lambda own, call: (True, 1))
    assert pool.submit(os.getpid).result() == 1
    for thread in list(pool._threads):
        thread.join()
    assert not pool._threads
    assert not started
    assert pool.submit(os.getpid).result() == 1


def test_a_process_that_does_not_end_by_itself_is_killed():
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    processes._end(process)
    assert process.returncode not in (0, None)


def test_a_process_ends_in_the_midst_of_a_call_where_nobody_waits_for_it():
    process = processes._started()
    serving.send(process.stdin, pickle.dumps((time.sleep, (600,), {})))
    process.stdin.close()  # as it is where this process is killed
    try:
        end = threading.Thread(target=process.stdout.read, daemon=True)
        end.start()
        end.join(timeout=20)
        assert not end.is_alive()
    finally:
        processes._end(process)


# --- forked processes -----------------------------------------------------------------------------------------------

can_fork = pytest.mark.skipif(not forking.CAN_FORK, reason="processes are started one by one")


@can_fork
def test_workers_are_forked_from_one_process_that_outlives_them(worker):
    with WorkerProcesses(1, niceness=3) as other:
        nice = other.submit(os.nice, 0).result()
        servers = {pool.submit(os.getppid).result() for pool in (worker, other)}
    assert len(servers) == 1
    assert os.getpid() not in servers
    assert nice == min(os.nice(0) + 3, 19)
    assert worker.submit(os.listdir, f"/proc/{servers.pop()}/task").result()[1:] == []  # a fork has one thread alone


@can_fork
def test_a_lost_server_is_replaced_and_its_workers_go_on(worker):
    process, server = worker.submit(os.getpid).result(), worker.submit(os.getppid).result()
    forking._Kept.server._process.kill()
    forking._Kept.server._process.wait()
    with WorkerProcesses(1) as other:
        assert not other.are_at_hand
        assert other.submit(os.getppid).result() not in (server, os.getpid())
    assert worker.submit(os.getpid).result() == process
    worker.shutdown()  # nobody waits for it any more: it is not killed by a number that may be another's
    assert not WorkerProcesses(1).processes
    assert WorkerProcesses(1).are_at_hand
    assert worker.submit(os.getpid).result() == process


@can_fork
def test_a_fork_of_ours_leaves_our_processes_alone(worker):
    process, child = worker.submit(os.getpid).result(), os.fork()
    if not child:
        worker.shutdown()
        os._exit(0 if forking._Kept.server is None else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert worker.submit(os.getpid).result() == process


@can_fork
def test_a_server_without_workers_ends(monkeypatch):
    monkeypatch.setattr(serving.gc, "freeze", lambda: None)
    ours, theirs = socket.socketpair()
    with ours:
        serving.fork_workers(theirs.detach(), idle_seconds=0.001, asking=0)
        assert ours.recv(1) == b""


@can_fork
def test_a_server_answers_where_the_system_keeps_no_ended_processes_and_clears_up_at_its_end(monkeypatch):
    monkeypatch.setattr(serving.gc, "freeze", lambda: None)
    ended, parents = [], iter([7, 7, 1])
    monkeypatch.setattr(serving.os, "getppid", lambda: next(parents))
    monkeypatch.setattr(serving, "remove_left_behind", lambda process: ended.append((process, *parents)))
    ours, theirs = socket.socketpair()
    with ours:
        ours.send(serving.REQUEST.pack(os.getpid()))  # no child of its own
        ours.shutdown(socket.SHUT_WR)
        serving.fork_workers(theirs.detach(), idle_seconds=1.0, asking=7)
        assert ours.recv(99) == serving.REQUEST.pack(os.getpid())
    assert ended == [(7,)]


@can_fork
def test_a_server_is_kept_and_nothing_left_open_where_no_pipe_is_to_be_had(monkeypatch):
    with WorkerProcesses(1) as other:
        server = other.submit(os.getppid).result()
    pipe, made = os.pipe, []

    def second_fails():
        if made:
            raise OSError("too many open files")
        made.append(pipe())
        return made[0]

    monkeypatch.setattr(os, "pipe", second_fails)
    with pytest.raises(OSError, match="too many"):
        forking.forked()
    for end in made[0]:
        with pytest.raises(OSError, match="Bad file"):
            os.fstat(end)
    monkeypatch.undo()
    with WorkerProcesses(1) as other:
        assert other.submit(os.getppid).result() == server


# --- parcels --------------------------------------------------------------------------------------------------------


def test_arrays_of_a_parcel_are_the_file_itself_and_cannot_be_written_to(tmp_path):
    network = random_network((3, 8, 1), 0)
    network.astype(np.float32)
    with packed(array_problem(network, None, 0.0, 1.0)) as parcel:
        problem = parcel.open()
        assert parcel.open() is problem
    read = problem.networks[0].network
    weight = read.layers[0].weights[0]
    np.testing.assert_array_equal(weight, network.layers[0].weights[0])
    assert not weight.flags.owndata
    assert not weight.flags.writeable
    assert weight.ctypes.data % 64 == 0
    single = read.astype(np.float32).layers[0].weights[0]
    assert not single.flags.owndata  # made before, it has travelled along


def test_who_cannot_read_the_file_takes_what_it_holds():
    with packed({"numbers": np.arange(5.0)}) as parcel:
        sent = pickle.loads(pickle.dumps(parcel.with_content()))
    with pytest.raises(OSError, match="parcel"):
        Parcel("another", parcel.path).open()
    np.testing.assert_array_equal(sent.open()["numbers"], np.arange(5.0))
    assert not os.path.exists(parcel.path)


def test_files_of_killed_processes_are_removed_and_no_others(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    program = (
        "import sys, tempfile; sys.path[:] = eval(sys.argv[2]); tempfile.tempdir = sys.argv[1]; "
        "from pyomo_relugrad.run import packed; kept = packed([1]); kept.__enter__(); "
        "print(flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, str(tmp_path), repr(sys.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner, packed([2]) as own:
        owner.stdout.readline()
        young = tmp_path / "relugrad-young.parcel"
        young.touch()
        (tmp_path / "other.parcel").touch()
        files = set(tmp_path.iterdir())
        for file in files - {young}:
            os.utime(file, (0, 0))
        (theirs,) = files - {young, Path(own.path), tmp_path / "other.parcel"}
        parcel.remove_left_behind()
        assert set(tmp_path.iterdir()) == files
        parcel.remove_left_behind(owner.pid)
        assert set(tmp_path.iterdir()) == files
        owner.kill()
        owner.wait()
        for ended in (None, owner.pid):
            theirs.touch()
            if ended is None:
                os.utime(theirs, (0, 0))
            parcel.remove_left_behind(ended)
            assert set(tmp_path.iterdir()) == files - {theirs}


def test_files_left_behind_are_looked_for_once_in_a_while(monkeypatch):
    looks = []
    monkeypatch.setattr(parcel, "remove_left_behind", lambda: looks.append(1))
    for period, count in ((1e9, 1), (1e9, 1), (1e-9, 2), (1e-9, 3)):
        monkeypatch.setattr(parcel, "YOUNG_SECONDS", period)
        with packed([1]):
            assert len(looks) == count


def test_a_process_starts_without_pyomo(worker):
    loaded = "__import__('pyomo_relugrad.solve.elsewhere.tasks') and list(__import__('sys').modules)"
    names = worker.submit(eval, loaded).result()
    assert not {"pyomo", "onnx", "scipy.stats", "scipy.optimize"} & set(names)
