"""The command ``relugrad``: what each command prints and keeps, its exit codes, and its errors in one line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx_models import make_model

from pyomo_relugrad import __version__, load_onnx
from pyomo_relugrad.cli import main
from pyomo_relugrad.cli.exit_codes import ExitCode
from pyomo_relugrad.cli.info import difficulty_of, report
from pyomo_relugrad.cli.values import shown
from pyomo_relugrad.readers.vnnlib import load_vnnlib
from pyomo_relugrad.run import Progress, SearchLog
from pyomo_relugrad.search import METHODS
from pyomo_relugrad.solve import Answer, Counterexample, OpenCase, Verdict, find_counterexample

EXAMPLES = Path(__file__).parents[1] / "examples"
DIGITS, PLANT = str(EXAMPLES / "digits.onnx"), str(EXAMPLES / "plant.onnx")
BOX = ["--lower", "0", "--upper", "1"]

# The output of the plant's network reaches 24 in this box, and nowhere 1000.
REACHED, BEYOND = 24, 1000


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command line."""
    code = main(words)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def onnxruntime_value(file: str, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(file)
    return session.run(None, {session.get_inputs()[0].name: x.astype(np.float32)[None]})[0][0]


# --- help -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["info", "maximize", "minimize", "falsify", "verify", "bench"])
def test_help_teaches_each_command(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    printed = capsys.readouterr().out
    assert ended.value.code == 0
    assert f"relugrad {command}" in printed[printed.index("example") :]
    if command != "info":
        assert all(f"  {name} " in printed for name in METHODS)


def test_help_names_commands_examples_and_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    printed = capsys.readouterr().out
    commands = ("info", "maximize", "minimize", "falsify", "verify", "bench")
    for word in (*commands, "examples:", *(code.meaning for code in ExitCode)):
        assert word in printed


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"relugrad {__version__}\n"


def test_runs_as_a_module() -> None:
    words = [sys.executable, "-m", "pyomo_relugrad", "maximize", "no.onnx", *BOX]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert ended.returncode == ExitCode.UNREADABLE
    assert ended.stderr == "relugrad: error: there is no file no.onnx: check the path and the folder\n"


# --- info -----------------------------------------------------------------------------------------------------------


def test_info_tells_sizes_stability_and_what_was_read(capsys: pytest.CaptureFixture[str]) -> None:
    code, printed, _ = run(capsys, "info", DIGITS)
    assert code == ExitCode.FINE
    assert "Inputs    pixels: 64 of shape (64,)" in printed
    assert "File      5 nodes: 3 Gemm, 2 Relu" in printed
    assert "Read as   2 layers of ReLUs and an affine output" in printed
    assert "over the box [0, 1]" in printed
    rows = [line.split() for line in printed.splitlines() if line.endswith("dense")]
    assert [row[:4] for row in rows] == [
        ["1", "input", "16", "1024"],
        ["2", "1", "8", "128"],
        ["output", "2", "10", "80"],
    ]
    assert max(map(len, printed.splitlines())) <= 100


def test_info_of_a_network_without_relus(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    nodes = [onnx.helper.make_node("MatMul", ["x", "W"], ["y"])]
    onnx.save(make_model(nodes, (1, 2), {"W": np.eye(2)}), tmp_path / "affine.onnx")
    code, printed, _ = run(capsys, "info", str(tmp_path / "affine.onnx"))
    assert code == ExitCode.FINE
    assert printed.endswith("ReLUs     none: the network is affine\n")


def test_info_knows_what_is_stable(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    np.save(tmp_path / "point.npy", np.full(64, 0.5))
    point = str(tmp_path / "point.npy")
    code, printed, _ = run(capsys, "info", DIGITS, "--lower", point, "--upper", point, "--json")
    answer = json.loads(printed)
    assert code == ExitCode.FINE
    assert answer["relus"] == 24
    pattern = load_onnx(DIGITS).activation_pattern(np.full((1, 64), 0.5))
    assert answer["stability"]["crown"]["active"] == pattern.sum()
    assert answer["stability"]["interval"]["unstable"] == 0
    assert answer["regions_per_segment"] == 1.0


def test_info_leaves_out_what_would_take_long() -> None:
    network = load_onnx(DIGITS)
    box = np.zeros(network.n_inputs), np.ones(network.n_inputs)
    difficulty = difficulty_of(network, *box, max_crown_seconds=0.0, max_products=0.0)
    printed = "\n".join(report(network, Counter(), difficulty, "given"))
    assert "crown    left out" in printed
    assert "Regions" not in printed


# --- maximize and minimize ------------------------------------------------------------------------------------------


def test_maximize_and_minimize_find_what_onnxruntime_confirms(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    values = {}
    for command in ("maximize", "minimize"):
        file = tmp_path / f"{command}.npy"
        words = [command, PLANT, *BOX, "--time-limit", "0.5", "--json", "--save", str(file)]
        code, printed, error = run(capsys, *words)
        answer = json.loads(printed)
        assert (code, error) == (ExitCode.FINE, "")
        x = np.load(file)
        assert x.tolist() == answer["inputs"]
        assert onnxruntime_value(PLANT, x) == pytest.approx(answer["outputs"], rel=1e-4)
        assert answer["objective"] == answer["outputs"][0]
        values[command] = answer["objective"]
    samples = load_onnx(PLANT).value(np.random.default_rng(0).random((2000, 4)))
    assert values["minimize"] <= samples.min()
    assert samples.max() <= values["maximize"]


def test_the_log_is_printed_and_the_point_shown(capsys: pytest.CaptureFixture[str]) -> None:
    _, printed, _ = run(capsys, "maximize", DIGITS, "--output", "3", *BOX, "--time-limit", "0.2", "--seed", "7")
    assert "Search   method auto, seed 7, time limit 0.2 s" in printed
    assert "\nInputs   " in printed
    assert "(64 numbers)" in printed
    assert max(map(len, printed.splitlines())) <= 100


def test_vectors_are_shown_in_at_most_100_columns() -> None:
    lines = shown("Inputs", np.full(1000, -1.234567e-100)).splitlines()
    assert lines[0].startswith("Inputs   -1.23457e-100, ")
    assert all(line.startswith(" " * 9) for line in lines[1:])
    assert lines[-1].endswith("... (1000 numbers)")
    assert max(map(len, lines)) <= 100


def test_exact_proves(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["maximize", PLANT, *BOX, "--exact", "--time-limit", "60", "--json"]
    code, printed, _ = run(capsys, *words)
    answer = json.loads(printed)
    assert code == ExitCode.FINE
    assert answer["stop"] == "optimal"
    assert answer["objective"] <= answer["bound"] <= answer["objective"] * (1 + 2e-4)


def test_outputs_are_chosen_by_number_or_weights(capsys: pytest.CaptureFixture[str]) -> None:
    image = ["--lower", "0.5", "--upper", "0.5", "--time-limit", "0.1", "--json"]
    scores = load_onnx(DIGITS).value(np.full((1, 64), 0.5))[0]
    _, printed, _ = run(capsys, "minimize", DIGITS, "--output", "4", *image)
    assert json.loads(printed)["objective"] == pytest.approx(scores[4])
    _, printed, _ = run(capsys, "minimize", DIGITS, "--weights", "-1,0,0,0,2,0,0,0,0,0", *image)
    assert json.loads(printed)["objective"] == pytest.approx(2 * scores[4] - scores[0])


@pytest.mark.parametrize("form", ["-0.5,-0.25,0,0", "{folder}/bound.csv", "{folder}/bound.npy"])
def test_bounds_are_numbers_lists_or_files(form: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "bound.csv").write_text("-0.5, -0.25\n0, 0\n")
    np.save(tmp_path / "bound.npy", [-0.5, -0.25, 0, 0])
    bound = form.format(folder=tmp_path)
    _, printed, _ = run(capsys, "maximize", PLANT, "--lower", bound, "--upper", bound, "--time-limit", "0.1", "--json")
    assert json.loads(printed)["inputs"] == [-0.5, -0.25, 0.0, 0.0]


def test_saved_points_are_read_as_bounds(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = str(tmp_path / "point.csv")
    _, printed, _ = run(capsys, "maximize", PLANT, *BOX, "--time-limit", "0.2", "--json", "--save", file)
    found = json.loads(printed)
    _, printed, _ = run(capsys, "minimize", PLANT, "--lower", file, "--upper", file, "--time-limit", "0.1", "--json")
    assert json.loads(printed)["objective"] == found["objective"]


@pytest.mark.parametrize("exact", [[], ["--exact"]])
def test_ctrl_c_returns_the_incumbent(
    exact: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    progress = SearchLog.progress

    def interrupted(log: SearchLog, state: Progress) -> None:
        progress(log, state)
        if state.incumbent is not None:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(SearchLog, "progress", interrupted)
    code, printed, error = run(capsys, "maximize", PLANT, *BOX, *exact)
    assert (code, error) == (ExitCode.FINE, "")
    assert "Ended    interrupted" in printed
    assert "\nInputs   " in printed


def test_ctrl_c_before_there_is_a_point(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SearchLog, "header", lambda *_: signal.raise_signal(signal.SIGINT))
    code, _, error = run(capsys, "maximize", PLANT, *BOX)
    assert (code, error) == (ExitCode.INTERRUPTED, "relugrad: error: interrupted\n")


def test_a_reader_of_the_pipe_may_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    words = [sys.executable, "-m", "pyomo_relugrad", "info", DIGITS]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""


# --- falsify --------------------------------------------------------------------------------------------------------


def write_property(folder: Path, at_least: float) -> str:
    """A property of the plant's network: an input in the unit box with such an output."""
    lines = [f"(declare-const X_{i} Real)" for i in range(4)] + ["(declare-const Y_0 Real)"]
    lines += [f"(assert (>= X_{i} 0))\n(assert (<= X_{i} 1))" for i in range(4)]
    file = folder / "property.vnnlib"
    file.write_text("\n".join([*lines, f"(assert (>= Y_0 {at_least}))"]))
    return str(file)


def test_falsify_finds_what_onnxruntime_confirms(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    point = tmp_path / "point.npy"
    words = ["falsify", PLANT, write_property(tmp_path, REACHED), "--save", str(point)]
    code, printed, _ = run(capsys, *words)
    assert code == ExitCode.FINE
    assert printed.startswith("Counterexample found in ")
    assert onnxruntime_value(PLANT, np.load(point))[0] >= REACHED - 1e-3
    _, printed, _ = run(capsys, *words, "--json")
    answer = json.loads(printed)
    assert answer["found"]
    assert answer["outputs"][0] >= REACHED


def test_falsify_says_where_nothing_was_found(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ["falsify", PLANT, write_property(tmp_path, BEYOND), "--time-limit", "0.2"]
    code, printed, _ = run(capsys, *words)
    assert code == ExitCode.NOTHING_FOUND
    assert "there may still be one" in printed
    code, printed, _ = run(capsys, *words, "--json")
    assert code == ExitCode.NOTHING_FOUND
    assert json.loads(printed)["inputs"] is None


def test_ctrl_c_ends_falsify_at_once(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyomo_relugrad.solve.verdicts import counterexample

    searches = []

    class Interrupted(counterexample.LocalSearch):
        def step(self) -> object:
            searches.append(1)
            signal.raise_signal(signal.SIGINT)
            return super().step()

    monkeypatch.setattr(counterexample, "LocalSearch", Interrupted)
    code, _, error = run(capsys, "falsify", PLANT, write_property(tmp_path, BEYOND), "--time-limit", "60")
    assert (code, error) == (ExitCode.INTERRUPTED, "relugrad: error: interrupted\n")
    assert len(searches) == 1


# --- verify ---------------------------------------------------------------------------------------------------------


def test_verify_shows_a_counterexample_that_onnxruntime_confirms(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    point, results = tmp_path / "point.npy", tmp_path / "results.txt"
    words = ["verify", PLANT, write_property(tmp_path, REACHED), "--save", str(point), "--results", str(results)]
    code, printed, _ = run(capsys, *words)
    assert code == ExitCode.VIOLATED
    assert printed.startswith("The property is violated (")
    x = np.load(point)
    assert onnxruntime_value(PLANT, x)[0] >= REACHED - 1e-3
    answer, *values = results.read_text().split("\n")
    pairs = [value.strip("()").split() for value in values if value]
    assert answer == "sat"
    assert [name for name, _ in pairs] == ["X_0", "X_1", "X_2", "X_3", "Y_0"]
    assert [float(value) for _, value in pairs[:4]] == x.tolist()
    assert float(pairs[4][1]) == pytest.approx(float(onnxruntime_value(PLANT, x)[0]))


def test_verify_says_that_a_property_holds(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    results = tmp_path / "results.txt"
    words = ["verify", PLANT, write_property(tmp_path, BEYOND), "--results", str(results)]
    code, printed, _ = run(capsys, *words)
    assert code == ExitCode.FINE
    assert printed.startswith("The property holds (")
    assert results.read_text() == "unsat\n"
    code, printed, _ = run(capsys, *words, "--json", "--threads", "1")
    assert code == ExitCode.FINE
    answer = json.loads(printed)
    assert (answer["answer"], answer["inputs"], answer["left"]) == ("holds", None, [])


def test_verify_says_what_it_does_not_know(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = (OpenCase(0, -1.5, 0.25),)
    for seconds, result in ((0.5, "unknown\n"), (20.0, "timeout\n")):
        verdict = Verdict(Answer.UNKNOWN, None, left, seconds)
        monkeypatch.setattr("pyomo_relugrad.cli.verify.verify", lambda *_, verdict=verdict, **__: verdict)
        results = tmp_path / "results.txt"
        words = ["verify", PLANT, write_property(tmp_path, BEYOND), "--results", str(results)]
        code, printed, _ = run(capsys, *words)
        assert code == ExitCode.NOTHING_FOUND
        assert printed.splitlines()[0] == f"Unknown ({seconds:.2f} s): 1 case left."
        assert "Case 0: every input misses it by -1.5 or more, the best one by 0.25." in printed
        assert results.read_text() == result
    code, printed, _ = run(capsys, *words, "--json")
    assert json.loads(printed)["left"] == [{"case": 0, "bound": -1.5, "violation": 0.25}]


def test_a_counterexample_that_onnxruntime_does_not_confirm_is_none(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    property_ = write_property(tmp_path, BEYOND)
    (case,) = load_vnnlib(property_).cases
    wrong = Verdict(Answer.VIOLATED, Counterexample(np.zeros(4), np.array([1001.0]), case), (), 0.5)
    monkeypatch.setattr("pyomo_relugrad.cli.verify.verify", lambda *_, **__: wrong)
    code, printed, _ = run(capsys, "verify", PLANT, property_)
    assert code == ExitCode.NOTHING_FOUND
    assert printed == "Unknown (0.50 s): a counterexample in float64 is none in onnxruntime, rounding decides.\n"


TWO = """(vnnlib-version <2.0>)
(declare-network f (declare-input X real [1,4]) (declare-output Y Real []))
(declare-network g (isomorphic-to f) (declare-input U real [1,4]) (declare-output V float32 []))
"""


@pytest.mark.parametrize("names", ["f={0},g={0}", "[('f', '{0}'), (\"g\", \"{0}\")]"])
def test_verify_takes_several_networks(capsys: pytest.CaptureFixture[str], tmp_path: Path, names: str) -> None:
    lines = [f"(assert (and (>= X[0,{i}] 0.1) (<= X[0,{i}] 0.7) (== X[0,{i}] U[0,{i}])))" for i in range(1, 4)]
    lines.append("(assert (and (>= X[0,0] 0.1) (<= X[0,0] 0.7) (>= U[0,0] 0.1) (<= U[0,0] 0.7)))")
    file, results = tmp_path / "two.vnnlib", tmp_path / "results.txt"
    words = ["verify", names.format(PLANT), str(file), "--results", str(results)]
    file.write_text(TWO + "".join(lines) + "(assert (> (- Y V) 0.01))")
    code, printed, _ = run(capsys, *words)
    assert code == ExitCode.VIOLATED
    assert [line.split()[0] for line in printed.splitlines()[1:]] == ["X", "Y", "U", "V"]
    answer, *values = results.read_text().split("\n")
    heads = [values[place] for place in (0, 5, 7, 12)]
    assert (answer, heads) == ("sat", ["X real [1,4]", "Y Real []", "U real [1,4]", "V float32 []"])
    x, u = np.array(values[1:5], float), np.array(values[8:12], float)
    assert np.array_equal(x[1:], u[1:])
    assert abs(x - 0.4).max() <= 0.3  # in single precision, where neither bound is a number
    difference = onnxruntime_value(PLANT, x)[0] - onnxruntime_value(PLANT, u)[0]
    assert difference == pytest.approx(float(values[6]) - float(values[13]))
    assert difference > 0.01
    file.write_text(TWO + "".join(lines) + "(assert (== X[0,0] U[0,0])) (assert (> (- Y V) 0.01))")
    code, printed, _ = run(capsys, *words, "--json")
    assert code == ExitCode.FINE
    assert json.loads(printed)["network"] == {"f": PLANT, "g": PLANT}


def test_falsify_takes_several_networks(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "two.vnnlib"
    boxes = [f"(assert (and (>= {name}[0,{i}] 0) (<= {name}[0,{i}] 1)))" for name in "XU" for i in range(4)]
    file.write_text(TWO + "".join(boxes) + "(assert (> Y V))")
    code, printed, _ = run(capsys, "falsify", f"f={PLANT},g={PLANT}", str(file), "--json")
    assert code == ExitCode.FINE
    answer = json.loads(printed)
    assert answer["tensors"]["Y"] > answer["tensors"]["V"]
    assert answer["tensors"]["U"] == [answer["inputs"][4:]]


def test_a_counterexample_that_rounding_undoes_is_looked_for_again(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    property_ = write_property(tmp_path, REACHED)
    found = find_counterexample(PLANT, property_, time_limit=5)
    below = float(onnxruntime_value(PLANT, found.x)[0])
    path = tmp_path / "tight.vnnlib"
    path.write_text(Path(property_).read_text().replace(str(REACHED), repr(below + 1e-9)))
    (case,) = load_vnnlib(path).cases
    shallow = Verdict(Answer.VIOLATED, Counterexample(found.x, found.y, case), (), 0.5)
    monkeypatch.setattr("pyomo_relugrad.cli.verify.verify", lambda *_, **__: shallow)
    code, _, _ = run(capsys, "verify", PLANT, str(path), "--save", str(tmp_path / "point.npy"))
    assert code == ExitCode.VIOLATED
    assert onnxruntime_value(PLANT, np.load(tmp_path / "point.npy"))[0] >= below + 1e-9


# --- bench ----------------------------------------------------------------------------------------------------------


def test_bench_compares_methods_on_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["bench", PLANT, *BOX, "--method", "auto", "--method", "lp-walk", "--time-limit", "0.2"]
    code, printed, _ = run(capsys, *words)
    assert code == ExitCode.FINE
    rows = [line.split() for line in printed.splitlines()[3:]]
    assert [row[0] for row in rows] == ["auto", "lp-walk"]
    assert min(float(row[2].rstrip("%")) for row in rows) == 0.0
    assert max(map(len, printed.splitlines())) <= 100


def test_bench_draws_networks_by_seed(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["bench", "--networks", "2", "--method", "ppga", "--time-limit", "0.1", "--seed", "3", "--json"]
    _, printed, _ = run(capsys, *words)
    rows = json.loads(printed)
    assert [row["network"] for row in rows] == [f"random network 10-50-50-1 of seed {seed}" for seed in (3, 4)]
    assert all(row["value"] > 0 and row["method"] == "ppga" for row in rows)


# --- errors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([], 2, "the following arguments are required: COMMAND (see 'relugrad --help')"),
        (["solve"], 2, "invalid choice: 'solve'"),
        (["maximize", PLANT], 2, "required: --lower, --upper (see 'relugrad maximize --help')"),
        (["maximize", PLANT, "--lower", "a", "--upper", "1"], 2, "'a' is no number, list of numbers, or readable"),
        (["maximize", PLANT, "--lower", "nan", "--upper", "1"], 2, "'nan' is no number"),
        (["maximize", PLANT, "--lower", "no.npy", "--upper", "1"], 2, "readable .npy or .csv file: [Errno 2] No such"),
        (["maximize", PLANT, *BOX, "--time-limit", "-3"], 2, "--time-limit: '-3' must be larger than 0"),
        (["maximize", PLANT, *BOX, "--seed", "-1"], 2, "--seed: '-1' must not be negative"),
        (["maximize", PLANT, *BOX, "--method", "guess"], 2, "invalid choice: 'guess'"),
        (["maximize", PLANT, *BOX, "--save", "x.txt"], 2, "'x.txt' must end in .npy or .csv"),
        (["maximize", PLANT, *BOX, "--save", "no/x.npy"], 2, "there is no folder 'no'"),
        (["maximize", PLANT, *BOX, "--output", "0", "--weights", "1"], 2, "not allowed with argument"),
        (["bench", PLANT], 2, "bench takes a FILE together with --lower and --upper, or none of them"),
        (["bench", *BOX], 2, "bench takes a FILE together with --lower and --upper, or none of them"),
        (["info", "no.onnx"], 3, "there is no file no.onnx"),
        (["info", __file__], 3, "is not an ONNX file, or it is corrupt or truncated"),
        (["maximize", DIGITS, *BOX], 2, "the network has 10 outputs: choose one of --output 0 to 9, or --weights"),
        (["maximize", DIGITS, *BOX, "--output", "10"], 2, "there is no output 10: the network has 10, the first is 0"),
        (["maximize", DIGITS, *BOX, "--weights", "1,2"], 2, "--weights has 2 numbers, but the network has 10 outputs"),
        (["maximize", PLANT, *BOX, "--time-limit", "soon"], 2, "argument --time-limit: 'soon' is no number"),
        (["maximize", PLANT, *BOX, "--seed", "x"], 2, "argument --seed: 'x' is no integer"),
        (["bench", "--networks", "0"], 2, "argument --networks: '0' must be larger than 0"),
        (["bench", PLANT, "--lower", "0"], 2, "bench takes a FILE together with --lower and --upper"),
        (["info", PLANT, "--lower", "2"], 2, "--lower exceeds --upper at input 0: 2 and 1"),
        (["maximize", PLANT, "--lower", "0,1", "--upper", "1"], 2, "--lower has 2 numbers, but the network has 4"),
        (["maximize", PLANT, "--lower", "2", "--upper", "1"], 2, "--lower exceeds --upper at input 0: 2 and 1"),
        (["maximize", PLANT, *BOX, "--gap", "0.1"], 2, "--gap says when a proof is good enough: it needs --exact"),
        (["falsify", PLANT, "no.vnnlib"], 3, "no.vnnlib cannot be read"),
        (["verify", "f=a.onnx,g", "no.vnnlib"], 2, "'f=a.onnx,g' is no file, and no list of names and files"),
        (["verify", "[('f', 'a.onnx'), ('f', 'b.onnx')]", "no.vnnlib"], 2, "no list of names and files"),
    ],
)
def test_errors_are_one_line_and_tell_what_is_wrong(
    words: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found, printed, error = run(capsys, *words)
    assert found == code
    assert printed == ""
    assert error.startswith("relugrad: error: ")
    assert message in error
    assert error.endswith("\n")
    assert error.count("\n") == 1


def test_a_point_that_cannot_be_kept_is_shown_all_the_same(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "folder.npy").mkdir()
    words = ["maximize", PLANT, *BOX, "--time-limit", "0.1", "--save", str(tmp_path / "folder.npy")]
    code, printed, error = run(capsys, *words)
    assert code == ExitCode.UNREADABLE
    assert "\nInputs   " in printed
    assert "folder.npy" in error
    assert os.listdir(tmp_path / "folder.npy") == []
