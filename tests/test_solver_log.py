"""The log of a solve: what it says, where it goes, and that it stays narrow."""

import io
import logging
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyomo.environ as pyo
import pytest
from scipy import sparse

from pyomo_relugrad import Network
from pyomo_relugrad.problem import EmbeddedNetwork, Incumbent, Problem
from pyomo_relugrad.run import Progress, SearchResult, Stop
from pyomo_relugrad.run.log import BURST, INTERVAL, RATE, SearchLog


def problem_of(maximize: bool = True, columns: int = 3, copies: int = 1) -> Problem:
    """Networks relu(x - 0.25) on columns 0, 2, ...; the last column is an integer in one row."""
    network = Network.from_layers([[[1.0]], [[1.0]]], [[-0.25], [0.0]])
    integers = np.zeros(columns, bool)
    integers[-1] = True
    return Problem(
        cost=np.ones(columns),
        lower=np.zeros(columns),
        upper=np.ones(columns),
        rows=sparse.csr_array(integers[None, :].astype(float)),
        row_lower=np.zeros(1),
        row_upper=np.ones(1),
        integers=integers,
        networks=tuple(EmbeddedNetwork(network, [2 * i], [2 * i + 1]) for i in range(copies)),
        maximize=maximize,
    )


def point(objective: float, violation: float = 0.0) -> Incumbent:
    return Incumbent(values=np.zeros(3), objective=objective, violation=violation, network_error=1e-12)


def at(elapsed: float, incumbent: Incumbent | None = None, is_new: bool = True) -> Progress:
    return Progress(elapsed=elapsed, points=10, iterations=2, incumbent=incumbent, is_new=is_new)


def ended(*pool: Incumbent, stop: Stop = Stop.FINISHED, least_violated: Incumbent | None = None) -> SearchResult:
    return SearchResult(pool, least_violated, stop, points=1, iterations=2, elapsed=3.5, history=())


def lines_of(log: SearchLog) -> list[str]:
    return [line for line in log.text.split("\n") if line.startswith(("*", " ")) and "Time" not in line]


def test_the_header_tells_the_sizes() -> None:
    log = SearchLog()
    log.header(problem_of(), "method auto, seed 0", 0.25)
    assert log.text.split("\n")[1:6] == [
        "Model    3 variables (1 integer), 1 row, 1 nonzero; maximize (linear)",
        "Networks 1 block; 1 ReLU, 2 weights",
        "Search   method auto, seed 0",
        "Compiled in 0.25 s",
        "",
    ]
    log = SearchLog()
    log.header(problem_of(maximize=False, columns=5, copies=2), "", 0)
    assert "; minimize (linear)\nNetworks 2 blocks of 1 network; 2 ReLUs, 2 weights\n" in log.text


def test_each_incumbent_has_a_line_in_the_sense_of_the_model() -> None:
    log = SearchLog()
    log.header(problem_of(), "", 0)
    log.progress(at(0.1, point(-1.5)))
    log.progress(at(0.2, point(-2.5)))
    assert [line.split() for line in lines_of(log)] == [
        ["*", "0.10", "10", "2", "1.5", "-", "-", "1.0e-12"],
        ["*", "0.20", "10", "2", "2.5", "-", "-", "1.0e-12"],
    ]


def test_a_point_that_is_not_feasible_is_no_incumbent() -> None:
    log = SearchLog()
    log.header(problem_of(), "", 0)
    log.progress(at(0.1, point(-1.5, violation=0.5)))
    assert lines_of(log)[0].split() == ["0.10", "10", "2", "-", "-", "-", "5.0e-01"]


def test_where_nothing_is_new_there_is_a_line_per_interval() -> None:
    log = SearchLog()
    log.header(problem_of(), "", 0)
    for tick in range(100):
        log.progress(at(tick * INTERVAL / 10, None, is_new=False))
    assert len(lines_of(log)) == 9


def test_many_incumbents_do_not_flood_the_log_and_the_last_is_written() -> None:
    log = SearchLog()
    log.header(problem_of(), "", 0)
    for tick in range(1000):
        log.progress(at(tick / 1000, point(-float(tick))))
    log.summary(ended(point(-999.0)))
    assert BURST <= len(lines_of(log)) <= BURST + RATE + 3
    assert lines_of(log)[-1].split()[4] == "999"


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (
            ended(point(-2.5), point(-1.0), stop=Stop.TIME_LIMIT),
            "Ended    time limit after 3.50 s\n"
            "Work     1 point evaluated in 2 steps\n"
            "Found    2 feasible points, best objective 2.5\n"
            "Checked  violation 0.0e+00, network error 1.0e-12\n",
        ),
        (ended(least_violated=point(0.0, violation=0.125)), "no feasible point, the best violates by 0.125\n"),
        (ended(), "Found    no point\n"),
    ],
)
def test_the_summary_tells_the_end(result: SearchResult, expected: str) -> None:
    log = SearchLog()
    log.header(problem_of(), "", 0)
    log.summary(result)
    assert expected in log.text


def test_no_line_is_wider_than_100_columns() -> None:
    log = SearchLog()
    log.header(problem_of(columns=2001, copies=1000), "", 12345.678)
    log.progress(
        Progress(elapsed=99999.99, points=10**11, iterations=10**9, incumbent=point(-1.23456789e-300), is_new=True)
    )
    log.summary(ended(point(-1.23456789e-300), stop=Stop.CALLBACK))
    assert max(len(line) for line in log.text.split("\n")) <= 100


def test_the_log_goes_to_every_stream_the_file_and_the_results(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    model = pyo.ConcreteModel()
    model.x = pyo.Var(bounds=(0, 1))
    model.up = pyo.Objective(expr=model.x, sense=pyo.maximize)
    solver = pyo.SolverFactory("relugrad", iteration_limit=20)
    stream, logger = io.StringIO(), logging.getLogger("somewhere")
    with caplog.at_level(logging.INFO, logger="somewhere"):
        solver.solve(model, tee=[True, stream, logger], logfile=str(tmp_path / "solve.log"))
    assert stream.getvalue() == (tmp_path / "solve.log").read_text()
    assert stream.getvalue() == capsys.readouterr().out
    assert "best objective 1" in stream.getvalue()
    assert "best objective 1" in caplog.text
    solver.solve(model)
    assert capsys.readouterr().out == ""


def test_a_long_step_has_a_line_per_interval_too() -> None:
    log = SearchLog([io.StringIO()])
    log.header(problem_of(), "", 0)
    log.progress(at(0.5, point(-1.5)))
    waits = [log.tick(elapsed) for elapsed in (1.0, 1.5, 2.0, 2.5)]
    assert [line.split()[:4] for line in lines_of(log)] == [
        ["*", "0.50", "10", "2"],
        ["1.50", "10", "2", "1.5"],
        ["2.50", "10", "2", "1.5"],
    ]
    assert waits == [0.5, INTERVAL, 0.5, INTERVAL]


class Notice(io.StringIO):
    """A stream that tells when a line of progress was written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = threading.Event()

    def write(self, text: str) -> int:
        if text.startswith(" "):
            self.written.set()
        return super().write(text)


def test_a_thread_writes_the_lines_of_a_long_step() -> None:
    stream = Notice()
    with SearchLog([stream], interval=0.001).ticking(lambda: 7.0):
        assert stream.written.wait(timeout=60)
    assert stream.getvalue().startswith("     7.00            0          0")
    assert not any(thread.name == "pyomo_relugrad.run.log" for thread in threading.enumerate())


def test_where_nobody_reads_there_is_no_thread() -> None:
    with SearchLog().ticking(lambda: 7.0):
        assert not any(thread.name == "pyomo_relugrad.run.log" for thread in threading.enumerate())


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """The standard output, to which a handler of the package's logger writes as well."""
    stream = io.StringIO()
    monkeypatch.setattr("sys.stdout", stream)
    handler, logger = logging.StreamHandler(stream), logging.getLogger("pyomo_relugrad")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield stream
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


def test_the_logger_gets_the_same_lines(caplog: pytest.LogCaptureFixture) -> None:
    log = SearchLog()
    with caplog.at_level(logging.INFO, logger="pyomo_relugrad"):
        log.header(problem_of(), "method auto", 0)
        log.progress(at(0.1, point(-1.5)))
        log.summary(ended(point(-1.5)))
    assert caplog.messages == [line for line in log.text.split("\n") if line]
    assert all(record.name.startswith("pyomo_relugrad.") for record in caplog.records)


def test_no_handler_is_installed() -> None:
    names = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] == "pyomo_relugrad"]
    assert "pyomo_relugrad.run.log" in names
    assert not any(logging.getLogger(name).handlers for name in names)


def test_a_terminal_gets_each_line_once(terminal: io.StringIO) -> None:
    file = io.StringIO()
    SearchLog([terminal, file]).write("a line")
    assert terminal.getvalue() == "a line\n"
    assert file.getvalue() == "a line\n"
    logging.getLogger("pyomo_relugrad").setLevel(logging.WARNING)
    SearchLog([terminal]).write("another")
    assert terminal.getvalue() == "a line\nanother\n"


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("kind", "printed"), [(Screen, ""), (io.StringIO, "a line\n")])
def test_standard_output_and_error_are_one_place_where_both_are_the_terminal(
    kind: type[io.StringIO], printed: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    output, error = kind(), kind()
    monkeypatch.setattr("sys.stdout", output)
    monkeypatch.setattr("sys.stderr", error)
    handler, logger = logging.StreamHandler(error), logging.getLogger("pyomo_relugrad")
    monkeypatch.setattr(logger, "handlers", [handler])
    with caplog.at_level(logging.INFO, logger="pyomo_relugrad"):
        SearchLog([output]).write("a line")
    assert output.getvalue() == printed
    assert error.getvalue() == "a line\n"


def test_the_package_logger_as_tee_gets_each_line_once(terminal: io.StringIO) -> None:
    model = pyo.ConcreteModel()
    model.x = pyo.Var(bounds=(0, 1))
    model.up = pyo.Objective(expr=model.x, sense=pyo.maximize)
    solver = pyo.SolverFactory("relugrad", iteration_limit=20)
    solver.solve(model, tee=[True, logging.getLogger("pyomo_relugrad")])
    assert terminal.getvalue().count("best objective 1") == 1


@pytest.mark.parametrize(("objective", "gap"), [(-1.0, "100.00%"), (-2e-6, "1.0e+08%"), (-1e-9, "2.0e+00")])
def test_large_gaps_stay_in_their_column(objective: float, gap: str) -> None:
    log = SearchLog()
    log.header(problem_of(), "", 0)
    log.progress(replace(at(0.1, point(objective)), bound=-2.0))
    assert lines_of(log)[0].split()[-2] == gap
