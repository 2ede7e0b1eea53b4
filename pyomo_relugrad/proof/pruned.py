"""Points of a problem from the MILP of its pruned networks, judged on the dense ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.proof.milp import prove_by_milp
from pyomo_relugrad.run import Options, Progress
from pyomo_relugrad.search.literature.pruned import with_pruned_networks


def search_by_pruned_milp(
    problem: Problem,
    rate: float = 0.8,
    *,
    bounds: str = Options.bounds,
    time_limit: float = np.inf,
    options: dict[str, Any] | None = None,
) -> Incumbent | None:
    """Solve the MILP of a problem whose networks are pruned, and judge every point that HiGHS finds on the dense ones.

    A pruned network is a surrogate of the surrogate: its MILP has fewer terms and fewer undecided ReLUs, so HiGHS finds
    points in it where it finds none in the dense one's (Pham et al., Optimization over trained (and sparse) neural
    networks: A surrogate within a surrogate, 2025, arXiv 2505.01985). What is proven of the pruned network says nothing
    of the dense one, so no bound is returned.

    Parameters
    ----------
    problem : Problem
        With a linear objective; the networks' inputs need finite bounds.
    rate : float, optional
        Share of each layer's weights that is set to zero, the smallest first.
    bounds : {"crown", "interval", "lp"}, optional
        How the pruned networks' pre-activations are bounded.
    time_limit : float, optional
        Seconds.
    options : dict, optional
        HiGHS options.

    Returns
    -------
    Incumbent or None
        The best of the points on the dense networks; None where HiGHS found none that is feasible there, which rows on
        outputs may cause.

    Raises
    ------
    ModelError
        As of `prove_by_milp`.

    Examples
    --------
    >>> from pyomo_relugrad.network import Network
    >>> from pyomo_relugrad.problem import EmbeddedNetwork
    >>> network = Network.from_layers([[[1.0, 0.1], [-1.0, 0.1]], [[1.0, 0.5]]], [[-0.5, 0.2], [0.0]])
    >>> problem = Problem(
    ...     cost=np.array([0.0, 0.0, -1.0]), lower=np.array([0.0, 0.0, -np.inf]), upper=np.array([1.0, 1.0, np.inf]),
    ...     networks=(EmbeddedNetwork(network, [0, 1], [2]),), maximize=True)
    >>> found = search_by_pruned_milp(problem, rate=0.5)
    >>> found.is_feasible, found.network_error
    (True, 0.0)
    """
    best: list[Incumbent] = []

    def judge(progress: Progress) -> None:
        if progress.is_new and progress.incumbent is not None:
            point = problem.incumbent(progress.incumbent.values)
            if point.is_feasible and (not best or point.objective < best[-1].objective):
                best.append(point)

    prove_by_milp(
        with_pruned_networks(problem, rate), bounds=bounds, time_limit=time_limit, options=options, callback=judge
    )
    return best[-1] if best else None
