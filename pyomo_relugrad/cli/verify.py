"""``relugrad verify``: whether a property holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.cli.arguments import Arguments
from pyomo_relugrad.cli.exit_codes import ExitCode
from pyomo_relugrad.cli.values import or_none, save_vector, shown
from pyomo_relugrad.readers.onnx.replay import values_in_onnxruntime
from pyomo_relugrad.readers.sources import load_network
from pyomo_relugrad.readers.vnnlib import load_vnnlib
from pyomo_relugrad.solve.counterexample import Counterexample
from pyomo_relugrad.solve.verification import Answer, Verdict, verify
from pyomo_relugrad.words import counted

# What the outputs in onnxruntime may miss the property by, in its rounding to float32, as in the competition.
TOLERANCE = 1e-4
CODES = {
    Answer.HOLDS: ExitCode.FINE,
    Answer.VIOLATED: ExitCode.VIOLATED,
    Answer.UNKNOWN: ExitCode.NOTHING_FOUND,
}


def verify_property(arguments: Arguments) -> ExitCode:
    """Answer whether a property holds, and show a counterexample where it does not."""
    file = Path(str(arguments.file))
    network, property_ = load_network(file), load_vnnlib(arguments.property)
    verdict = verify(network, property_, time_limit=arguments.time_limit, seed=arguments.seed, method=arguments.method)
    answer, point = verdict.answer, None
    if verdict.counterexample is not None:
        found = verdict.counterexample
        is_onnx = file.suffix.lower() == ".onnx"  # files of other kinds have been compared with their owners
        point = values_in_onnxruntime(file, found.x) if is_onnx else (found.x, found.y)
        if not _is_confirmed(found, *point):
            answer, point = Answer.UNKNOWN, None
    if arguments.results is not None:
        arguments.results.write_text(_result(answer, point, verdict.seconds >= arguments.time_limit), encoding="utf-8")
    if arguments.json:
        print(json.dumps(_as_json(arguments, answer, point, verdict), indent=2))
    else:
        print(*_in_words(answer, point, verdict), sep="\n")
    if point is not None and arguments.save is not None:
        save_vector(point[0], arguments.save)
    return CODES[answer]


def _is_confirmed(found: Counterexample, x: Array, y: Array) -> bool:
    """Whether onnxruntime's outputs satisfy the case, up to rounding."""
    return found.case.violation(x, y) <= TOLERANCE


def _result(answer: Answer, point: tuple[Array, Array] | None, is_late: bool) -> str:
    """The lines of a result file of VNN-COMP."""
    if point is None:
        undecided = "timeout" if is_late else "unknown"
        return "unsat\n" if answer is Answer.HOLDS else f"{undecided}\n"
    values = [
        f"({kind}_{index} {value!r})"
        for kind, part in zip("XY", point, strict=True)
        for index, value in enumerate(part.tolist())
    ]
    return "sat\n(" + "\n".join(values) + ")\n"


def _as_json(arguments: Arguments, answer: Answer, point: tuple[Array, Array] | None, verdict: Verdict) -> Any:
    left = [
        {"case": case.index, "bound": or_none(case.bound), "violation": or_none(case.violation)}
        for case in verdict.open_cases
    ]
    return {
        "network": str(arguments.file),
        "property": str(arguments.property),
        "answer": answer.value,
        "seconds": verdict.seconds,
        "inputs": point and point[0].tolist(),
        "outputs": point and point[1].tolist(),
        "left": left,
    }


def _in_words(answer: Answer, point: tuple[Array, Array] | None, verdict: Verdict) -> list[str]:
    took = f"({verdict.seconds:.2f} s)"
    if answer is Answer.HOLDS:
        return [f"The property holds {took}."]
    if point is not None:
        return [f"The property is violated {took}.", shown("Inputs", point[0]), shown("Outputs", point[1])]
    if verdict.counterexample is not None:
        return [f"Unknown {took}: a counterexample in float64 is none in onnxruntime, rounding decides."]
    left = [
        f"Case {case.index}: every input misses it by {case.bound:.6g} or more, the best one by {case.violation:.6g}."
        for case in verdict.open_cases
    ]
    return [f"Unknown {took}: {counted(len(left), 'case')} left.", *left]
