"""How long an exact solve takes to end after Ctrl-C, in seconds, at several moments of several problems.

python benchmarks/interrupts.py
"""

from __future__ import annotations

import os
import signal
import threading
import time

import numpy as np
from customers import EXAMPLES, build, draw_customers
from machine import describe_machine
from search_instances import polytopes

from pyomo_relugrad import load_onnx
from pyomo_relugrad.modeling.compile import compile_model
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.run import Options, Stop
from pyomo_relugrad.solve import solve_exactly

#: Seconds after which Ctrl-C is pressed.
MOMENTS = (0.3, 0.8, 1.5, 2.6)


def main() -> None:
    print(describe_machine())
    random = np.random.default_rng(7)
    drawn, margins = draw_customers(60, random), random.uniform(5, 40, 60)
    customers = compile_model(build(load_onnx(EXAMPLES / "acceptance.onnx"), drawn, margins, 72.0)).problem
    for name, problem in [("60 customers", customers), *polytopes([70])]:
        print(f"{name:15}", *(f"{seconds_to_end(problem, moment):7.3f}" for moment in MOMENTS), flush=True)


def seconds_to_end(problem: Problem, moment: float) -> float:
    """Seconds from Ctrl-C to the answer; NaN where the solve had ended before."""
    pressed = np.nan

    def press() -> None:
        nonlocal pressed
        pressed = time.perf_counter()
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(moment, press)
    timer.start()
    result = solve_exactly(problem, Options(time_limit=30.0, relative_gap=0.0, threads=1))
    end = time.perf_counter()
    timer.cancel()
    return end - pressed if result.stop is Stop.INTERRUPTED else np.nan


if __name__ == "__main__":
    main()
