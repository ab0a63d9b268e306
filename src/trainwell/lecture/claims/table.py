"""Every claim of the notes by its name."""

from collections.abc import Callable

from trainwell.lecture.claims import (
    augmentation,
    initialization,
    preprocessing,
    rectifiers,
    regularization,
    schedules,
    smooth,
    squashing,
    transfer,
)
from trainwell.lecture.claims.result import ClaimResult

CLAIMS: dict[str, Callable[..., ClaimResult]] = {
    "sigmoid_kills_gradients": squashing.sigmoid_kills_gradients,
    "not_zero_centred_makes_same_signs": squashing.not_zero_centred_makes_same_signs,
    "exp_costs": squashing.exp_costs,
    "tanh_still_saturates": squashing.tanh_still_saturates,
    "relu_converges_faster": rectifiers.relu_converges_faster,
    "relus_die": rectifiers.relus_die,
    "leaky_relu_does_not_die": rectifiers.leaky_relu_does_not_die,
    "prelu_slope_learns": rectifiers.prelu_slope_learns,
    "elu_is_centred_and_robust": smooth.elu_is_centred_and_robust,
    "selu_trains_deep": smooth.selu_trains_deep,
    "gelu_is_an_expectation": smooth.gelu_is_an_expectation,
    "last_tenth_of_a_percent": smooth.last_tenth_of_a_percent,
    "normalizing_helps": preprocessing.normalizing_helps,
    "zero_weights_give_identical_gradients": initialization.zero_weights_give_identical_gradients,
    "small_std_vanishes": initialization.small_std_vanishes,
    "large_std_saturates": initialization.large_std_saturates,
    "xavier_keeps_the_variance": initialization.xavier_keeps_the_variance,
    "kaiming_keeps_the_variance": initialization.kaiming_keeps_the_variance,
    "properties_fade": initialization.properties_fade,
    "dropout_forces_redundancy": regularization.dropout_forces_redundancy,
    "dropout_is_an_ensemble": regularization.dropout_is_an_ensemble,
    "l2_and_batch_norm_suffice": regularization.l2_and_batch_norm_suffice,
    "augmentation_encodes_invariance": augmentation.augmentation_encodes_invariance,
    "schedules_beat_constant": schedules.schedules_beat_constant,
    "transfer_by_data_size": transfer.transfer_by_data_size,
}
"""Name -> function that measures it; called with nothing it measures at the size that is reported."""
