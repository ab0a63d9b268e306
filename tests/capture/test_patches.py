"""capture/patches.py: the change that a person would make, at the line that a finding names."""

from pathlib import Path

import pytest

from trainwell.capture.patches import patch_for
from trainwell.core.records.finding import Finding, Remedy, Where


def changed(folder: Path, code: str, text: str, *, line: int, remedy: str = "", **evidence: float) -> str | None:
    file = folder / "train.py"
    file.write_text(text)
    finding = Finding(
        code=code,
        name="x",
        severity="error",
        message="x",
        evidence=evidence,
        remedies=(Remedy(text=remedy),),
        where=Where(file=str(file), line=line),
    )
    patch = patch_for(finding)
    assert file.read_text() == text
    return None if patch is None else patch.after


@pytest.mark.parametrize(
    ("code", "line", "before", "after"),
    [
        ("OPT008", 2, "for x in y:\n    opt.step()\n", "for x in y:\n    opt.step()\n    opt.zero_grad()\n"),
        ("OPT008", 1, "self.scaler.step(self.opt)\n", "self.scaler.step(self.opt)\nself.scaler.zero_grad()\n"),
        ("ACT006", 1, "y = F.softmax(net(x), dim=1)\n", "y = net(x)\n"),
        ("ACT006", 1, "y = net(x).softmax(-1)\n", "y = net(x)\n"),
        ("ACT006", 1, "y = torch.sigmoid(self.out(x))\n", "y = self.out(x)\n"),
        ("ACT006", 2, "net = S(a, nn.Softmax(dim=1))\ny = net(x)\n", "net = S(a, nn.Identity())\ny = net(x)\n"),
        ("ACT006", 1, "é = 'é'; y = F.softmax(x)\n", "é = 'é'; y = x\n"),
        ("OPT006", 2, "self.a = [L(1) for _ in b]\na(x)\n", "self.a = torch.nn.ModuleList([L(1) for _ in b])\na(x)\n"),
        ("OPT007", 2, "x = f(x).detach()\ny = g(x)\n", "x = f(x)\ny = g(x)\n"),
        ("DAT008", 1, "for a in DataLoader(data, 3): pass\n", "for a in DataLoader(data, 3, shuffle=True): pass\n"),
        ("DAT008", 2, "l = DataLoader(d, shuffle=False)\nl\n", "l = DataLoader(d, shuffle=True)\nl\n"),
        ("REG006", 1, "x = F.dropout(x, 0.5)\n", "x = F.dropout(x, 0.5, training=self.training)\n"),
        ("REG006", 1, "x = F.dropout(x, training=True)\n", "x = F.dropout(x, training=self.training)\n"),
        ("OPT017", 1, "total += loss\n", "total += loss.item()\n"),
        ("OPT017", 1, "total += a * b\n", "total += (a * b).item()\n"),
        ("OPT017", 1, "losses.append(loss)\n", "losses.append(loss.item())\n"),
    ],
)  # fmt: skip
def test_the_line_is_changed_and_nothing_else(tmp_path: Path, code: str, line: int, before: str, after: str) -> None:
    assert changed(tmp_path, code, before, line=line) == after


def test_shapes_are_made_one(tmp_path: Path) -> None:
    text = "loss = mse(net(x), y)\n"
    outputs = "here by taking the last dimension off the outputs: `outputs.squeeze(-1)`."
    assert changed(tmp_path, "OPT016", text, line=1, remedy=outputs) == "loss = mse(net(x).squeeze(-1), y)\n"
    targets = "the targets: `targets.squeeze(-1)`."
    assert changed(tmp_path, "OPT016", text, line=1, remedy=targets) == "loss = mse(net(x), y.squeeze(-1))\n"


def test_the_one_rate_is_multiplied(tmp_path: Path) -> None:
    text = "opt = torch.optim.Adam(net.parameters(), lr=0.3)\nopt.step()\n"
    assert changed(tmp_path, "OPT002", text, line=2, factor=0.1) == text.replace("0.3", "0.03")
    assert changed(tmp_path, "OPT002", text + "o = SGD(p, lr=1.0)\n", line=2, factor=0.1) is None
    assert changed(tmp_path, "OPT002", text.replace("0.3", "args.lr"), line=2, factor=0.1) is None


@pytest.mark.parametrize("code", ["OPT008", "ACT006", "OPT006", "OPT007", "DAT008", "REG006", "OPT017", "DAT003"])
def test_what_it_does_not_know_is_left(tmp_path: Path, code: str) -> None:
    assert changed(tmp_path, code, "x = 1\n", line=1) is None
    assert changed(tmp_path, code, "x = (\n", line=1) is None


def test_a_diff_has_the_files_name(tmp_path: Path) -> None:
    file = tmp_path / "train.py"
    file.write_text("opt.step()")
    finding = Finding(code="OPT008", name="x", severity="error", message="x", where=Where(file=str(file), line=1))
    patch = patch_for(finding)
    assert patch is not None
    assert patch.diff().splitlines() == [
        f"--- {file}",
        f"+++ {file}",
        "@@ -1 +1,2 @@",
        "-opt.step()",
        "+opt.step()",
        "+opt.zero_grad()",
    ]
