"""What it sees: losses of earlier steps whose graphs of autograd are still in memory many steps later; or a backward
pass that leads into the graph of an earlier step, which torch refuses.

Why it hurts: a loss that is summed or stored as a tensor keeps every operation that made it, and with the operations
whatever they still hold. Memory grows with each step, until on a long training there is none left.

Evidence: a mark that is left in the graph at each backward pass, and the marks that still live after later steps:
all of the last many, without a gap. Garbage is collected before they are counted, so that reference cycles, which
Python frees by itself, are not taken for them. The graph of the last step or two is held by the loop's own variable and
is no fault; a fixed number of graphs, as in a running mean, is an info.

Remedy: `loss.item()`, or `loss.detach()` where the number is to stay on its device. Safe: nothing but the graph is
lost.

References: PyTorch, Frequently Asked Questions, "Don't accumulate history across your training loop".
"""

from trainwell.core.records.finding import Finding, Remedy, Where
from trainwell.core.records.observation import Observation
from trainwell.core.records.seen.updates import GraphsSeen
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import counted

RETAINED = 8
"""Graphs of steps before the last two: truncated backpropagation and optimizers that look back hold fewer, and an
outer step of meta-learning frees its own."""

SUMMED = 3
"""Likewise, where a line was seen that sums losses whose backward pass is over: there is nothing else to do with it."""

STEADY = 3
"""Steps over which as many graphs live though new ones came, after which their number is taken to be fixed."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Ask each line that begins backward passes."""
    seen = observation.steps.graphs if observation.steps else ()
    refused = tuple(_refused(each) for each in seen if each.freed)
    return refused or tuple(_finding(each) for each in seen if each.retained >= _least(each))


def _least(seen: GraphsSeen) -> int:
    return RETAINED if seen.summed_at.line is None else SUMMED


def _refused(seen: GraphsSeen) -> Finding:
    return RULE.finding(
        "error",
        f"Backward pass {seen.backwards} leads into the graph of an earlier one, whose numbers are gone, and torch "
        "raises.",
        evidence={"backwards": seen.backwards, "nodes": seen.nodes},
        cause="Something that was computed in an earlier step, as a recurrent state, is used in this one with its "
        "graph.",
        remedies=(
            Remedy(text="Carry it on without its graph: `state = state.detach()`, of a pair each of both."),
            Remedy(text="Or compute it anew in each step. `retain_graph=True` would keep all graphs in memory."),
        ),
        where=seen.where,
    )


def _finding(seen: GraphsSeen) -> Finding:
    summed = seen.summed_at.line is not None
    if seen.stored:
        what, instead = "The losses are stored as tensors", "Store `loss.item()` or `loss.detach()`."
    elif summed:
        what, instead = "The losses are summed as tensors", "Add `loss.item()` in place of `loss`."
    else:
        what = "Something that was computed from each loss, or on the way to it, is kept as a tensor"
        instead = "Keep `.item()` or `.detach()` of it."
    steady, each = seen.steady >= STEADY, f"each of {counted(seen.nodes, 'operation')}"
    return RULE.finding(
        "info" if steady else "error",
        f"The graphs of the last {seen.retained} losses are in memory at any time, {each}."
        if steady
        else f"The graphs of {seen.retained} earlier losses are in memory at once, {each}: after "
        f"{counted(seen.backwards, 'backward pass', 'backward passes')} none of the later ones has been freed.",
        evidence={"retained": seen.retained, "backwards": seen.backwards, "nodes": seen.nodes, "steady": seen.steady},
        cause=f"{what}, and a tensor keeps the graph that it was made by.",
        remedies=(Remedy(text=instead),),
        where=seen.summed_at if summed and not seen.stored else Where(file=seen.where.file, line=seen.where.line),
    )


RULE = Rule(
    code="OPT017",
    name="graph-retained",
    needs=("steps",),
    find=find,
    page=__doc__ or "",
)
