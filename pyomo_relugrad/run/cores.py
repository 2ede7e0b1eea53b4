"""How many processor cores this process may use."""

import math
import multiprocessing
import os
from functools import cache
from pathlib import Path, PurePosixPath

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUP = Path("/proc/self/cgroup")


def usable_cores() -> int:
    """The cores that affinity and control groups leave to this process; 1 in a process that multiprocessing started.

    Whoever starts several processes has shared out the cores already.
    """
    if multiprocessing.parent_process() is not None:
        return 1
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    return max(math.ceil(min(cores, cgroup_cores(CGROUPS, OWN_CGROUP))), 1)


@cache
def cgroup_cores(groups: Path, own: Path) -> float:
    """The cores that the control groups of a process allow, infinite where they set no limit; they are read once.

    Parameters
    ----------
    groups : Path
        Where the control groups are mounted.
    own : Path
        The file that names the groups of the process.
    """
    try:
        lines = own.read_text(encoding="ascii").split()
    except (OSError, UnicodeError):
        lines = []
    limits = [_quota(groups / "cpu" / "cpu.cfs_quota_us", groups / "cpu" / "cpu.cfs_period_us")]  # version 1
    for line in lines:
        if line.startswith("0::/"):  # version 2: the limits of all groups around one count
            inner = PurePosixPath(line.removeprefix("0::/"))
            limits += [_quota(groups / group / "cpu.max") for group in (inner, *inner.parents)]
    return min(limits)


def _quota(*files: Path) -> float:
    """Quota by period of the processor's time, read from one file or two."""
    try:
        quota, period = (float(word) for file in files for word in file.read_text(encoding="ascii").split())
    except (OSError, ValueError):  # no such file, or the word "max"
        return math.inf
    return quota / period if quota > 0 and period > 0 else math.inf
