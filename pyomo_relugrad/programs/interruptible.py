"""Runs of HiGHS that Ctrl-C ends: Python's main thread hears of it only between its own instructions."""

import threading
from typing import Any

import highspy

from pyomo_relugrad.programs.highs import HIGHS_THREAD

#: Seconds between two looks whether Ctrl-C was pressed, and seconds that HiGHS is given to stop then.
LOOK_SECONDS, STOP_PATIENCE = 0.1, 0.1


def run_interruptibly(highs: Any) -> None:
    """Let HiGHS solve its model, in a thread of its own where Ctrl-C comes to this one.

    Ctrl-C tells HiGHS that its time is over, and leaves it to itself if it does not look at its clock soon.
    """
    if threading.current_thread() is not threading.main_thread():
        highs.run()
        return
    errors = list[BaseException]()
    thread = threading.Thread(target=_run, args=(highs, errors), name=HIGHS_THREAD)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(LOOK_SECONDS)
    except BaseException:
        highs.setOptionValue("time_limit", 0.0)
        thread.join(STOP_PATIENCE)
        raise
    if errors:
        raise errors[0]


def _run(highs: Any, errors: list[BaseException]) -> None:
    try:
        highs.run()
    except BaseException as error:
        errors.append(error)
    finally:
        highspy.Highs.resetGlobalScheduler(False)
