"""Proofs: branch and bound over the networks' inputs, the MILP, and their parts."""

from pyomo_relugrad.proof.block_tree import BlockTree
from pyomo_relugrad.proof.boxes.tree import SearchTree, prove
from pyomo_relugrad.proof.milp import MilpProof, prove_by_milp
from pyomo_relugrad.proof.pruned import search_by_pruned_milp

__all__ = [
    "BlockTree",
    "MilpProof",
    "SearchTree",
    "prove",
    "prove_by_milp",
    "search_by_pruned_milp",
]
