"""Time limits that count processor time: how far a search comes does not depend on what else the machine does.

``import processor_clock`` sets the clock of this process. `run` is for processes of their own: it runs a script by a
clock of another speed; twice the speed is a machine that is half as fast.
"""

import runpy
import sys
import time
from pathlib import Path

time.perf_counter = time.process_time


def run(script: str, rate: float) -> None:
    """Run a script by a clock of that speed, also HiGHS where the script calls it without us."""
    import highspy

    set_option = highspy.Highs.setOptionValue

    def set_shortened(highs, name, value):
        is_limit = name == "time_limit" and type(highs) is highspy.Highs  # ours are of a class of their own
        return set_option(highs, name, value / rate if is_limit else value)

    time.perf_counter = lambda: rate * time.process_time()
    highspy.Highs.setOptionValue = set_shortened
    sys.path.insert(0, str(Path(script).parent))
    runpy.run_path(script, run_name="__main__")
