"""HiGHS objects that print nothing."""

from __future__ import annotations

from typing import Any

import highspy

from pyomo_relugrad.errors import ModelError

#: Name of every thread of this package that runs HiGHS beside the main one.
HIGHS_THREAD = "pyomo_relugrad HiGHS"


class _SilentHighs(highspy.Highs):
    """HiGHS without output, also while it is constructed."""

    def enableCallbacks(self) -> None:  # noqa: N802
        """Turn the output off first: the constructor enables callbacks, and HiGHS 1.16 prints its banner then."""
        self.silent()
        super().enableCallbacks()


def silent_highs(options: dict[str, Any] | None = None) -> Any:
    """A HiGHS object with these options that prints nothing.

    Raises
    ------
    ModelError
        If HiGHS does not know an option, or does not take its value.
    """
    highs = _SilentHighs()
    for name, value in (options or {}).items():
        if highs.setOptionValue(name, value) == highspy.HighsStatus.kError:
            raise ModelError(f"HiGHS has no option {name} = {value!r}")
    return highs
