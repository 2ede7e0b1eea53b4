"""How networks are put together: affine functions, hidden layers, composition, rewrites."""

from pyomo_relugrad.network.building.affine import Affine, either, stands_for_infinity
from pyomo_relugrad.network.building.composition import compose
from pyomo_relugrad.network.building.hidden_layers import (
    LARGE,
    HiddenLayers,
    affine_of,
    as_layer,
    clip,
    is_carried,
    largest,
    maximum,
    smallest,
    through,
    two_slopes,
    without_unread,
)
from pyomo_relugrad.network.building.parallel import mean_of, ranked, side_by_side, with_merged_layers
from pyomo_relugrad.network.building.probe import affine_map, is_affine_map
from pyomo_relugrad.network.building.rewrite import fold_scaling, map_outputs, substitute_inputs
from pyomo_relugrad.network.building.simplify import (
    prune_weights,
    rescale_neurons,
    with_unit_rows,
    without_stable_neurons,
)
