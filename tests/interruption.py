"""Programs that are interrupted from outside, as by Ctrl-C."""

import signal
import subprocess
import sys
from pathlib import Path


def output_after_interrupt(program: str, line: str, timeout: float) -> str:
    """What a program prints after SIGINT, which it is sent once it has printed the line; it must end well.

    ``{tests}`` in the program stands for the folder of the tests.
    """
    code = program.format(tests=str(Path(__file__).parent))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"{line}\n"
        process.send_signal(signal.SIGINT)
        printed = process.communicate(timeout=timeout)[0]
    assert process.returncode == 0
    return printed
