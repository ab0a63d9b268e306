"""What it sees: dropout that goes on where the module that calls it is in test mode.

Why it hurts: predictions and validation scores are made with numbers left out at random: they are worse than the
network is, and other ones each time.

Evidence: calls of `dropout` and its kin, or of attention with a `dropout_p`, within a module whose `training` is False:
in the script's own evaluation, or where the network is run once more in test mode after the last step. Where the
evaluation gives the network the same samples several times, an average over dropout is meant (Monte Carlo dropout), and
nothing is said; where no evaluation was heard and the line says `training=True`, it is an info.

Remedy: `training=self.training` for functions, `dropout_p=self.p if self.training else 0.0` for attention, or an
`nn.Dropout`, which does so by itself. Safe: training is not changed.

References: Srivastava et al. 2014, Dropout, section 4 (all units are there at test time); Gal & Ghahramani 2016,
Dropout as a Bayesian Approximation (where it is meant); PyTorch, `torch.nn.functional.dropout` (`training` is True by
default).
"""

from trainwell.core.records.finding import Finding, Remedy, Severity, Where
from trainwell.core.records.observation import Observation
from trainwell.core.records.seen.networks import DropoutSeen
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import counted, percent

ALLOWED = 0.0
"""Probability with which a number may be left out in test mode."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Ask the script's own evaluation; where there was none, the networks in test mode."""
    steps, after = observation.steps, observation.randomness
    own = [each for each in (steps.dropout if steps else ()) if each.testing and each.probability > ALLOWED]
    if any(each.repeated for each in own):
        return ()
    if own:
        return (_finding("error", own, "In test mode"),)
    again = [each for each in (after.dropout if after else ()) if each.probability > ALLOWED]
    if not again:
        return ()
    meant = all(each.meant for each in again)
    return (_finding("info" if meant else "error", again, "Run once more in test mode"),)


def _finding(severity: Severity, seen: list[DropoutSeen], when: str) -> Finding:
    first, more = seen[0], len(seen) - 1
    at = f"and at {counted(more, 'more place')} " if more else ""
    attention = first.function == "scaled_dot_product_attention"
    text = (
        "Give attention `dropout_p` only where `self.training` is True, and 0.0 else."
        if attention
        else f"Give `{first.function}` the argument `training=self.training`."
    )
    return RULE.finding(
        severity,
        f"{when}, `{first.function}` here {at}still leaves out {percent(first.probability)} of the numbers at random: "
        "the same sample gets another answer each time.",
        evidence={"probability": first.probability, "places": len(seen), "calls": sum(each.testing for each in seen)},
        cause="The function is not told which mode its module is in, and leaves out in both.",
        remedies=(Remedy(text=text), Remedy(text="Or use `nn.Dropout`, which follows the mode by itself.")),
        where=Where(layer=first.layer, file=first.where.file, line=first.where.line),
    )


RULE = Rule(
    code="REG006",
    name="random-at-test-time",
    needs=(),
    reads=("steps", "randomness"),
    find=find,
    page=__doc__ or "",
)
