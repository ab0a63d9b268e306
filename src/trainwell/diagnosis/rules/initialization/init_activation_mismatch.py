"""What it sees: initial weights whose standard deviation does not suit the activation behind them: far smaller or
larger than what keeps the size of the signal, which is g / sqrt(fan_in) with the activation's gain g.

Why it hurts: each layer hands on a part, or a multiple, of what it is given. In a deep network the signal is gone or
enormous at the end; in a shallow one the first steps go by until the weights have their size.

Evidence: the root mean square of each hidden layer's weights on the untouched network against its fan-in and its
activation; layers with a norm behind are left out, since it rescales them. torch's own start is at 0.4 of what ReLU
asks for and trains well in a few layers. Of a script it is asked what all layers together make of the signal, and it is
told only where the loss hardly comes down and the same steps end much lower with weights drawn anew.

Remedy: Kaiming's standard deviation for ReLU and its kin, Xavier's for tanh and sigmoid. Safe: it changes the start and
nothing else.

References: notes, Weight Initialization; He et al. 2015, Delving Deep into Rectifiers, section 2.2; Glorot and Bengio
2010, Understanding the Difficulty of Training Deep Feedforward Neural Networks.
"""

import math
import statistics

from trainwell.activations import ACTIVATIONS
from trainwell.core.records.evidence import LayerStatistic
from trainwell.core.records.finding import Finding, Remedy
from trainwell.core.records.forks import Fork, Forks
from trainwell.core.records.observation import Observation
from trainwell.diagnosis.forked import confirmation, end, helped
from trainwell.diagnosis.places import made_at
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import number

SMALL = 0.3
"""Of the deviation that keeps the signal: torch's own start is at 0.41 for ReLU and at 0.35 for tanh, and is a healthy
one."""
LARGE = 3.0
"""Likewise: Kaiming's deviation in front of a sigmoid is at 1.4, torch's largest start at 1.7."""
HARDLY = 0.85
"""Of its first value, above which a loss has hardly come down: asked of torch's own start alone. Two healthy scripts of
`benchmarks/faults` with that, report_11 and report_38, end at 0.18 and 0.82 of it, and at a half and a fifth of that
with weights drawn anew: their start costs them time and nothing else."""
FADED = 0.3
"""Last hidden layer over first: what two layers at half of what they should be come to."""
GREW = 3.0
"""Outputs over first layer."""
TOGETHER = 10.0
"""Times by which all layers of a script's network may make the signal smaller or larger than they should, where it has
that size at the end: torch's own start comes to that in the third layer with ReLU."""


def tries(observation: Observation) -> tuple[Fork, ...]:
    """A script's first steps again with weights that suit, where these do not and the signal shows it."""
    suspects = observation.steps is not None and _off(observation)
    return (Fork(changed="redrawn weights"),) if suspects else ()


def find(observation: Observation) -> tuple[Finding, ...]:
    """Compare the median layer with what keeps the signal."""
    off = _off(observation)
    if not off:
        return ()
    ratio = statistics.median(off.values())
    forks = observation.forks
    redrawn = None
    if forks is not None and tries(observation):
        made = {each.layer for each in observation.steps.made if not each.by_torch} if observation.steps else set()
        # Self-normalizing networks are defined by their weights' deviation.
        drawn = any(each.name in made or each.activation == "selu" for each in _suited(observation))
        redrawn = _redrawn(forks, drawn=drawn)
    if observation.steps is not None and redrawn is None:
        return ()
    layers = _suited(observation)
    worst = max(off, key=lambda name: abs(math.log(off[name])))
    seen = next(each for each in layers if each.name == worst)
    wanted = ACTIVATIONS[seen.activation].gain / math.sqrt(seen.fan_in)
    scheme = ACTIVATIONS[seen.activation].scheme
    message = (
        f'The weights of layer "{worst}" have a standard deviation of {number(seen.weight_std)}, where '
        f"{number(wanted)} keeps the signal's size with {seen.activation} behind {seen.fan_in} inputs"
    )
    evidence: dict[str, float] = {"ratio": ratio, "layers": len(off), "std": seen.weight_std, "wanted": wanted}
    if forks is not None and redrawn is not None:
        message += (
            f"; in {len(redrawn.values)} steps the loss comes to {number(end(forks.unchanged))}, with weights drawn "
            f"anew to {number(end(redrawn.values))}"
        )
    return (
        RULE.finding(
            "info" if redrawn is None else "warning",
            f"{message}.",
            evidence=evidence,
            cause=f"The initialization is not the one for {seen.activation}: its weights are too "
            f"{'small' if ratio < 1 else 'large'}.",
            remedies=(
                Remedy(
                    text=f"Initialize with a standard deviation of {number(wanted)} there "
                    f"({'Kaiming' if scheme == 'kaiming' else 'Xavier' if scheme == 'xavier' else 'LeCun'}'s).",
                    change={"initialization.scheme": scheme},
                ),
            ),
            where=made_at(worst, observation.steps),
            confirmed_by=confirmation(forks, redrawn) if forks is not None and redrawn is not None else None,
        ),
    )


def _suited(observation: Observation) -> tuple[LayerStatistic, ...]:
    """Hidden layers of which it is known what their weights should be."""
    layers = observation.initial_loss.layers if observation.initial_loss else ()
    return tuple(
        each
        for each in layers[:-1]
        if each.activation in ACTIVATIONS and each.fan_in and not each.normalized and each.weight_std > 0
    )


def _off(observation: Observation) -> dict[str, float]:
    """Layer -> its deviation over the one that keeps the signal; empty where they suit."""
    ratios = {
        each.name: each.weight_std * math.sqrt(each.fan_in) / ACTIVATIONS[each.activation].gain
        for each in _suited(observation)
    }
    if not ratios:
        return {}
    if observation.steps is not None:
        together = math.prod(ratios.values())
        return {} if 1 / TOGETHER <= together <= TOGETHER or not _visible(observation) else ratios
    return {} if SMALL <= statistics.median(ratios.values()) <= LARGE else ratios


def _visible(observation: Observation) -> bool:
    """Whether the signal has another size at the end: branches and norms may bring it back."""
    layers = observation.initial_loss.layers if observation.initial_loss else ()
    if len(layers) < 2 or not layers[0].std > 0:
        return False
    return layers[-2].std < FADED * layers[0].std or not layers[-1].std <= GREW * layers[0].std


def _redrawn(forks: Forks, *, drawn: bool) -> Fork | None:
    """The fork with other weights that helps, where the script drew them or the loss hardly comes down without."""
    found = next((each for each in forks.changed if each.changed == "redrawn weights"), None)
    if found is None or not (drawn or end(forks.unchanged) > HARDLY * abs(forks.unchanged[0])):
        return None
    return found if helped(forks, found) else None


RULE = Rule(
    code="INI005",
    name="init-activation-mismatch",
    needs=("initial_loss",),
    reads=("steps", "forks"),
    find=find,
    tries=tries,
    page=__doc__ or "",
)
