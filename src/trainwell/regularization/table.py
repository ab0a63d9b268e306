"""What a recipe needs to know of each regularizer."""

from dataclasses import dataclass
from typing import Literal

Averaging = Literal[
    "nothing to average",
    "exact in expectation",
    "mean and variance kept",
    "within order 1/sqrt(batch)",
    "lowers variance",
]


@dataclass(frozen=True, kw_only=True)
class Regularizer:
    """One row.

    Args:
        acts_on: what it changes.
        training: what it randomises, or does, in training.
        testing: what stands for the average at test time.
        averaging: how good that is, at the layer's output ("lowers variance": of the prediction, where test-time
            averaging is used).
        use: the name to import, in full.
        strength: the argument that makes it stronger when it grows.
        source: the paper.
    """

    acts_on: Literal["weights", "activations", "inputs", "targets", "training time"]
    training: str
    testing: str
    averaging: Averaging
    use: str
    strength: str
    source: str


_HERE = "trainwell.regularization."

REGULARIZERS: dict[str, Regularizer] = {
    "l1": Regularizer(
        acts_on="weights",
        training="adds the sum of absolute weights to the loss",
        testing="as in training",
        averaging="nothing to average",
        use=_HERE + "l1_penalty",
        strength="strength",
        source="Tibshirani 1996",
    ),
    "l2_coupled": Regularizer(
        acts_on="weights",
        training="adds the weights to their gradients (SGD, Adam)",
        testing="as in training",
        averaging="nothing to average",
        use=_HERE + "couple_decay",
        strength="weight_decay",
        source="Krogh and Hertz 1991",
    ),
    "l2_decoupled": Regularizer(
        acts_on="weights",
        training="shrinks the weights at each step (AdamW)",
        testing="as in training",
        averaging="nothing to average",
        use=_HERE + "decouple_decay",
        strength="weight_decay",
        source="Loshchilov and Hutter 2019",
    ),
    "elastic_net": Regularizer(
        acts_on="weights",
        training="adds absolute and squared weights to the loss",
        testing="as in training",
        averaging="nothing to average",
        use=_HERE + "elastic_net_penalty",
        strength="l1",
        source="Zou and Hastie 2005",
    ),
    "dropout": Regularizer(
        acts_on="activations",
        training="drops each activation with probability p, scales the others by 1 / (1 - p)",
        testing="the identity",
        averaging="exact in expectation",
        use=_HERE + "Dropout",
        strength="p",
        source="Srivastava et al. 2014",
    ),
    "plain_dropout": Regularizer(
        acts_on="activations",
        training="drops each activation with probability p",
        testing="multiplies by 1 - p",
        averaging="exact in expectation",
        use=_HERE + "PlainDropout",
        strength="p",
        source="Hinton et al. 2012",
    ),
    "alpha_dropout": Regularizer(
        acts_on="activations",
        training="sets each activation to SELU's limit with probability p, then scales and shifts all (goes with SELU)",
        testing="the identity",
        averaging="mean and variance kept",
        use="torch.nn.AlphaDropout",
        strength="p",
        source="Klambauer et al. 2017",
    ),
    "drop_connect": Regularizer(
        acts_on="weights",
        training="drops each weight with probability p, scales the others by 1 / (1 - p)",
        testing="the plain layer",
        averaging="exact in expectation",
        use=_HERE + "DropConnect",
        strength="p",
        source="Wan et al. 2013",
    ),
    "stochastic_depth": Regularizer(
        acts_on="activations",
        training="drops each sample's residual branch with probability p, scales the others by 1 / (1 - p)",
        testing="the whole network",
        averaging="exact in expectation",
        use=_HERE + "StochasticDepth",
        strength="p",
        source="Huang et al. 2016",
    ),
    "batch_norm": Regularizer(
        acts_on="activations",
        training="normalizes by the statistics of whichever samples share the batch",
        testing="normalizes by running averages",
        averaging="within order 1/sqrt(batch)",
        use="torch.nn.BatchNorm2d",
        strength="none (smaller batches are noisier)",
        source="Ioffe and Szegedy 2015",
    ),
    "label_smoothing": Regularizer(
        acts_on="targets",
        training="moves a part of the target's mass to all classes alike",
        testing="the labels themselves",
        averaging="nothing to average",
        use=_HERE + "smooth_labels",
        strength="smoothing",
        source="Szegedy et al. 2016",
    ),
    "early_stopping": Regularizer(
        acts_on="training time",
        training="ends when the validation metric has stopped improving",
        testing="the best weights seen",
        averaging="nothing to average",
        use=_HERE + "EarlyStopping",
        strength="none (less patience stops sooner)",
        source="Prechelt 1998",
    ),
    "cutout": Regularizer(
        acts_on="inputs",
        training="fills a square at a random place",
        testing="the whole image",
        averaging="lowers variance",
        use=_HERE + "cutout",
        strength="size",
        source="DeVries and Taylor 2017",
    ),
    "mixup": Regularizer(
        acts_on="inputs",
        training="blends each sample, and its target, with another in a random share",
        testing="samples unmixed",
        averaging="lowers variance",
        use=_HERE + "mixup",
        strength="alpha",
        source="Zhang et al. 2018",
    ),
    "cutmix": Regularizer(
        acts_on="inputs",
        training="pastes a random box of another image, and mixes the targets by area",
        testing="samples unmixed",
        averaging="lowers variance",
        use=_HERE + "cutmix",
        strength="alpha",
        source="Yun et al. 2019",
    ),
}
