"""A new output layer on a pretrained network, and as many of its stages as are trained with it."""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn import functional

from trainwell.core.errors import SettingError
from trainwell.core.records.hyperparameters import Hyperparameters
from trainwell.core.records.layout import InputLayout, OutputLayout
from trainwell.core.seeds import generator
from trainwell.models.backbones import Backbone, bare_backbone, load_backbone
from trainwell.models.pretrained import Pretrained
from trainwell.transfer import layer_rates

FITTED_ON = 512
"""Training samples that the head's mean and gain are taken from where each costs a pass of the stages below it."""
POWER = 0.75
"""Of each feature. Measured on development splits 100 to 107 of four picture sets: cross-validated loss 1.332, 1.222,
0.813 and 0.184 where untouched features give 1.343, 1.226, 0.820 and 0.195."""
SMALLEST = 1e-6
NARROW = 0.01
"""Weights of an untrained output layer, in units of 1 / sqrt(features): its first outputs are next to nothing."""


class FeatureHead(nn.Module):
    r"""A linear layer on features whose peaks are flattened, of unit norm, centred, and scaled by one gain.

    .. math:: z = W \operatorname{dropout}\left(g \left(\frac{y}{\lVert y \rVert} - \mu\right)\right) + b,
        \quad y_j = \operatorname{sign}(x_j) |x_j|^{3/4},
        \quad g = \left(\tfrac{1}{d} \sum_j \sigma_j^2\right)^{-1/2}

    Means and deviations are those of the training samples. One gain leaves the features their own proportions: scaled
    one by one, those that hardly vary would count as much as those that tell the classes apart.

    Args:
        features: d, of a sample.
        outputs: classes or targets.
        dropout: probability to DROP a feature.
        generator: draws the first weights; None: torch's own.
    Source: Perronnin et al. 2010, section 3 (power and L2 normalization; its power is 1/2).
    """

    mean: Tensor
    gain: Tensor

    def __init__(
        self, features: int, outputs: int, *, dropout: float = 0.0, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("gain", torch.ones(()))
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(features, outputs)
        nn.init.normal_(self.linear.weight, std=NARROW / features**0.5, generator=generator)
        nn.init.zeros_(self.linear.bias)

    @torch.no_grad()
    def fit(self, features: Float[Tensor, "samples features"]) -> None:
        """Take mean and gain from training samples."""
        unit = _unit(features)
        self.mean.copy_(unit.mean(dim=0))
        spread = unit.var(dim=0, correction=0).mean().sqrt()
        # A single sample, or samples that are all alike, have no deviation to divide by.
        self.gain.copy_(1.0 / spread if spread > 0 else torch.ones(()))

    def scaled(self, features: Float[Tensor, "samples features"]) -> Float[Tensor, "samples features"]:
        """What the linear layer is given, without dropout."""
        return (_unit(features) - self.mean) * self.gain

    def forward(self, features: Float[Tensor, "samples features"]) -> Float[Tensor, "samples outputs"]:
        """Logits, or standardized targets."""
        outputs: Tensor = self.linear(self.dropout(self.scaled(features)))
        return outputs


def _unit(features: Float[Tensor, "samples features"]) -> Float[Tensor, "samples features"]:
    wide = features.float()
    # A power's slope at 0 is infinite: there it is cut off.
    return functional.normalize(wide.sign() * wide.abs().clamp(min=SMALLEST).pow(POWER), dim=1)


class TransferNetwork(nn.Module):
    """Pretrained network and head, cut in two: what is fixed, and what is trained.

    Its batch norms stay as the pretraining left them (`transfer.frozen_batch_norm` for good): a batch of few pictures
    knows their statistics worse.

    Args:
        below: pictures in uint8 to what crosses the cut; None: that is given, one row of numbers a sample.
        upper: parts above the cut, trained; empty where features cross it.
        head: features to outputs.
        crossing: shape of what crosses the cut, without the samples.
    """

    def __init__(
        self, below: Pretrained | None, upper: tuple[nn.Module, ...], head: FeatureHead, *, crossing: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.below = below
        self.upper = nn.Sequential(*upper).requires_grad_(True)
        self.head = head
        self.crossing = crossing

    def train(self, mode: bool = True) -> "TransferNetwork":
        """Training mode for the head; the pretrained parts stay in test mode."""
        super().train(mode)
        self.upper.eval()
        return self

    def features(self, batch: Shaped[Tensor, "batch ..."]) -> Float[Tensor, "batch features"]:
        """What the head is given."""
        crossing = batch.unflatten(1, self.crossing) if self.below is None else self.below(batch)
        found: Tensor = self.upper(crossing)
        return found

    def forward(self, batch: Shaped[Tensor, "batch ..."]) -> Float[Tensor, "batch outputs"]:
        """Outputs of a raw batch."""
        outputs: Tensor = self.head(self.features(batch))
        return outputs

    @torch.no_grad()
    def fit(self, samples: Shaped[Tensor, "samples ..."]) -> None:
        """Take the head's mean and gain from training samples."""
        chosen = samples if not len(self.upper) and self.below is None else samples[:: -(-len(samples) // FITTED_ON)]
        self.head.fit(torch.cat([self.features(part) for part in chosen.split(16)]))

    def rate_factors(self, decay: float) -> dict[str, float]:
        """Parameter name -> factor on the learning rate, lower from part to part below the head."""
        parts = [f"upper.{number}" for number in range(len(self.upper))]
        order = None if len(parts) == 1 else [*parts, "head"]
        # What lies below the cut is frozen and has no rate.
        names = order if self.below is None or order is None else ["below", *order]
        return layer_rates(self, lr=1.0, decay=decay, order=names)


def build_transferred(
    point: Hyperparameters,
    *,
    input: InputLayout,  # noqa: A002 - the floor plan's word for it
    output: OutputLayout,
    samples: Tensor | None,
    index: Tensor | None,
    seed: int,
) -> TransferNetwork:
    """The network of a point whose architecture is a pretrained one.

    Args:
        point: architecture, transfer and dropout are read.
        input: pictures, for the whole network; or a table of what crosses the cut, for what lies above it.
        output: what it returns.
        samples: all samples; None: the weights are loaded later, the pretrained ones too.
        index: the training part of them.
        seed: of the output layer's first weights.
    Raises:
        SettingError: more stages than the network has.
    """
    name, above = point.architecture.name, point.transfer.tuned_stages
    needs_weights = samples is not None and (above > 0 or input.kind == "image")
    backbone = load_backbone(name) if needs_weights else bare_backbone(name)
    if above > len(backbone.parts):
        raise SettingError(
            f"`tuned_stages <= {len(backbone.parts)}` must hold for {name}, but got {above}. It has no further stages."
        )
    whole = input.kind == "image"
    crossing: tuple[int, ...] = (input.numbers,)
    if input.kind == "table" and input.channels:
        crossing = (input.channels, input.height, input.width)
    network = TransferNetwork(
        Pretrained(input, backbone, above=above) if whole else None,
        backbone.parts[len(backbone.parts) - above :],
        FeatureHead(
            backbone.features,
            output.size,
            dropout=point.regularization.dropout,
            generator=generator(seed, "head"),
        ),
        crossing=crossing,
    )
    if samples is not None and index is not None:
        network.fit(samples[index])
    return network.train()


def assembled(trained: TransferNetwork, layout: InputLayout, backbone: Backbone) -> TransferNetwork:
    """The whole network around what was trained above a cut.

    Args:
        trained: given what crosses the cut; its parts and head are shared, not copied.
        layout: of the pictures that the whole network is to take.
        backbone: with its weights.
    """
    if trained.below is not None:
        return trained
    below = Pretrained(layout, backbone, above=len(trained.upper))
    whole = TransferNetwork(below, tuple(trained.upper), trained.head, crossing=trained.crossing)
    return whole.to(next(trained.head.parameters()).device).eval()
