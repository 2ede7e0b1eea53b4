"""Time limits that count processor time: how far a search comes does not depend on what else the machine does.

``import processor_clock`` sets the clock of this process; ``python processor_clock.py SCRIPT`` runs a script by it.
"""

import runpy
import sys
import time
from pathlib import Path

time.perf_counter = time.process_time

if __name__ == "__main__":
    sys.path[0] = str(Path(sys.argv[1]).parent)
    runpy.run_path(sys.argv[1], run_name="__main__")
