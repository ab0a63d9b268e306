"""What it sees: a network with dropout or batch norm that is trained in test mode, because `train()` was not called
after an evaluation; one that is trained in test mode from the first step on; one whose evaluations, without gradients
and judged by a loss or by comparison with targets, run in training mode.

Why it hurts: in test mode dropout does nothing and batch norm takes its averages for the truth, so the network
overfits, and its activations drift away from averages that nobody renews. In training mode an evaluation leaves out
numbers at random, lets samples of a batch depend on each other, and teaches the batch norms the data it is to be
tested on.

Evidence: in which mode each step's forward ran, and in which each judged call without gradients did. Parts that are
frozen by themselves are no fault: the outermost network's own mode is asked. Outputs that go into another network, that
are targets of a loss, or that are averaged over several calls are no evaluation. A network that is in test mode from
the start may be meant so; it is a warning only where its batch norms have never seen a batch, and where the same steps
in training mode come down further.

Remedy: `model.train()` at the beginning of each epoch, `model.eval()` before each evaluation. Safe.

References: PyTorch, Module.train and Module.eval; Ioffe and Szegedy 2015, Batch Normalization; Srivastava et al. 2014,
Dropout.
"""

from trainwell.core.records.finding import Finding, Remedy, Where
from trainwell.core.records.forks import Fork
from trainwell.core.records.observation import Observation
from trainwell.core.records.seen.networks import ModeSeen
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import counted

LEAST = 3
"""Steps in test mode, to the last that was heard: one or two may be an experiment of the script's own."""

LEAST_JUDGED = 2
"""Judged calls in training mode: one may be a look at a loss."""

TRAIN = Remedy(text="Call `model.train()` before the steps of each epoch, so also after each evaluation.")
"""The remedy of both kinds of training in test mode."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Ask each network."""
    seen = observation.steps.modes if observation.steps else ()
    return tuple(found for each in seen for found in (*_trained(each), *_evaluated(each)))


def _trained(seen: ModeSeen) -> tuple[Finding, ...]:
    if seen.tested < LEAST:
        return ()
    if seen.trained:
        called = f" before the forward in line {seen.called_at.line}" if seen.called_at.line is not None else ""
        return (
            RULE.finding(
                "error",
                f"The network is trained in test mode: {_acting(seen)} as in a test for all {seen.tested} steps since "
                f"an evaluation, after {counted(seen.trained, 'step')} in training mode.",
                evidence={"trained": seen.trained, "tested": seen.tested},
                cause=f"`eval()` was called, and `train()` was not called again{called}.",
                remedies=(TRAIN,),
                where=_first(seen.turned_at, seen.called_at),
            ),
        )
    if seen.asked and seen.dropout and seen.turned_at.line is not None:
        return (
            RULE.finding(
                "error",
                f"The network is trained in test mode: an evaluation before the first step put it there, and dropout "
                f"does nothing in {seen.tested} steps.",
                evidence={"tested": seen.tested},
                cause="`eval()` was called for the evaluation, and `train()` was not called after it.",
                remedies=(TRAIN,),
                where=seen.turned_at,
            ),
        )
    if not (seen.new or seen.dropout):
        # Pretrained batch norms that stay as they are, as in most fine-tuning on few samples.
        return ()
    never = "its batch norms have never seen a batch and pass on what they get" if seen.new else "dropout does nothing"
    return (
        RULE.finding(
            "warning" if seen.new else "info",
            f"The network is trained in test mode from the first step on: in {seen.tested} steps {never}.",
            evidence={"tested": seen.tested},
            cause="`eval()` was called before the training, by the script or by what made the network.",
            remedies=(TRAIN,),
            where=_first(seen.turned_at, seen.called_at),
        ),
    )


def _evaluated(seen: ModeSeen) -> tuple[Finding, ...]:
    if seen.evaluated < LEAST_JUDGED:
        return ()
    acts = [
        *(["leaves numbers out at random"] if seen.dropout else []),
        *(["learns its averages from the test data"] if seen.norm else []),
    ]
    kinds = " and ".join(
        f"{kind} {act}"
        for kind, act in zip([*(["dropout"] if seen.dropout else []), *(["batch norm"] if seen.norm else [])], acts)
    )
    judged = f" and judged in line {seen.compared_at.line}" if seen.compared_at.line is not None else ""
    return (
        RULE.finding(
            "error",
            f"The network is evaluated in training mode: in {seen.evaluated} calls without gradients {kinds}.",
            evidence={"evaluated": seen.evaluated},
            cause=f"`eval()` is not called before outputs are made without gradients{judged}.",
            remedies=(Remedy(text="Call `model.eval()` before the evaluation and `model.train()` after it."),),
            where=seen.evaluated_at,
        ),
    )


def _acting(seen: ModeSeen) -> str:
    kinds = [*(["dropout"] if seen.dropout else []), *(["batch norm"] if seen.norm else [])]
    return f"{' and '.join(kinds)} {'are' if len(kinds) > 1 else 'is'}"


def _first(*places: Where) -> Where:
    return next((each for each in places if each.line is not None), places[-1])


RULE = Rule(
    code="OPT009",
    name="wrong-mode",
    needs=("steps",),
    find=find,
    page=__doc__ or "",
    confirmed_by=(Fork(changed="training mode"),),
)
