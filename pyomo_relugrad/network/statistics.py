"""What makes a network easy or hard to optimize over: sizes, stable neurons, big-M, linear regions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from pyomo_relugrad.arrays import Array, ArrayLike
from pyomo_relugrad.checks import check_known, check_number, is_whole
from pyomo_relugrad.errors import NetworkValueError
from pyomo_relugrad.network.bounds import PreactivationBounds, crown_bounds, interval_bounds
from pyomo_relugrad.network.linear_maps import entries
from pyomo_relugrad.network.network import Network, check_network, input_box
from pyomo_relugrad.words import shown

# How far past a kink a segment is followed before the next kink is looked for, relative to its length.
STEP_PAST_KINK = 1e-9
MAX_KINKS = 100_000
MAX_SEGMENTS = 1_000_000


@dataclass(frozen=True)
class StabilityStatistics:
    """What one kind of bounds tells of the ReLUs over a box.

    Parameters
    ----------
    active, inactive, unstable : int
        Number of ReLUs in each state.
    mean_big_m, largest_big_m : float
        Of the sides of the unstable ReLUs' ranges, the coefficients of a big-M formulation; 0 where none is unstable.
    """

    active: int
    inactive: int
    unstable: int
    mean_big_m: float
    largest_big_m: float

    @property
    def stable_share(self) -> float:
        """Share of the ReLUs whose state is decided; 1 where there are none."""
        total = self.active + self.inactive + self.unstable
        return 1.0 if total == 0 else (self.active + self.inactive) / total


@dataclass(frozen=True)
class NetworkStatistics:
    """Sizes of a network and, over a box, its stability and linear regions.

    Parameters
    ----------
    n_inputs, n_outputs, n_relus : int
    widths : tuple of int
    n_weights, n_nonzeros : int
        Entries of the weight matrices, zeros of CSR matrices not counted as entries; biases are not counted.
    stability : mapping from str to StabilityStatistics
        By the name of the bounds: "interval", "crown", and those that were given. Empty without a box.
    regions_per_segment : float or None
        Mean number of linear regions on a segment between two random points of the box; None without a finite box,
        or with smooth neurons, where there are none.
    """

    n_inputs: int
    n_outputs: int
    n_relus: int
    widths: tuple[int, ...]
    n_weights: int
    n_nonzeros: int
    stability: Mapping[str, StabilityStatistics]
    regions_per_segment: float | None

    @property
    def sparsity(self) -> float:
        """Share of the weights that are zero."""
        return 1.0 - self.n_nonzeros / self.n_weights if self.n_weights else 0.0


def network_statistics(
    network: Network,
    lower: ArrayLike | None = None,
    upper: ArrayLike | None = None,
    *,
    bounds: Sequence[str] = ("interval", "crown"),
    further_bounds: Mapping[str, PreactivationBounds] | None = None,
    segments: int = 32,
    seed: int = 0,
) -> NetworkStatistics:
    """Statistics of a network, with those over a box where one is given.

    Parameters
    ----------
    network : Network
    lower, upper : float or (n_inputs,) array, optional
        The box.
    bounds : sequence of str, optional
        Kinds of bounds: "interval", "crown", or both.
    further_bounds : mapping from str to PreactivationBounds, optional
        Bounds over the box besides these, by a name, such as
        ``{"lp": network_bounds(network, lower, upper, "lp")}`` from `pyomo_relugrad.programs`.
    segments : int, optional
        Random segments along which linear regions are counted; with 0 they are not.
    seed : int, optional

    Examples
    --------
    >>> from pyomo_relugrad.network import Network
    >>> network = Network.from_layers([[[1.0], [1.0]], [[1.0, -1.0]]], [[0.0, 5.0], [0.0]])
    >>> statistics = network_statistics(network, -1, 1)
    >>> statistics.stability["crown"].active, statistics.stability["crown"].unstable
    (1, 1)
    """
    check_network(network)
    for what, count in (("the number of segments", segments), ("the seed", seed)):
        check_number(count, what, "a whole number of 0 or more", partial(is_whole, least=0), NetworkValueError)
    if segments > MAX_SEGMENTS:
        raise NetworkValueError(f"the number of segments is {segments}: give {MAX_SEGMENTS} or fewer")
    further = {} if further_bounds is None else further_bounds
    if not (isinstance(further, Mapping) and all(isinstance(own, PreactivationBounds) for own in further.values())):
        raise NetworkValueError(f"further_bounds is {shown(further)}: give a mapping from names to PreactivationBounds")
    weights = [weight for layer in network.layers for weight in layer.weights]
    stability: dict[str, StabilityStatistics] = {}
    regions = None
    if (lower is None) != (upper is None):
        given = "lower" if upper is None else "upper"
        raise NetworkValueError(f"of the box only {given} is given: give lower and upper, or none of them")
    if lower is not None and upper is not None:
        low, high = input_box(network, lower, upper)
        kinds = {"interval": interval_bounds, "crown": crown_bounds}
        for name in bounds:
            check_known(name, "bounds", tuple(kinds))
        found = {name: kinds[name](network, low[None], high[None]) for name in bounds}
        stability = {name: stability_statistics(own) for name, own in {**found, **further}.items()}
        if segments and np.isfinite(low).all() and np.isfinite(high).all() and network.is_piecewise_linear:
            ends = np.random.default_rng(int(seed)).uniform(low, high, size=(2, int(segments), network.n_inputs))
            regions = float(count_regions(network, *ends).mean())
    return NetworkStatistics(
        n_inputs=network.n_inputs,
        n_outputs=network.n_outputs,
        n_relus=network.n_relus,
        widths=network.widths,
        n_weights=sum(weight.shape[0] * weight.shape[1] for weight in weights),
        n_nonzeros=sum(int(np.count_nonzero(entries(w))) for w in weights),
        stability=stability,
        regions_per_segment=regions,
    )


def stability_statistics(bounds: PreactivationBounds) -> StabilityStatistics:
    """Count what bounds on the pre-activations, over all their boxes together, tell of the ReLUs."""
    sides = [np.zeros(0)]
    for lower, upper, unstable in zip(bounds.lower, bounds.upper, bounds.unstable, strict=True):
        sides += [-lower[unstable], upper[unstable]]
    sizes = np.concatenate(sides)
    return StabilityStatistics(
        active=sum(int(mask.sum()) for mask in bounds.active),
        inactive=sum(int(mask.sum()) for mask in bounds.inactive),
        unstable=sizes.size // 2,
        mean_big_m=float(sizes.mean()) if sizes.size else 0.0,
        largest_big_m=float(sizes.max(initial=0.0)),
    )


def count_regions(network: Network, begin: ArrayLike, end: ArrayLike) -> Array:
    """How many linear regions each segment crosses.

    Segments are followed from kink to kink: within a region every pre-activation is affine along the segment, so the
    next sign change is known exactly.

    Parameters
    ----------
    network : Network
    begin, end : (S, n_inputs) arrays

    Returns
    -------
    (S,) int array
        At least 1.

    Raises
    ------
    NetworkValueError
        If a segment crosses more than 100,000 regions.
    """
    start = network.batch(begin)
    direction = network.batch(end) - start
    counts = np.ones(len(start), np.int64)
    place = np.zeros(len(start))
    todo = np.arange(len(start))
    for _ in range(MAX_KINKS if network.n_relus else 0):
        inside = place[todo] + STEP_PAST_KINK
        values, slopes = network.linearize(start[todo] + inside[:, None] * direction[todo], direction[todo])
        z, s = np.concatenate(values[:-1], axis=1), np.concatenate(slopes[:-1], axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            ahead = np.where(z * s < 0, -z / s, np.inf)
        place[todo] = inside + ahead.min(axis=1)
        todo = todo[place[todo] < 1]
        counts[todo] += 1
        if not todo.size:
            return counts
    if network.n_relus:
        raise NetworkValueError(f"a segment crosses more than {MAX_KINKS} linear regions: take a shorter one")
    return counts
