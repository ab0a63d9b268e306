"""trainwell rule CODE."""

from typing import Annotated

import typer


def rule(code: Annotated[str, typer.Argument(help="Such as OPT010, or the rule's name.")]) -> None:
    """Explain a finding: what the rule sees, why it hurts, what mends it."""
    from trainwell.core.errors import SettingError, suggestion
    from trainwell.diagnosis.rules.table import RULES

    by_name = {each.name: each for each in RULES.values()}
    found = RULES.get(code.upper()) or by_name.get(code.lower())
    if found is None:
        near = suggestion(code, [*RULES, *by_name])
        raise SettingError(f'A rule has a code or a name, but there is none "{code}". {near}')
    typer.echo(f"{found.code} {found.name}\n\n{found.page.strip()}")
