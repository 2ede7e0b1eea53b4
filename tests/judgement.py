"""The judgement of one case of a harness, and how errors are counted by what they say."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Judgement:
    """How a case ended.

    Parameters
    ----------
    outcome : str
        By which cases are counted; begins with ``FAULT`` if something is wrong.
    fault : str
        What is wrong; empty if nothing is.
    seconds : float
        Time that it took, or that it took beyond its limit, as the harness says.
    """

    outcome: str
    fault: str = ""
    seconds: float = 0.0


def reason(message: str) -> str:
    """The beginning of a message, without names and numbers."""
    short = re.sub(r"'[^']*'|\"[^\"]*\"", "'...'", message.splitlines()[0])
    return re.sub(r"-?\d+(\.\d+)?(e[+-]?\d+)?", "#", short)[:80]
