"""How every test runs: the clock, the examples of property tests, the threads of linear algebra, and Ctrl-C.

Time limits count processor time, so that a busy machine changes no result.
A run uses one core where it is not told otherwise: the tests share the machine.
Property tests draw the same examples in every run of the automatic checks, and new ones everywhere else. Where several
processes share the tests (``pytest -n 2``) each has one thread: with more they take the cores from one another. A
shell's background jobs ignore Ctrl-C, and so would the tests of it.
"""

import gc
import os
import signal
import threading

if "PYTEST_XDIST_WORKER" in os.environ:  # before NumPy is imported
    for library in ("OMP", "OPENBLAS", "MKL"):
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")

import processor_clock  # noqa: F401
from hypothesis import settings

import pyomo_relugrad.run.options

pyomo_relugrad.run.options.usable_cores = lambda: 1

if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")


gc.disable()  # thousands of tests are collected, and stay


def pytest_collection_finish() -> None:
    """The garbage collector need not look at the tests and all modules again and again."""
    gc.freeze()
    gc.enable()
