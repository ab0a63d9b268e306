"""Which changes of a picture leave what it shows alone?"""

from trainwell.core.records.evidence import Invariance

KEPT_SKILL = 0.7
"""Share of the skill beyond chance that a network, which never saw the change, must keep on changed pictures.
Measured on trained small networks: mirrored clothes keep 0.80 to 0.95 of it, mirrored digits 0.2 to 0.4,
pictures shifted by one or two pixels 0.75 to 1.0."""


def judged(name: str, statement: str, *, without: float, changed: float, chance: float) -> Invariance:
    """Admit an augmentation, or refuse it, by what a network trained without it makes of changed pictures.

    Args:
        name: such as horizontal flip.
        statement: the invariance in words.
        without: validation metric on untouched pictures.
        changed: of the same network on changed ones.
        chance: of the best constant.
    """
    skill = without - chance
    kept = (changed - chance) / skill if skill > 0 else 0.0
    admitted = skill > 0 and kept >= KEPT_SKILL
    why = (
        f"A network that never saw it keeps {max(kept, 0):.0%} of its skill on changed pictures"
        + (": tried in training." if admitted else f", less than {KEPT_SKILL:.0%}.")
        if skill > 0
        else "The network has no skill yet that could be kept."
    )
    return Invariance(
        name=name, statement=statement, admitted=admitted, metric_without=without, metric_with=changed, why=why
    )
