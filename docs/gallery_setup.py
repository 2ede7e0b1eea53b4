"""What the examples find when the gallery runs them, beyond what sphinx-gallery gives them."""

import builtins
import logging
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).parent.parent / "examples"

#: The examples in the order in which they are best read.
ORDER = (
    "quickstart", "reactor_design", "blending", "stations", "customer_budget", "learned_constraint", "extrapolation",
    "price_optimisation", "pooling", "plant_section", "controller", "omlt_model", "proof_and_gap", "comparing_methods",
    "callback_and_starts", "solution_pool", "training", "optimisable_training",
)  # fmt: skip


class ReadingOrder:
    """The key by which sphinx-gallery sorts the examples of a folder.

    Parameters
    ----------
    folder : str
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __call__(self, name: str) -> int:
        """The place of a script."""
        return ORDER.index(Path(name).stem)


def prepare(gallery_conf: dict[str, Any], script: str | Path | None) -> None:
    """Before and after each example.

    Its own path is ``__file__``, as when Python runs it; the data lie beside it. What a theme of Pygments sets up on
    the root logger when it is imported would fill the pages with the solvers' logging.

    Parameters
    ----------
    gallery_conf : dict
        The gallery's configuration.
    script : path or None
        The example; None at the beginning of the folder.
    """
    builtins.__file__ = str(EXAMPLES / Path(script or "").name)  # type: ignore[attr-defined]
    logging.getLogger().handlers.clear()
    logging.getLogger().setLevel(logging.WARNING)
