"""The machine and the versions that a benchmark ran with, for its output."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("pyomo_relugrad", "pyomo", "omlt", "highspy", "numpy", "scipy")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def describe_machine() -> str:
    """Processor, cores, load, versions, and limits on threads, in three lines."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg()) if hasattr(os, "getloadavg") else "unknown"
    threads = " ".join(f"{name}={os.environ[name]}" for name in THREAD_VARIABLES if name in os.environ)
    packages = ", ".join(f"{name} {_version(name)}" for name in PACKAGES)
    return (
        f"{_processor()}, {os.cpu_count()} cores; load of the last 1, 5, 15 minutes: {load}\n"
        f"{platform.system()} {platform.machine()}, Python {platform.python_version()}, {packages}\n"
        f"threads: {threads or 'not limited'}"
    )


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    fields = {name.strip(): value.strip() for name, value in fields.items()}
    name = fields.get("model name") or platform.processor() or platform.machine()
    speed = f" at {float(fields['cpu MHz']) / 1000:.1f} GHz" if "cpu MHz" in fields else ""
    return name + speed


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(not installed)"


if __name__ == "__main__":
    print(describe_machine())
