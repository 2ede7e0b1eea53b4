"""The command ``relugrad``: look at networks, optimize over them and falsify properties without writing a script.

`arguments` says what may be typed, `main` runs it, and the other modules do what it asks.
"""

from pyomo_relugrad.cli.main import main

__all__ = ["main"]
