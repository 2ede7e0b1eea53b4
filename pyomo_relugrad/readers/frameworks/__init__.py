"""Networks straight from scikit-learn, PyTorch and Keras: thin adapters that import their package only when called."""

from pyomo_relugrad.readers.frameworks.keras import load_keras
from pyomo_relugrad.readers.frameworks.sklearn import load_sklearn
from pyomo_relugrad.readers.frameworks.torch import load_torch

__all__ = ["load_keras", "load_sklearn", "load_torch"]
