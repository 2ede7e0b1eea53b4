"""The answer of `maximize` and `minimize`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.network import Network, decoded
from pyomo_relugrad.notebook import html_table
from pyomo_relugrad.problem import Incumbent
from pyomo_relugrad.run import SearchResult, value_in_words
from pyomo_relugrad.words import counted

#: Inputs and outputs that the text of an answer shows.
MAX_SHOWN = 8


@dataclass(frozen=True, eq=False)
class Optimum:
    """The best point that `maximize` or `minimize` found.

    Parameters
    ----------
    x : (n_inputs,) array
    y : (n_outputs,) array
        The network's outputs at `x`.
    value : float
        The objective at `x`, computed in float64.
    result : SearchResult
        Pool, history and counters; objectives in it are negated for `maximize`.
    maximize : bool
        Whether `maximize` found it.
    network : Network
    """

    x: Array
    y: Array
    value: float
    result: SearchResult
    maximize: bool
    network: Network

    @classmethod
    def at(cls, point: Incumbent, result: SearchResult, maximize: bool, network: Network) -> Self:
        """The answer with one of the points of a search."""
        x, y = point.values[: network.n_inputs], point.values[network.n_inputs :]
        return cls(x, y, 0.0 - point.objective if maximize else point.objective, result, maximize, network)

    @property
    def solutions(self) -> tuple[Self, ...]:
        """The distinct points that were found, best first."""
        return tuple(self.at(point, self.result, self.maximize, self.network) for point in self.result.pool)

    def __repr__(self) -> str:
        return (
            f"<Optimum: {self._title}\n"
            f"  inputs   {_shown(self.inputs)}\n"
            f"  outputs  {_shown(self.outputs)}\n"
            f"  {self._end}>"
        )

    def _repr_html_(self) -> str:
        rows = [("input", *entry) for entry in self.inputs.items()]
        rows += [("output", *entry) for entry in self.outputs.items()]
        return html_table(self._title, rows, note=self._end)

    @property
    def _title(self) -> str:
        """What was found."""
        return f"{'largest' if self.maximize else 'smallest'} value found {value_in_words(self.value, self.bound)}"

    @property
    def _end(self) -> str:
        """How the search ended."""
        result = self.result
        return f"{result.stop.value} after {result.elapsed:.2f} s; {counted(len(result.pool), 'point')} in the pool"

    @property
    def inputs(self) -> dict[Any, Any]:
        """`x` under the names of the inputs, with categories; under positions where there are no names."""
        names = self.network.input_names or range(self.x.size)
        return {name: own.tolist()[0] for name, own in decoded(self.x[None], names, self.network.choices).items()}

    @property
    def outputs(self) -> dict[Any, float]:
        """`y` under the names of the outputs; under positions where there are no names."""
        return dict(zip(self.network.output_names or range(self.y.size), self.y.tolist(), strict=True))

    @property
    def bound(self) -> float:
        """No value is better than this; infinite where no bound is known."""
        return self._reported(self.result.bound)

    @property
    def history(self) -> tuple[tuple[float, float], ...]:
        """Seconds and value of each new incumbent."""
        return tuple((elapsed, self._reported(value)) for elapsed, value in self.result.history)

    @property
    def bound_history(self) -> tuple[tuple[float, float], ...]:
        """Seconds and value of each better bound."""
        return tuple((elapsed, self._reported(value)) for elapsed, value in self.result.bound_history)

    def _reported(self, value: float) -> float:
        return 0.0 - value if self.maximize else value


def _shown(values: dict[Any, Any]) -> str:
    """The first few values with their names."""
    parts = [
        f"{name}: {value:.6g}" if isinstance(value, float) else f"{name}: {value}" for name, value in values.items()
    ]
    return ", ".join(parts[:MAX_SHOWN]) + (f", ... ({len(parts)} in all)" if len(parts) > MAX_SHOWN else "")
