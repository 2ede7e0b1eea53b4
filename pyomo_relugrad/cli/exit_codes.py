"""What the exit code of a command tells."""

from enum import IntEnum


class ArgumentError(Exception):
    """A command line that is wrong, by itself or for the network that it names."""


class ExitCode(IntEnum):
    """The exit codes; each one's `meaning` is what ``relugrad --help`` says."""

    FINE = 0
    NOTHING_FOUND = 1
    USAGE = 2
    UNREADABLE = 3
    INTERRUPTED = 130

    @property
    def meaning(self) -> str:
        """In words."""
        return _MEANINGS[self]


_MEANINGS = {
    ExitCode.FINE: "what was asked for was done; a point, or a counterexample, was found",
    ExitCode.NOTHING_FOUND: "no point, or no counterexample, was found in the time given (which proves nothing)",
    ExitCode.USAGE: "the command line is wrong",
    ExitCode.UNREADABLE: "a file cannot be read or written, or the network cannot be handled",
    ExitCode.INTERRUPTED: "Ctrl-C, before there was anything to report",
}
