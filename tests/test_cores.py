"""How many cores a process may use."""

import math
import multiprocessing
import os
from pathlib import Path

import pytest

from pyomo_relugrad.run.cores import cgroup_cores, usable_cores


@pytest.fixture
def affinity(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(6)), raising=False)
    monkeypatch.setattr("pyomo_relugrad.run.cores.CGROUPS", Path("nowhere"))


def test_affinity_counts(affinity):
    assert usable_cores() == 6


def test_where_there_is_no_affinity_the_machine_counts(affinity, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert usable_cores() == 3


def test_a_process_of_multiprocessing_has_one(affinity, monkeypatch):
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: object())
    assert usable_cores() == 1


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, math.inf),
        ({"cpu.max": "max 100000"}, math.inf),
        ({"jobs/mine/cpu.max": "150000 100000", "jobs/cpu.max": "max 100000"}, 1.5),
        ({"jobs/mine/cpu.max": "max 100000", "jobs/cpu.max": "50000 100000"}, 0.5),
        ({"cpu/cpu.cfs_quota_us": "400000", "cpu/cpu.cfs_period_us": "100000"}, 4.0),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, math.inf),
    ],
)
def test_control_groups_count(tmp_path, monkeypatch, affinity, files, cores):
    own = tmp_path / "own"
    own.write_text("12:cpu:/\n0::/jobs/mine\n")
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    assert cgroup_cores(tmp_path, own) == cores
    monkeypatch.setattr("pyomo_relugrad.run.cores.CGROUPS", tmp_path)
    monkeypatch.setattr("pyomo_relugrad.run.cores.OWN_CGROUP", own)
    assert usable_cores() == min(math.ceil(min(cores, 100)), 6)
