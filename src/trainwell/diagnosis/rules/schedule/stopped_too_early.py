"""What it sees: training and validation loss that both still fall when the training ends, at a rate that has not
decayed.

Why it hurts: the network would have become better by going on.

Evidence: how far each loss falls over the last third, against its own jitter and against the level it has reached.
While the rate decays to nothing the loss falls to the last step of any good training: then nothing is said.

Remedy: train longer. Safe; it costs time.

References: notes, Choosing Hyperparameters, steps 5 and 6 ("train longer").
"""

from trainwell.core.records.finding import Finding, Remedy
from trainwell.core.records.observation import Observation
from trainwell.diagnosis.measures import constant_rate, drop, fall, fall_error, trace
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import number, percent

FALLS = 0.05
"""Fall over the last third as a share of the level at its beginning."""

OF_DROP = 0.02
"""The same as a share of all that the loss came down: what is left below is not worth a longer training."""

ERRORS = 3.0
"""The same in standard errors."""

RATE_KEPT = 0.5
"""Largest share of the peak rate that may be gone within the last third."""

LONGER = 2.0
"""Factor of the next length."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Both losses over the last third."""
    curves = observation.curves
    if curves is None:
        return ()
    falls = {}
    for name, curve in (("train", curves.train_loss), ("validation", curves.validation_loss)):
        seen = trace(curve)
        end = seen.end
        if len(end) < 3 or seen.lost or not constant_rate(curves.lr, end.x[0], end.x[-1], tolerance=RATE_KEPT):
            return ()
        down = drop(seen, start=curves.start)
        if fall(end) <= max(FALLS * abs(end.y[0]), OF_DROP * down, ERRORS * fall_error(end)):
            return ()
        falls[name] = fall(end)
        falls[f"{name}_begin"] = end.y[0]
        falls["epochs"] = end.x[-1] - end.x[0]
    share = falls["validation"] / falls["validation_begin"]
    return (
        RULE.finding(
            "warning",
            f"Both losses still fall at the end (validation by {percent(share)} over the last "
            f"{number(falls['epochs'])} {curves.unit}s): stopped too early.",
            evidence=falls,
            cause="The training is too short for this learning rate.",
            remedies=(
                Remedy(text="Train twice as long.", change={"total_steps*": LONGER}),
                Remedy(text="Raise the learning rate.", change={"optimization.lr*": 3.0}),
            ),
        ),
    )


RULE = Rule(
    code="SCH003",
    name="stopped-too-early",
    needs=("curves",),
    find=find,
    page=__doc__ or "",
)
