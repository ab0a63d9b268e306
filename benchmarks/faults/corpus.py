"""Scripts that train, each healthy as it stands, and edits of them: further healthy ones, and one mistake each."""

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, kw_only=True)
class Case:
    """One script to be checked.

    Attributes:
        name: SCRIPT/healthy/NAME or SCRIPT/CODE/NAME.
        script: name of the script that it is made of.
        family: of networks.
        data: kind of data.
        text: the script with its edits.
        code: of the rule that should be the headline; empty: the script is healthy.
        also: codes that are as right.
        exact: what happens in the run proves the fault; else it must cost held-out loss.
        lines: that a good finding names; empty: any.
        layer: that it names; empty: any.
        source: link of the public report that it is retold from; empty: of none.
    """

    name: str
    script: str
    family: str
    data: str
    text: str
    code: str = ""
    also: tuple[str, ...] = ()
    exact: bool = False
    lines: tuple[int, ...] = ()
    layer: str = ""
    source: str = ""

    @property
    def set_aside(self) -> bool:
        """Whether it belongs to the half that is opened once: a hash of its name decides."""
        return hashlib.blake2b(self.name.encode(), digest_size=1).digest()[0] % 2 == 1


def corpus() -> list[Case]:
    """All cases, by name.

    Raises:
        ValueError: an edit does not occur exactly once, or two faults share rule, family and data.
    """
    cases = [case for file in sorted((HERE / "cases").glob("*.toml")) for case in _cases_of(file)]
    names = [case.name for case in cases]
    if len(set(names)) < len(names):
        raise ValueError(f"two cases share a name: {sorted(name for name in names if names.count(name) > 1)}")
    kinds: dict[tuple[str, str, str], str] = {}
    for case in cases:
        if case.code and (other := kinds.setdefault((case.code, case.family, case.data), case.name)) != case.name:
            raise ValueError(f"{case.name} and {other} share rule, family and data")
    return cases


def twin_of(case: Case) -> str:
    """The script without the mistake."""
    return (HERE / "scripts" / f"{case.script}.py").read_text("utf-8")


def _cases_of(file: Path) -> list[Case]:
    told = tomllib.loads(file.read_text("utf-8"))
    script = file.stem
    plain = (HERE / "scripts" / f"{script}.py").read_text("utf-8")
    common = {"script": script, "family": told["family"], "data": told["data"]}
    cases = [Case(name=f"{script}/healthy/as-it-is", text=plain, **common)]
    for healthy in told.get("healthy", []):
        name = f"{script}/healthy/{healthy['name']}"
        cases.append(Case(name=name, text=edited(plain, healthy["edits"], name), **common))
    for fault in told.get("fault", []):
        name = f"{script}/{fault['code']}/{fault['name']}"
        text = edited(plain, fault["edits"], name)
        at = fault.get("at", [])
        at = [at] if isinstance(at, str) else at
        lines = tuple(
            number for number, line in enumerate(text.splitlines(), 1) if any(each.strip() in line for each in at)
        )
        if at and not lines:
            raise ValueError(f"{name}: {at!r} is on no line")
        cases.append(
            Case(
                name=name,
                text=text,
                code=fault["code"],
                also=tuple(fault.get("also", ())),
                exact=fault.get("exact", False),
                lines=lines,
                layer=fault.get("layer", ""),
                source=fault.get("source", ""),
                **common,
            )
        )
    return cases


def edited(text: str, edits: list[list[str]], name: str) -> str:
    """A script with each old text replaced by its new one; what stands after "# held out" stays.

    Raises:
        ValueError: an old text does not occur exactly once.
    """
    body, mark, end = text.partition("# held out")
    for old, new in edits:
        if body.count(old) != 1:
            raise ValueError(f"{name}: occurs {body.count(old)} times: {old!r}")
        body = body.replace(old, new)
    return body + mark + end
