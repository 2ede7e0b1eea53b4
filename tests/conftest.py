"""How every test runs: the examples of property tests, and the threads of linear algebra.

Property tests draw the same examples in every run of the automatic checks, and new ones everywhere else. Where several
processes share the tests (``pytest -n 2``) each has one thread: with more they take the cores from one another.
"""

import os

if "PYTEST_XDIST_WORKER" in os.environ:  # before NumPy is imported
    for library in ("OMP", "OPENBLAS", "MKL"):
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")

from hypothesis import settings

settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")
