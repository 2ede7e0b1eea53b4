"""Searching a pruned surrogate of the network (Pham, Ren, Tahir, Tong, Serra, arXiv 2505.01985)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from pyomo_relugrad.network.building import prune_weights, with_unit_rows
from pyomo_relugrad.problem import EmbeddedNetwork, Incumbent, Problem
from pyomo_relugrad.run import SearchContext, between
from pyomo_relugrad.search.domains.domain import Domain
from pyomo_relugrad.search.domains.method import DomainMethod
from pyomo_relugrad.search.literature.lp_walk import LpWalk
from pyomo_relugrad.search.regions.program import RegionProgram


@dataclass(frozen=True)
class Pruned(DomainMethod):
    """LP walks on pruned networks, judged on the dense ones (arXiv 2505.01985).

    Magnitude, unstructured, without finetuning: the paper's best variant. Decided here: the rates take turns, one LP
    walk each from a uniform start; from a walk's end the dense network's walk goes on (the paper's option to solve the
    dense region's LP), so that the answer is a vertex of the dense network. Weights are compared after every neuron's
    row has been scaled to length one, so that rescaling the network does not change what is pruned.

    Parameters
    ----------
    rates : tuple of float, optional
        Shares of the weights that are set to zero, one surrogate after another (0.5, 0.8, 0.9, 0.95, as in the paper).
    walk : LpWalk, optional
        The walks on surrogates and on the dense networks.
    """

    name = "pruned"

    rates: tuple[float, ...] = between((0.5, 0.8, 0.9, 0.95), 0, 1)
    walk: LpWalk = LpWalk()

    def search(self, problem: Problem, domain: Domain, context: SearchContext) -> Iterator[Incumbent | None]:
        """Walk on surrogate after surrogate."""
        dense, surrogates = RegionProgram(problem), dict[float, RegionProgram]()
        while not context.budget.is_exhausted():
            for rate in self.rates:
                u = domain.sample(context.random, 1)[0]
                yield dense.incumbent(u)
                if rate not in surrogates:
                    surrogates[rate] = RegionProgram(with_pruned_networks(problem, rate))
                if context.budget.is_exhausted():
                    return
                for point in self.walk.from_start(surrogates[rate], domain, u, context):
                    u = point.values[dense.columns]
                    yield problem.incumbent(point.values)
                yield from self.walk.from_start(dense, domain, u, context)


def with_pruned_networks(problem: Problem, rate: float) -> Problem:
    """The problem with every network pruned, its neurons' rows scaled to length one; shared networks stay shared."""
    copies = {id(part.network): prune_weights(with_unit_rows(part.network), rate) for part in problem.networks}
    networks = tuple(
        EmbeddedNetwork(copies[id(part.network)], part.inputs, part.outputs, part.name) for part in problem.networks
    )
    return replace(problem, networks=networks)
