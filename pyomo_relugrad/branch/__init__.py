"""Proofs by branch and bound over the inputs of the networks. Knows `search` for linear programs; no Pyomo."""

from pyomo_relugrad.branch.search_tree import SearchTree, prove
from pyomo_relugrad.search.proof import ProofProgress, ProofResult, ProofStatus

__all__ = ["ProofProgress", "ProofResult", "ProofStatus", "SearchTree", "prove"]
