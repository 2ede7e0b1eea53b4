"""Models that are solved again and again: their compiled forms, in which only what changed is read again."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from pyomo.common.gc_manager import PauseGC
from pyomo.core.base.block import BlockData

from pyomo_relugrad.modeling.block.component import ReluNetworkBlockData, unexpanded_among
from pyomo_relugrad.modeling.compile.changes import Watch
from pyomo_relugrad.modeling.compile.components import active_blocks
from pyomo_relugrad.modeling.compile.model import CompiledModel, compile_model
from pyomo_relugrad.modeling.compile.renewal import Renewal
from pyomo_relugrad.run import Clock, Past


class KeptModels:
    """Compiled forms of the models that one solver object has solved; each dies with its model."""

    def __init__(self) -> None:
        self._kept: WeakKeyDictionary[BlockData, KeptModel] = WeakKeyDictionary()

    def __reduce__(self) -> tuple[type, tuple[()]]:
        """Copies and pickles begin with nothing."""
        return KeptModels, ()

    def of(self, model: BlockData) -> KeptModel:
        """What is kept of a model, from the first time on that it is asked for."""
        kept = self._kept.get(model)
        if kept is None:
            self._kept[model] = kept = KeptModel()
        return kept


class KeptModel:
    """The compiled form of one model, brought up to date when it is asked for.

    What changes is watched from the second time on, or from the end of a first solve that was long: watching takes
    about as long as reading. A model is read anew where more than numbers changed, and always where it has parts whose
    form depends on numbers, or that cannot be watched.

    Attributes
    ----------
    times : int
        How often it was asked for.
    past : Past
        What searches of the model left.
    loading : float or None
        Seconds from the last search's limit, or from its end before that, to the end of the whole solve; None before
        there was one.
    """

    def __init__(self) -> None:
        self.times = 0
        self.past = Past()
        self.loading: float | None = None
        self._searched, self._late = Clock(), 0.0
        self._watch: Watch | None = None
        self._renewal: Renewal | None = None
        self._can_be_watched = True

    def end_search(self, late: float) -> None:
        """Note that a search is over, so many seconds after its limit, and that its answer goes into the model now."""
        self._searched, self._late = Clock(), late

    def end_solve(self) -> None:
        """Note that a solve is over."""
        self.loading = self._late + self._searched.elapsed

    def compiled(self, model: BlockData) -> CompiledModel:
        """The model as it is now.

        Raises
        ------
        IncompatibleModel, InfeasibleModel
            As `compile_model`.
        """
        self.times += 1
        with PauseGC():
            return self._renewed(model) or self._anew(model)

    def _renewed(self, model: BlockData) -> CompiledModel | None:
        """The kept form with what changed, None where that is not enough."""
        renewal, self._renewal = self._renewal, None  # errors leave nothing behind that is out of date
        if renewal is None or self._watch is None:
            return None
        try:
            changes = self._watch.changes(model)
        except Exception:  # as below, in a part that is new; reading the model names what is wrong
            changes, self._can_be_watched = None, False
        compiled = None if changes is None else renewal.after(changes)
        if compiled is None:
            self._watch = None
        else:
            self._renewal = renewal
        return compiled

    def _anew(self, model: BlockData) -> CompiledModel:
        """The model read from its beginning."""
        compiled = compile_model(model)
        self.past.barren.clear()
        if self.times > 1:
            self.watch(model, compiled)
        return compiled

    def watch(self, model: BlockData, compiled: CompiledModel) -> None:
        """Notice changes from now on; nothing has changed since the model was read."""
        if isinstance(model, ReluNetworkBlockData):  # its equations name the block, which they would keep alive
            return
        with PauseGC():
            renewal = Renewal.of(compiled, list(unexpanded_among(active_blocks(model))))
            if renewal is not None and self._is_watched(model):
                self._renewal = renewal

    def _is_watched(self, model: BlockData) -> bool:
        """Whether changes of the model are noticed from now on."""
        if self._watch is None and self._can_be_watched:
            try:
                self._watch = Watch(model)
            except Exception:  # Pyomo does not know parts of expressions that the model may have
                self._can_be_watched = False
        return self._watch is not None
