"""Networks that feed networks, rewritten so that each reads columns that no network writes."""

from dataclasses import replace

import numpy as np

from pyomo_relugrad.network.building import compose
from pyomo_relugrad.problem.embedding import EmbeddedNetwork
from pyomo_relugrad.problem.presolve.reduction import Reduced, same_columns
from pyomo_relugrad.problem.problem import Problem


def compose_chains(problem: Problem) -> Reduced | None:
    """Replace every network that reads another's outputs by both in one.

    A network's output is affine in its hidden layers, and the next network's first layer is affine in that output, so
    the two join without a new neuron. Relaxations of the joined network keep what an interval between the two would
    lose.
    """
    writers = {int(column): embedded for embedded in problem.networks for column in embedded.outputs}
    reads = [not writers.keys().isdisjoint(embedded.inputs.tolist()) for embedded in problem.networks]
    if not any(reads):
        return None
    joined = tuple(
        _joined(embedded, writers) if is_last else embedded
        for embedded, is_last in zip(problem.networks, reads, strict=True)
    )
    return same_columns(replace(problem, networks=joined))


def _joined(last: EmbeddedNetwork, writers: dict[int, EmbeddedNetwork]) -> EmbeddedNetwork:
    """The network with everything that it reads, as one network of the columns that no network writes."""
    order = _ancestors(last, writers)
    columns = np.concatenate([embedded.inputs for embedded in order])
    free = np.array(sorted({int(column) for column in columns} - set(writers)), dtype=np.int64)
    parts = [(embedded.network, embedded.inputs, embedded.outputs) for embedded in order]
    return EmbeddedNetwork(compose(free, parts, last.network.name), free, last.outputs, last.name)


def _ancestors(embedded: EmbeddedNetwork, writers: dict[int, EmbeddedNetwork]) -> list[EmbeddedNetwork]:
    """The networks that the given one needs, itself last, each after those it reads."""
    order: list[EmbeddedNetwork] = []

    def visit(current: EmbeddedNetwork) -> None:
        if any(current is seen for seen in order):
            return
        for column in current.inputs.tolist():
            if column in writers:
                visit(writers[column])
        order.append(current)

    visit(embedded)
    return order
