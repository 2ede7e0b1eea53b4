"""Random and mutated ONNX graphs: what the reader makes of each, judged by onnxruntime.

    python benchmarks/mutated_graphs.py --count 100000 --seed 0
    python benchmarks/mutated_graphs.py --seed 0 --replay 1234

A third of the graphs is as drawn (`tests/random_graphs.py`), the others are mutated, some as bytes
(`tests/graph_mutations.py`). A graph is read and agrees with onnxruntime at random, large, tiny and boundary points, or
is refused; anything else is a fault: a wrong value, an error that is none of the package's, a refusal that takes more
than 2 s of processor time, a valid file called invalid, a process that ends. The table counts the outcomes; each fault
is printed with the command that replays it. The exit status is 1 if there are any.
"""

import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import graph_judgement
from graph_mutations import graph_content
from judgement import Judgement
from judging import UNDER_TEST, Case, main
from onnx import ModelProto, printer


def judge(case: Case, note: Callable[[str], None]) -> list[Judgement]:
    note(UNDER_TEST)
    outcome = graph_judgement.read(graph_content(case.seed, case.index, case.without))
    note("in onnxruntime")
    return [outcome.judged(case.index)]


def show(case: Case) -> None:
    model = ModelProto()
    try:
        model.ParseFromString(graph_content(case.seed, case.index, case.without))
        print(printer.to_text(model))
    except Exception as error:
        print(f"cannot be printed: {error}")


if __name__ == "__main__":
    sys.exit(main(__doc__, judge, show, count=10_000, seconds_are="slowest reading (processor time)"))
