"""Where a search over image networks begins."""

import math

from trainwell.core.errors import SettingError
from trainwell.core.records.hyperparameters import (
    Architecture,
    Augmentation,
    Hyperparameters,
    Optimization,
    Regularization,
    Schedule,
)
from trainwell.core.records.layout import InputLayout
from trainwell.models.convnet import SMALLEST_MAP, stage_widths
from trainwell.models.image_input import ImageInput

# Multiplications a second in training where it was not measured: 2 cores (x86, AVX-512) with native bf16.
MULTIPLICATIONS_PER_SECOND = 1.3e11
# A step costs this much however few its samples: two dozen layers forth and back, and the optimizer.
LEAST_SECONDS_PER_STEP = 5e-3
# A network must be granted this many passes before a wider one is taken; few samples are seen more often.
FEWEST_EPOCHS, MOST_WANTED_EPOCHS, SAMPLES_SEEN = 12, 40, 200_000
# Passes beyond which nothing more is planned.
MOST_EPOCHS = 100
SMALLEST_BATCH, LARGEST_BATCH = 32, 512
# Steps that an epoch should have, at the least.
STEPS_PER_EPOCH = 20
# On 55,000 images of fashion-mnist, 1 pass: 0.904 by SGD at these, 0.900 by AdamW at 0.012, 0.893 at 0.004.
SGD_SAMPLES, SGD_LR, SGD_DECAY = 20_000, 0.8, 5e-4
ADAMW_LR, ADAMW_DECAY = 4e-3, 0.02
# A residual network pays where images are large and there is time to train a deep one.
RESNET_SIDE, RESNET_BUDGET_SECONDS = 64, 1800.0


def image_defaults(
    layout: InputLayout,
    *,
    samples: int,
    classes: int,
    budget_seconds: float,
    steps_per_second: float | None = None,
) -> Hyperparameters:
    """A sensible starting point for images; the recipe's steps measure the rest.

    Args:
        layout: an image's.
        samples: training images, >= 1.
        classes: classes or targets, >= 1.
        budget_seconds: for the training that is kept, on the wall, > 0.
        steps_per_second: measured with what this function returns without it, > 0; None: estimated.
    Returns:
        The widest network that the budget grants enough passes, and what goes with it. Mirror images are left to
        evidence: they harm digits.
    Raises:
        SettingError: an argument is outside its range.
    Example:
        >>> layout = InputLayout(kind="image", height=28, width=28, channels=1)
        >>> chosen = image_defaults(layout, samples=60_000, classes=10, budget_seconds=330.0)
        >>> chosen.architecture.name, chosen.architecture.width, chosen.optimization.batch_size
        ('convnet', 32, 512)

    Source: Jordan 2024, "94% on CIFAR-10 in 3.29 seconds" (network, label smoothing, triangular rate, averaged weights,
    shifts of 2 pixels in 32).
    """
    _refuse(samples=samples, classes=classes, budget_seconds=budget_seconds, steps_per_second=steps_per_second)
    batch_size = _batch_size(samples)
    architecture = _widest(layout, samples=samples, batch_size=batch_size, seconds=budget_seconds)
    if steps_per_second is not None:
        # How much faster this machine is than the one that was estimated.
        speed = steps_per_second * seconds_per_step(layout, architecture=architecture, batch_size=batch_size)
        architecture = _widest(layout, samples=samples, batch_size=batch_size, seconds=budget_seconds * speed)
    sgd = architecture.name == "convnet" and samples >= SGD_SAMPLES
    return Hyperparameters(
        architecture=architecture,
        activation="gelu",
        regularization=Regularization(
            weight_decay=SGD_DECAY if sgd else ADAMW_DECAY, label_smoothing=0.1 if classes > 1 else 0.0
        ),
        # 2 pixels of 28 or 32. None of 8: over 5 splits of `digits` a pixel's shift changed the accuracy by -0.003.
        augmentation=Augmentation(translate=min(layout.height, layout.width) // 14),
        optimization=Optimization(
            optimizer="sgd" if sgd else "adamw",
            lr=SGD_LR * batch_size / LARGEST_BATCH if sgd else ADAMW_LR,
            momentum=0.85 if sgd else 0.9,
            beta2=0.99,
            batch_size=batch_size,
            averaging=0.02,
        ),
        schedule=Schedule(decay="linear", warmup_fraction=0.2, decay_fraction=0.8),
    )


def planned_epochs(*, samples: int, batch_size: int, budget_seconds: float, steps_per_second: float) -> int:
    r"""Passes over the training images that a budget grants.

    .. math:: E = \text{budget} \cdot \text{steps per second} \, / \, \lfloor n / \text{batch} \rfloor

    Args:
        samples: training images, >= 1.
        batch_size: samples a step, >= 1.
        budget_seconds: on the wall, > 0.
        steps_per_second: measured, > 0.
    Returns:
        1 to `MOST_EPOCHS`.
    Raises:
        SettingError: an argument is outside its range.
    Example:
        >>> planned_epochs(samples=60_000, batch_size=512, budget_seconds=330.0, steps_per_second=5.0)
        14
    """
    _refuse(samples=samples, batch_size=batch_size, budget_seconds=budget_seconds, steps_per_second=steps_per_second)
    steps = budget_seconds * steps_per_second
    passes = int(steps / max(samples // batch_size, 1))
    return min(max(passes, 1), MOST_EPOCHS)


def seconds_per_step(layout: InputLayout, *, architecture: Architecture, batch_size: int) -> float:
    """What a training step costs on the machine of `MULTIPLICATIONS_PER_SECOND`, estimated.

    Args:
        layout: an image's.
        architecture: convnet or resnet.
        batch_size: samples a step, >= 1.
    Returns:
        Seconds.
    """
    forth_and_back = 3 * batch_size * multiplications(layout, architecture=architecture)
    return LEAST_SECONDS_PER_STEP + forth_and_back / MULTIPLICATIONS_PER_SECOND


def multiplications(layout: InputLayout, *, architecture: Architecture) -> int:
    """Multiplications of one image's forward pass through the convolutions.

    Args:
        layout: an image's.
        architecture: convnet or resnet.
    Returns:
        Their number; training takes three times as many.
    Example:
        >>> layout = InputLayout(kind="image", height=28, width=28, channels=1)
        >>> multiplications(layout, architecture=Architecture(name="convnet", width=32, depth=2))
        16356384
    """
    entry = ImageInput(layout)
    maps, rows, columns = entry.width, *entry.size
    total = rows * columns * maps * entry.kernel**2 * layout.channels
    for channels in stage_widths(min(entry.size), width=architecture.width):
        total += rows * columns * 9 * maps * channels
        if min(rows, columns) // 2 >= SMALLEST_MAP:
            rows, columns = rows // 2, columns // 2
        further = 2 * architecture.depth if architecture.name == "resnet" else architecture.depth - 1
        total += further * rows * columns * 9 * channels**2
        maps = channels
    return total


def _widest(layout: InputLayout, *, samples: int, batch_size: int, seconds: float) -> Architecture:
    """The widest network that is not too wide for the samples and gets enough passes over them."""
    deep = min(layout.height, layout.width) >= RESNET_SIDE and seconds >= RESNET_BUDGET_SECONDS
    name, depth = ("resnet", 1) if deep else ("convnet", 2)
    wanted = min(max(SAMPLES_SEEN / samples, FEWEST_EPOCHS), MOST_WANTED_EPOCHS)
    most = next(width for fewer_than, width in WIDEST_BY_SAMPLES if samples < fewer_than)
    candidates = [Architecture(name=name, width=width, depth=depth) for width in WIDTHS if width <= most]
    for architecture in reversed(candidates):
        step = seconds_per_step(layout, architecture=architecture, batch_size=batch_size)
        if seconds / step >= wanted * max(samples // batch_size, 1):
            return architecture
    return candidates[0]


def _batch_size(samples: int) -> int:
    """A power of two that leaves `STEPS_PER_EPOCH`."""
    wanted = max(samples // STEPS_PER_EPOCH, 1)
    return min(max(1 << (wanted.bit_length() - 1), SMALLEST_BATCH), LARGEST_BATCH)


def _refuse(**numbers: int | float | None) -> None:
    problems = [
        f"`{name} {'> 0' if 'second' in name else '>= 1'}` must hold, but got {given}."
        for name, given in numbers.items()
        if given is not None and not (given > 0 if "second" in name else given >= 1)
    ]
    if problems:
        raise SettingError(" ".join(problems))


WIDTHS = (16, 24, 32, 48, 64, 96, 128)
"""Channels of the first stage to choose from."""

WIDEST_BY_SAMPLES = ((5_000, 32), (50_000, 64), (math.inf, 128))
"""(fewer samples than, widest first stage)."""
