"""Proofs: branch and bound over the networks' inputs or over their ReLUs, the MILP, and their parts."""

from pyomo_relugrad.proof.block_tree import BlockTree
from pyomo_relugrad.proof.boxes.bounding import bound_seconds
from pyomo_relugrad.proof.boxes.tree import SearchTree, prove
from pyomo_relugrad.proof.chain_tree import ChainTree
from pyomo_relugrad.proof.horizon import HorizonProof
from pyomo_relugrad.proof.hulls import with_hulls
from pyomo_relugrad.proof.hulls_first import HullsFirst
from pyomo_relugrad.proof.in_turns import ProofInTurns
from pyomo_relugrad.proof.lagrangian_bound import LagrangianBound
from pyomo_relugrad.proof.lattice_tree import LatticeTree
from pyomo_relugrad.proof.milp import MAX_ENTRIES, REPORT_INTERVAL, MilpProof, prove_by_milp
from pyomo_relugrad.proof.outer_approximation import OuterApproximation, is_convex_around_networks
from pyomo_relugrad.proof.pruned import search_by_pruned_milp
from pyomo_relugrad.proof.relus.tree import ReluTree, misfit
from pyomo_relugrad.proof.root_bound import BoundKeeper

#: Public, and described in the reference.
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
