"""`ReluNetworkBlock`: a trained network inside a Pyomo model, unexpanded."""

from pyomo_relugrad.modeling.block.component import ReluNetworkBlock, ReluNetworkBlockData, unexpanded_blocks

__all__ = ["ReluNetworkBlock", "ReluNetworkBlockData", "unexpanded_blocks"]
