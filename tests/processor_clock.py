"""Time limits that count processor time: how far a search comes does not depend on what else the machine does.

``import processor_clock`` sets the clock of this process; ``python processor_clock.py RATE SCRIPT`` runs a script by
one of another speed: twice the speed is a machine that is half as fast.
"""

import runpy
import sys
import time
from pathlib import Path

time.perf_counter = time.process_time

if __name__ == "__main__":
    rate, script = float(sys.argv[1]), sys.argv[2]
    time.perf_counter = lambda: rate * time.process_time()
    sys.path[0] = str(Path(script).parent)
    runpy.run_path(script, run_name="__main__")
