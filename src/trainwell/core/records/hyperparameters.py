"""One point of the search space, nested: one record for each chapter of the notes."""

from typing import Literal

from trainwell.core.records.record import record


@record
class Architecture:
    """Which network.

    Attributes:
        name: mlp, convnet, resnet, a pretrained network's, or `file.py:function`.
        width: units of a hidden layer (mlp), channels of the first stage (convnet, resnet).
        depth: hidden layers (mlp), blocks a stage (convnet, resnet).
        members: networks that share most of their weights and are averaged (mlp), >= 1.
        embedding: what a numeric column becomes (mlp): itself, or learnt periodic features.
    """

    name: str
    width: int = 64
    depth: int = 2
    members: int = 1
    embedding: Literal["none", "periodic"] = "periodic"


@record
class Initialization:
    """How the weights begin: a name of `initialization.SCHEMES`, or "own" for what the network's author chose."""

    scheme: str = "own"


@record
class Regularization:
    """What keeps the network from learning the training set by heart. Probabilities are those to DROP."""

    weight_decay: float = 0.0
    dropout: float = 0.0
    stochastic_depth: float = 0.0
    label_smoothing: float = 0.0
    mixup_alpha: float = 0.0
    cutmix_alpha: float = 0.0
    cutout: float = 0.0


@record
class Augmentation:
    """Which invariances training is shown.

    Attributes:
        flip: horizontal mirror images: none, each with probability 1/2, or every other epoch.
        translate: largest shift in pixels, each way.
        scale: random resized crops keep at least this share of the area, in (0, 1]; 1 is off.
        colour: strength of brightness, contrast, saturation and hue jitter, in [0, 1]; 0 is off.
        randaugment: magnitude of RandAugment, 0 to 10; 0 is off.
        views: views averaged at test time, >= 1.
    """

    flip: Literal["none", "random", "alternating"] = "none"
    translate: int = 0
    scale: float = 1.0
    colour: float = 0.0
    randaugment: int = 0
    views: int = 1


@record
class Optimization:
    """How steps are taken.

    Attributes:
        optimizer: adamw or sgd (Nesterov).
        lr: peak learning rate, > 0.
        momentum: sgd's momentum, adamw's beta1.
        beta2: adamw's second moment.
        batch_size: samples a step; set for speed, not tuned for quality (Shallue et al. 2018).
        clip: largest norm of the gradient; 0 is off.
        averaging: weights averaged over this share of the training's length, in [0, 1); 0 is off.
    """

    optimizer: Literal["adamw", "sgd"] = "adamw"
    lr: float = 1e-3
    momentum: float = 0.9
    beta2: float = 0.99
    batch_size: int = 128
    clip: float = 0.0
    averaging: float = 0.0


@record
class Schedule:
    """The rate over the steps: linear warm-up, constant, then a decay tail.

    Attributes:
        decay: shape of the tail, a name of `schedules.SCHEDULES`; "constant" is no tail.
        warmup_fraction: share of the training's length, in [0, 1).
        decay_fraction: share of the training's length that is the tail, in [0, 1 - warmup_fraction].
    """

    decay: str = "linear"
    warmup_fraction: float = 0.05
    decay_fraction: float = 0.5


@record
class Transfer:
    """What is trained of a pretrained network besides its new output layer.

    Attributes:
        tuned_stages: trained too, counted from the top; 0 leaves the whole network as it is.
        rate_decay: factor on the learning rate from each stage to the one below, in (0, 1].
        head_lr: at which the output layer is trained by itself before any stage moves, > 0.
        head_decay: its weight decay then, >= 0.
    """

    tuned_stages: int = 0
    rate_decay: float = 0.5
    head_lr: float = 1e-2
    head_decay: float = 3.0


@record
class Hyperparameters:
    """One point of the search space."""

    architecture: Architecture
    activation: str = "relu"
    initialization: Initialization = Initialization()
    regularization: Regularization = Regularization()
    augmentation: Augmentation = Augmentation()
    optimization: Optimization = Optimization()
    schedule: Schedule = Schedule()
    transfer: Transfer = Transfer()
