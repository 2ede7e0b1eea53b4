"""From a Pyomo model to a `Problem`, and values back."""

from pyomo_relugrad.modeling.compile.kept import KeptModel, KeptModels
from pyomo_relugrad.modeling.compile.model import CompiledModel, compile_model

__all__ = ["CompiledModel", "KeptModel", "KeptModels", "compile_model"]
