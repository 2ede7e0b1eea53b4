"""What the exit code of a command tells."""

from __future__ import annotations

from enum import IntEnum


class ArgumentError(Exception):
    """A command line that is wrong, by itself or for the network that it names."""


class ExitCode(IntEnum):
    """The exit codes; each one's `meaning` is what ``relugrad --help`` says."""

    meaning: str

    FINE = 0, "what was asked for was done; a point, or a counterexample, was found; a property that holds"
    NOTHING_FOUND = 1, "no point, counterexample or proof was found in the time given (which proves nothing)"
    USAGE = 2, "the command line is wrong"
    UNREADABLE = 3, "a file cannot be read or written, or the network cannot be handled"
    VIOLATED = 4, "verify: the property is violated"
    INTERRUPTED = 130, "Ctrl-C, before there was anything to report"

    def __new__(cls, code: int, meaning: str) -> ExitCode:
        """Keep the meaning beside the number."""
        member = int.__new__(cls, code)
        member._value_, member.meaning = code, meaning
        return member
