"""A whole training watched: the same rules as in a check, on sampled steps, in the process of the training itself."""

import runpy
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import Any

from torch.utils.data import dataloader

from trainwell.capture.ear import Telling, told
from trainwell.capture.listener import Listener
from trainwell.capture.source import is_ignored
from trainwell.core.errors import SettingError
from trainwell.core.records.afterwards import Afterwards
from trainwell.core.records.finding import Finding
from trainwell.core.records.observation import Observation
from trainwell.diagnosis.diagnose import Diagnosis, diagnose

FIRST = 30
"""Steps that are all heard, as in a check."""
EVERY = 200
"""After them, so many steps lie between two of which the first is heard."""
TOGETHER = 2
"""Steps that are heard together: whether a gradient was cleared shows in two."""


def is_heard(taken: int) -> bool:
    """Whether the step after so many is heard.

    Args:
        taken: optimizer steps so far.
    Example:
        >>> [taken for taken in range(28, 604) if is_heard(taken)]
        [28, 29, 200, 201, 400, 401, 600, 601]
    """
    return taken < FIRST or taken % EVERY < TOGETHER


Told = Callable[[Finding], None]
"""Is handed a finding as soon as it stands."""


class Watch:
    """A training under watch, as a context: `with watch() as watched: ...`, around any loop.

    Nothing of the training is changed: it ends with the same weights, bit for bit. Errors are proven by what happens
    and told as soon as they stand; what only another training could show is an info here, and a warning in a check.

    Args:
        select: codes of the rules to ask; None for all.
        tell: is handed each finding once, as soon as it stands; None: nobody is.
    """

    def __init__(self, *, select: Sequence[str] | None = None, tell: Told | None = None) -> None:
        diagnose(Observation(), select=select)
        self.select, self.tell = select, tell
        self.diagnosis = Diagnosis((), ())
        self.seconds = 0.0
        self.waited = 0.0
        self._listener = Listener(self._after_step, wanted=is_heard)
        self._starts = Afterwards()
        self._told: set[tuple[object, ...]] = set()
        self._began, self._asked = 0.0, 0.0
        self._stack = ExitStack()
        self._ended = False

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was found so far, root causes first."""
        return self.diagnosis.findings

    @property
    def steps(self) -> int:
        """Optimizer steps so far."""
        return self._listener.scene.taken

    @property
    def trouble(self) -> str:
        """What could not be observed, and why; empty: everything was."""
        return "; ".join(self._listener.troubles)

    def begin(self) -> "Watch":
        """What `with` does where a callback has to do it; `end` must follow."""
        return self.__enter__()

    def end(self) -> None:
        """Cease to listen, and ask the rules for the last time. Nothing happens the second time."""
        if not self._ended:
            self.__exit__(None, None, None)

    def __enter__(self) -> "Watch":
        self._began = perf_counter()
        wanted = Telling(dataloader._BaseDataLoaderIter, "__next__", before=self._before_batch, after=self._after_batch)
        self._stack.enter_context(told(wanted, _called))
        self._stack.enter_context(self._listener.listening())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended = True
        self._stack.close()
        self.seconds = perf_counter() - self._began
        # Of a training that was broken off, nobody can say that it ended too early.
        self._ask(ended=error is None or isinstance(error, SystemExit))

    def _after_step(self, taken: int) -> None:
        if taken == 1:
            self._starts = self._listener.started()
        if taken == FIRST or (taken > FIRST and is_heard(taken - 1) and not is_heard(taken)):
            self._ask()

    def _ask(self, *, ended: bool = False) -> None:
        """The rules, on what was heard so far."""
        reasons = {**self._starts.reasons, "forks": "a training that is watched is not repeated"}
        curves = None
        if ended:
            curves, reasons["curves"] = self._listener.curves()
        first = Observation(
            steps=self._listener.heard(),
            initial_loss=next(iter(self._starts.starts), None),
            curves=curves,
            reasons=reasons,
        )
        said = diagnose(first, select=self.select)
        kept = tuple(each for each in said.findings if not is_ignored(each.code, each.where))
        self.diagnosis = Diagnosis(kept, said.not_run, spoke=said.spoke)
        for each in kept:
            if (each.code, each.where) not in self._told and each.severity != "info" and self.tell is not None:
                self._told.add((each.code, each.where))
                self.tell(each)

    def _before_batch(self, _args: Any, _options: Any) -> None:
        self._asked = perf_counter()

    def _after_batch(self, _args: Any, _options: Any, _found: Any) -> None:
        self.waited += perf_counter() - self._asked


def watch_script(
    target: str,
    arguments: Sequence[str] = (),
    *,
    module: bool = False,
    select: Sequence[str] | None = None,
    tell: Told | None = None,
) -> tuple[Watch, BaseException | None]:
    """Run a script to its end, in this process, under watch.

    Args:
        target: a file, or a module's name.
        arguments: its own.
        module: whether `target` is a module, as after python -m.
        select: codes of the rules to ask; None for all.
        tell: is handed each finding once, as soon as it stands.
    Returns:
        What was watched, and what the script ended with: None for its last line, else SystemExit or its own exception.
    Raises:
        SettingError: there is no such file, or `select` names a rule that does not exist.
    """
    if not module and not Path(target).is_file():
        kind = "is a folder" if Path(target).is_dir() else "does not exist"
        raise SettingError(f"`watch` needs a script to run, but {target} {kind}. Give the path of a Python file.")
    watched = Watch(select=select, tell=tell)
    before, path = sys.argv, list(sys.path)
    sys.argv = [target, *arguments]
    sys.path.insert(0, str(Path.cwd() if module else Path(target).resolve().parent))
    ended: BaseException | None = None
    try:
        with watched:
            if module:
                runpy.run_module(target, run_name="__main__", alter_sys=True)
            else:
                runpy.run_path(target, run_name="__main__")
    except BaseException as error:  # whatever the script ends with is the script's
        ended = error
    finally:
        sys.argv, sys.path[:] = before, path
    return watched, ended


def _called(work: Callable[..., None], *given: Any) -> None:
    work(*given)
