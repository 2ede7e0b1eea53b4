"""A clock that tests set, in place of the process's own."""

import time

import pytest


class FakeClock:
    """Stands still until it is told to go on; with a tick it goes on by itself at each look."""

    def __init__(self, tick: float = 0.0) -> None:
        self.now, self.tick = 1000.0, tick

    def __call__(self) -> float:
        self.now += self.tick
        return self.now

    @classmethod
    def installed(cls, monkeypatch: pytest.MonkeyPatch, tick: float = 0.0) -> "FakeClock":
        clock = cls(tick)
        monkeypatch.setattr(time, "perf_counter", clock)
        return clock
