"""`DataHull`: variables of a Pyomo model kept where the data are."""

from pyomo_relugrad.modeling.data_hull.block import DataHull, DataHullData
from pyomo_relugrad.modeling.data_hull.hulls import Hulls

__all__ = ["DataHull", "DataHullData", "Hulls"]
