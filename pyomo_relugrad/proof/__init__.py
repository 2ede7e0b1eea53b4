"""Proofs: branch and bound over the networks' inputs or over their ReLUs, the MILP, and their parts."""

from pyomo_relugrad.proof.block_tree import BlockTree
from pyomo_relugrad.proof.boxes.tree import SearchTree, prove
from pyomo_relugrad.proof.milp import MilpProof, prove_by_milp
from pyomo_relugrad.proof.pruned import search_by_pruned_milp
from pyomo_relugrad.proof.relus.tree import ReluTree, misfit

__all__ = [
    "BlockTree",
    "MilpProof",
    "ReluTree",
    "SearchTree",
    "misfit",
    "prove",
    "prove_by_milp",
    "search_by_pruned_milp",
]
