"""Errors of pyomo_relugrad that also are Pyomo's own, so that the handlers of Pyomo users catch them."""

from pyomo.common.errors import InfeasibleConstraintException
from pyomo.contrib.solver.common.util import IncompatibleModelError

from pyomo_relugrad.errors import InfeasibleProblemError, ModelError


class IncompatibleModel(ModelError, IncompatibleModelError):  # noqa: N818 - the name with Error is Pyomo's
    """A model with a component that the solver cannot handle; the message names it and says what to do."""


class UnexpandedNetworkError(IncompatibleModel):
    """A network block met by a solver or writer that does not know networks."""


class InfeasibleModel(InfeasibleProblemError, InfeasibleConstraintException):  # noqa: N818 - named like its sibling
    """A model with a constraint that cannot hold whatever the variables."""


class NotANetwork(IncompatibleModel):
    """A block of OMLT that states something else than a ReLU network; the message says what, without its name."""
