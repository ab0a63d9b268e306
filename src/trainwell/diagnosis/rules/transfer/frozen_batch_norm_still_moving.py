"""What it sees: batch norms of a network that was trained before, frozen with the layers before them, whose running
statistics go on moving with every step.

Why it hurts: the features were to stay as they are. In training mode a frozen norm still normalizes by the batch and
still writes its running mean: what is built upon it learns from other features than it gets in test mode.

Evidence: whether the norm's weights, those of the layer before it, or its input ever wanted a gradient; whether they
stayed as they were, bit by bit (the weights of a mean teacher do not); how far the running mean has moved since the
first call, in the deviations that it had, the median over channels. A network that was not trained before, or that is
frozen only while another one learns, is not meant.

Remedy: put the frozen part into test mode after each `model.train()`: `model.backbone.eval()`. Safe.

References: Keras, Transfer learning & fine-tuning ("Important notes about BatchNormalization layer"); PyTorch,
`torch.nn.BatchNorm2d` (running statistics are written in training mode, whatever `requires_grad` says).
"""

from trainwell.core.records.finding import Finding, Remedy, Where
from trainwell.core.records.observation import Observation
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import number

MOVED = 0.15
"""Running deviations, median over channels. Measured on digits: 30 batches of 2 to 64 of what the norm was trained on
move it by 0.01 to 0.08, of the same pictures at half the contrast by 0.19."""
LEAST = 2
"""Calls in training mode."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Ask each batch norm."""
    steps = observation.steps
    seen = steps.norms if steps else ()
    moving = [each for each in seen if each.trained and each.frozen and each.calls >= LEAST and each.moved > MOVED]
    if steps is None or not moving:
        return ()
    furthest = max(moving, key=lambda each: each.moved)
    more = f" (and {len(moving) - 1} more)" if len(moving) > 1 else ""
    return (
        RULE.finding(
            "error",
            f'Batch norm "{furthest.name}"{more} is frozen with the layer before it, but in {steps.taken} steps its '
            f"running mean moved by {number(furthest.moved)} of its deviations.",
            evidence={"norms": len(moving), "moved": furthest.moved, "calls": furthest.calls},
            cause="`requires_grad_(False)` keeps the weights; the statistics move as long as the norm is in training "
            "mode.",
            remedies=(Remedy(text="Call `.eval()` on the frozen part after each `model.train()`."),),
            where=Where(layer=furthest.name or None, file=furthest.where.file, line=furthest.where.line),
        ),
    )


RULE = Rule(
    code="TRF003",
    name="frozen-batch-norm-still-moving",
    needs=("steps",),
    find=find,
    page=__doc__ or "",
)
