"""What a rule's test is made of: a training that is heard, and what the rule says of it."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from trainwell.capture.listener import Listener
from trainwell.core.records.observation import Observation


@dataclass(frozen=True)
class Row:
    """One way in which a rule fires."""

    code: str
    fires: str
    misses: str
    severity: str
    message: str
    threshold: str
    changed_to: float

    def __str__(self) -> str:
        return f"{self.code}-{self.fires}"


def heard(train: Callable[[], None]) -> Observation:
    listener = Listener(lambda _: None)
    with listener.listening():
        train()
        listener.end()
        after = listener.afterwards()
    return Observation(
        steps=listener.heard(),
        initial_loss=next(iter(after.starts), None),
        samples=after.samples,
        positions=after.positions,
        inputs=after.inputs,
        randomness=after.randomness,
        workers=after.workers,
        further_labels=after.further_labels,
        evaluation=after.evaluation,
        reasons=after.reasons,
    )


def loop(
    model: nn.Module,
    loss: Callable[[torch.Tensor], torch.Tensor],
    *,
    inputs: torch.Tensor,
    lr: float = 0.05,
    zero_every: int = 1,
    steps: int = 6,
) -> Callable[[], None]:
    """Some optimizer steps, one a backward pass or one in `zero_every` of them; 0 never clears the gradients."""

    def train() -> None:
        optimizer = torch.optim.SGD(model.parameters(), lr=lr)
        for number in range(steps * max(zero_every, 1)):
            loss(model(inputs[number : number + 8])).backward()
            if (number + 1) % max(zero_every, 1) == 0:
                optimizer.step()
                if zero_every:
                    optimizer.zero_grad()

    return train
