"""Every rule by its code."""

from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.rules.activations import activation_before_loss, dead_relu, saturated_activation
from trainwell.diagnosis.rules.data import (
    class_imbalance,
    input_badly_scaled,
    input_not_centered,
    input_not_finite,
    labels_unrelated,
    target_out_of_range,
    train_val_overlap,
)
from trainwell.diagnosis.rules.dependencies import batch_dimension_mixed, future_leak
from trainwell.diagnosis.rules.initialization import (
    exploding_activations,
    initial_loss_off,
    shrinking_activations,
    symmetric_weights,
)
from trainwell.diagnosis.rules.optimization import (
    broadcast_loss,
    cannot_overfit_small_sample,
    diverging_loss,
    exploding_gradient,
    gradient_not_zeroed,
    learning_rate_too_high,
    learning_rate_too_low,
    non_finite_loss,
    oscillating_loss,
    parameter_not_in_optimizer,
    parameter_without_gradient,
    vanishing_gradient,
)
from trainwell.diagnosis.rules.regularization import overfitting, underfitting
from trainwell.diagnosis.rules.schedule import decayed_too_early, flat_start, plateau_wants_decay, stopped_too_early

RULES: dict[str, Rule] = {
    "DAT001": input_not_finite.RULE,
    "DAT002": input_not_centered.RULE,
    "DAT003": input_badly_scaled.RULE,
    "DAT004": target_out_of_range.RULE,
    "DAT005": class_imbalance.RULE,
    "DAT006": train_val_overlap.RULE,
    "DAT009": labels_unrelated.RULE,
    "INI001": symmetric_weights.RULE,
    "INI002": shrinking_activations.RULE,
    "INI003": exploding_activations.RULE,
    "INI004": initial_loss_off.RULE,
    "ACT001": saturated_activation.RULE,
    "ACT002": dead_relu.RULE,
    "ACT006": activation_before_loss.RULE,
    "OPT001": diverging_loss.RULE,
    "OPT002": learning_rate_too_high.RULE,
    "OPT003": learning_rate_too_low.RULE,
    "OPT004": vanishing_gradient.RULE,
    "OPT005": exploding_gradient.RULE,
    "OPT006": parameter_not_in_optimizer.RULE,
    "OPT007": parameter_without_gradient.RULE,
    "OPT008": gradient_not_zeroed.RULE,
    "OPT010": cannot_overfit_small_sample.RULE,
    "OPT013": oscillating_loss.RULE,
    "OPT014": non_finite_loss.RULE,
    "OPT016": broadcast_loss.RULE,
    "REG001": overfitting.RULE,
    "REG002": underfitting.RULE,
    "SCH001": plateau_wants_decay.RULE,
    "SCH002": decayed_too_early.RULE,
    "SCH003": stopped_too_early.RULE,
    "SCH004": flat_start.RULE,
    "DEP001": batch_dimension_mixed.RULE,
    "DEP002": future_leak.RULE,
}
