"""Regularization: the notes' common pattern is that training adds randomness and testing averages it out.

>>> sorted(name for name, row in REGULARIZERS.items() if row.averaging == "exact in expectation")
['drop_connect', 'dropout', 'plain_dropout', 'stochastic_depth']

p is the probability to DROP throughout. Alpha dropout (for SELU) is `torch.nn.AlphaDropout`, cross-entropy with soft
targets is `torch.nn.CrossEntropyLoss`.
"""

from trainwell.regularization.batch_norm import (
    BatchNormResult,
    batch_norm,
    batch_norms,
    recompute_statistics,
)
from trainwell.regularization.dropout import (
    DropConnect,
    Dropout,
    PlainDropout,
    StochasticDepth,
    depth_rates,
    draw_kept,
    drop_connect,
    dropout,
    plain_dropout,
    stochastic_depth,
)
from trainwell.regularization.early_stopping import EarlyStopping, Watched
from trainwell.regularization.label_smoothing import one_hot_targets, smooth_labels
from trainwell.regularization.mixing import Mixed, cutmix, cutout, draw_mixing, mixup
from trainwell.regularization.penalties import (
    couple_decay,
    decouple_decay,
    elastic_net_penalty,
    l1_penalty,
    l2_penalty,
    parameter_groups,
)
from trainwell.regularization.table import REGULARIZERS, Regularizer

__all__ = [
    "REGULARIZERS",
    "BatchNormResult",
    "DropConnect",
    "Dropout",
    "EarlyStopping",
    "Mixed",
    "PlainDropout",
    "Regularizer",
    "StochasticDepth",
    "Watched",
    "batch_norm",
    "batch_norms",
    "couple_decay",
    "cutmix",
    "cutout",
    "decouple_decay",
    "depth_rates",
    "draw_kept",
    "draw_mixing",
    "drop_connect",
    "dropout",
    "elastic_net_penalty",
    "l1_penalty",
    "l2_penalty",
    "mixup",
    "one_hot_targets",
    "parameter_groups",
    "plain_dropout",
    "recompute_statistics",
    "smooth_labels",
    "stochastic_depth",
]
