"""What the benchmarks make of their runs: gaps, integrals, files that are merged."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from proof_results import Trace, TraceFile, read_traces, report
from search_results import Comparison, RunFile, instance_table, method_table, primal_integral, read_runs, value_at

LIMITS = {"auto": 10.0, "walk": 10.0}


def test_values_between_incumbents_are_those_of_the_last_one():
    history = [(1.0, -2.0), (3.0, 5.0)]
    assert value_at(history, np.array([0.5, 1.0, 2.9, 3.0, 9.0])).tolist() == [-np.inf, -2.0, -2.0, 5.0, 5.0]
    assert value_at([], np.array([1.0])).tolist() == [-np.inf]


def test_primal_integral_is_the_mean_gap():
    # 2 s without a point, 3 s at half the best value, 5 s at the best.
    assert primal_integral([(2.0, 5.0), (5.0, 10.0)], 10.0, 10.0) == pytest.approx((2 + 3 * 0.5) / 10)
    assert primal_integral([], 10.0, 10.0) == 1.0
    assert primal_integral([(2.0, -1.0)], 10.0, 10.0) == 1.0  # of the other sign
    assert primal_integral([(1.0, 10.0), (12.0, 11.0)], 11.0, 10.0) == pytest.approx(0.1 + 0.9 / 11)


def test_runs_come_back_from_their_file(tmp_path):
    runs = {("a", "auto", 0): [(0.5, 1 / 3), (2.0, 2.0)], ("a", "walk", 0): []}
    with RunFile(tmp_path / "history.csv", {}) as file:
        for key, history in runs.items():
            file.add(*key, history)
    assert read_runs([tmp_path / "history.csv"]) == runs


def test_files_without_a_row_for_runs_in_vain_are_merged(tmp_path):
    head = "instance,method,seed,seconds,value\n"
    (tmp_path / "auto.csv").write_text(head + "a,auto,0,1.0,4.0\nb,auto,0,1.0,4.0\n")
    (tmp_path / "walk.csv").write_text(head + "a,walk,0,2.0,5.0\n")
    comparison = Comparison(read_runs([tmp_path / "auto.csv", tmp_path / "walk.csv"]), LIMITS)
    assert comparison.missing == [("b", "walk", 0)]
    assert comparison.only_common().instances == ["a"]
    auto, walk = method_table(comparison)[2:]
    assert auto.startswith("| auto | 10 s | 2 of 2 | 50% | 50% | 1.0e-01 | 2.0e-01 |")
    assert walk.startswith("| walk | 10 s | 1 of 2 | 50% | 50% | inf | inf |")
    assert instance_table(comparison)[2:] == ["| a | 4 | **5** |", "| b | **4** | - |"]


def test_the_middle_seed_stands_for_a_method():
    runs = {("a", "auto", seed): [(1.0, value)] for seed, value in enumerate([3.0, 1.0, 2.0])}
    path = Comparison(runs, LIMITS).median_path("a", "auto", np.array([0.5, 1.5]))
    assert path.tolist() == [-np.inf, 2.0]


def test_a_proof_is_the_first_moment_with_a_small_gap():
    trace = Trace(((0.5, -np.inf, 9.0), (1.0, 8.0, 9.0), (1.9, 9.0, 9.002), (2.0, 9.0, 9.0008), (3.0, 9.0, 9.0)), 3.0)
    assert (trace.first_feasible, trace.proof) == (1.0, 2.0)
    assert trace.gap_at(0.9) == np.inf
    assert trace.gap_at(1.5) == pytest.approx(1 / 8)
    assert Trace(((1.0, 0.5, 0.5 + 9e-5),), 1.0).proof == 1.0  # absolute below 1
    assert Trace((), 4.0).proof == np.inf


def test_traces_come_back_from_their_file(tmp_path):
    traces = {("a", "omlt"): Trace((), 4.0), ("a", "exact"): Trace(((0.5, -np.inf, 9.0), (1.0, 9.0, 9.0)), 2.0)}
    with TraceFile(tmp_path / "trace.csv", traces):
        pass
    back = read_traces([tmp_path / "trace.csv"])
    assert back["a", "exact"].moments == traces["a", "exact"].moments
    assert (back["a", "omlt"].value, back["a", "omlt"].bound, back["a", "omlt"].end) == (-np.inf, np.inf, 4.0)


def test_a_bound_below_another_routes_point_is_told(tmp_path, capsys):
    right, wrong = Trace(((1.0, 5.0, 6.0),), 2.0), Trace(((1.0, 4.0, 4.5),), 2.0)
    report(tmp_path, {("a", "exact"): right, ("a", "branch"): wrong}, 10.0, plots=False)
    assert "Contradiction on a: exact has a point 0.5 above the bound of branch." in capsys.readouterr().out
    report(tmp_path, {("a", "exact"): right}, 10.0, plots=False)
    assert "Contradiction" not in (tmp_path / "table.md").read_text()
