"""``relugrad falsify`` and ``relugrad verify``: an input that breaks a property, or whether there is none."""

import json
import time
from dataclasses import replace
from typing import Any

import numpy as np

from pyomo_relugrad.cli.arguments import Arguments
from pyomo_relugrad.cli.asked import Asked
from pyomo_relugrad.cli.exit_codes import ExitCode
from pyomo_relugrad.cli.values import or_none, save_vector
from pyomo_relugrad.readers.vnnlib import Property
from pyomo_relugrad.solve import Answer, Counterexample, Verdict, find_counterexample, linked_box, verify
from pyomo_relugrad.words import counted

# What inputs may miss their bounds by in onnxruntime, whose types are coarser, relative to one plus their size.
INPUT_TOLERANCE = 1e-6
# Where rounding undoes a counterexample in onnxruntime, another one is looked for, for so many seconds, that satisfies
# the rows by more than what they were missed by: by this share of the outputs' size.
MARGIN, MARGIN_SECONDS = 1e-5, 2.0
CODES = {
    Answer.HOLDS: ExitCode.FINE,
    Answer.VIOLATED: ExitCode.VIOLATED,
    Answer.UNKNOWN: ExitCode.NOTHING_FOUND,
}


def falsify(arguments: Arguments) -> ExitCode:
    """Look for a counterexample and show it."""
    asked = Asked(arguments)
    networks, property_ = asked.networks, asked.property_
    begin = time.perf_counter()
    found = find_counterexample(
        networks, property_, time_limit=arguments.time_limit, seed=arguments.seed, method=arguments.method
    )
    seconds = time.perf_counter() - begin
    if arguments.json:
        answer = {**asked.names, "found": found is not None, "seconds": seconds, **asked.as_json(found)}
        print(json.dumps(answer, indent=2))
    elif found is None:
        print(f"No counterexample found in {seconds:.2f} s; there may still be one.")
    else:
        print(f"Counterexample found in {seconds:.2f} s.", *asked.in_words(found), sep="\n")
    if found is None:
        return ExitCode.NOTHING_FOUND
    if arguments.save is not None:
        save_vector(found.x, arguments.save)
    return ExitCode.FINE


def verify_property(arguments: Arguments) -> ExitCode:
    """Answer whether a property holds, and show a counterexample where it does not."""
    asked = Asked(arguments)
    verdict = verify(
        asked.networks,
        asked.property_,
        time_limit=arguments.time_limit,
        seed=arguments.seed,
        method=arguments.method,
        threads=arguments.threads,
    )
    answer, point = verdict.answer, None
    if verdict.counterexample is not None:
        point = _confirmed(asked, verdict.counterexample)
        answer = Answer.UNKNOWN if point is None else answer
    if arguments.results is not None:
        is_late = verdict.seconds >= arguments.time_limit
        arguments.results.write_text(_result(asked, answer, point, is_late), encoding="utf-8")
    if arguments.json:
        print(json.dumps(_as_json(asked, answer, point, verdict), indent=2))
    else:
        print(*_in_words(asked, answer, point, verdict), sep="\n")
    if point is not None and arguments.save is not None:
        save_vector(point.x, arguments.save)
    return CODES[answer]


def _confirmed(asked: Asked, found: Counterexample) -> Counterexample | None:
    """The counterexample in onnxruntime, or another one that is one there too."""
    point = asked.in_onnxruntime(found)
    missed = _missed(point)
    if missed <= 0.0:
        return point
    if not np.isfinite(missed):
        return None
    margin = 2.0 * missed + MARGIN * (1.0 + abs(found.y).max())
    case, size = replace(found.case, limits=found.case.limits - margin), (found.x.size, found.y.size)
    deeper = find_counterexample(
        asked.networks, Property(*size, (case,), networks=asked.property_.networks), time_limit=MARGIN_SECONDS
    )
    if deeper is None:
        return None
    point = asked.in_onnxruntime(Counterexample(deeper.x, deeper.y, found.case))
    return point if _missed(point) <= 0.0 else None


def _missed(point: Counterexample) -> float:
    """By how much a point misses its case, inputs beside their bounds by no more than their rounding left out."""
    inside = np.clip(point.x, *linked_box(point.case))
    if (abs(inside - point.x) > INPUT_TOLERANCE * (1.0 + abs(point.x))).any():
        return float("inf")
    return point.case.violation(inside, point.y)


def _result(asked: Asked, answer: Answer, point: Counterexample | None, is_late: bool) -> str:
    """The lines of a result file of VNN-COMP."""
    if point is None:
        undecided = "timeout" if is_late else "unknown"
        return "unsat\n" if answer is Answer.HOLDS else f"{undecided}\n"
    if asked.property_.networks:
        lines = ["sat"]
        for tensor, values in asked.property_.tensors(point.x, point.y).items():
            shape = ",".join(map(str, tensor.shape))
            lines += [f"{tensor.name} {tensor.type} [{shape}]", *map(repr, values.ravel().tolist())]
        return "\n".join(lines) + "\n"
    pairs = [
        f"({kind}_{index} {value!r})"
        for kind, part in (("X", point.x), ("Y", point.y))
        for index, value in enumerate(part.tolist())
    ]
    return "sat\n(" + "\n".join(pairs) + ")\n"


def _as_json(asked: Asked, answer: Answer, point: Counterexample | None, verdict: Verdict) -> Any:
    left = [
        {"case": case.index, "bound": or_none(case.bound), "violation": or_none(case.violation)}
        for case in verdict.open_cases
    ]
    answered = {"answer": answer.value, "seconds": verdict.seconds}
    return {**asked.names, **answered, **asked.as_json(point), "left": left}


def _in_words(asked: Asked, answer: Answer, point: Counterexample | None, verdict: Verdict) -> list[str]:
    took = f"({verdict.seconds:.2f} s)"
    if answer is Answer.HOLDS:
        return [f"The property holds {took}."]
    if point is not None:
        return [f"The property is violated {took}.", *asked.in_words(point)]
    if verdict.counterexample is not None:
        return [f"Unknown {took}: a counterexample in float64 is none in onnxruntime, rounding decides."]
    left = [
        f"Case {case.index}: every input misses it by {case.bound:.6g} or more, the best one by {case.violation:.6g}."
        for case in verdict.open_cases
    ]
    return [f"Unknown {took}: {counted(len(left), 'case')} left.", *left]
