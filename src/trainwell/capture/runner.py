"""Run somebody's script in a process of its own, and hear its first optimizer steps."""

import contextlib
import math
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Literal

from trainwell.core.errors import SettingError
from trainwell.core.files import write_atomically
from trainwell.core.jsonio import from_json, to_json
from trainwell.core.records.afterwards import Afterwards
from trainwell.core.records.forks import Fork
from trainwell.core.records.record import record
from trainwell.core.records.steps import Steps

FIRST = 30
"""Steps that are heard however long they take: most of what the rules see shows itself in them."""
WAIT = 0.25
"""Share of the time in which another training must begin, of which the script says that it comes."""
GRACE_SECONDS = 15.0
"""Beyond its time, before a script that lets nobody speak is ended: loading torch takes some of it."""

State = Literal["stopped", "ended", "exited", "raised", "refused", "silent"]


@record
class Heard:
    """How a script went, and what was heard of it.

    Attributes:
        state: stopped (by us, after enough steps or seconds), ended (its last line), exited (by `sys.exit` or
            `os._exit`), raised (its own exception), refused (its function returned nothing that can be trained), silent
            (it was ended by force and said nothing).
        steps: the section `steps`; None where the process left nothing.
        afterwards: what its networks told when they were run once more.
        status: its exit status where it exited.
        error: its own traceback where it raised, its own last word where it exited with one, why it was refused.
        trouble: what could not be observed, and why; empty: everything was.
        seconds: that it took.
        stage: number of the training that was heard, of those that it takes one after the other.
    """

    state: State
    steps: Steps | None = None
    afterwards: Afterwards = Afterwards()
    status: int = 0
    error: str = ""
    trouble: str = ""
    seconds: float = 0.0
    stage: int = 0


@record
class Order:
    """What the other process is to do.

    Attributes:
        left: path of the file that it leaves.
        kind: of the target.
        target: as it was given.
        arguments: the script's own.
        steps: after so many it is stopped.
        linger: or so many seconds after the `FIRST`.
        seconds: or after so many.
        fork: one thing that is changed.
        changed: other texts for some files, by path.
        seed: of another run.
        stage: number of the training that is heard, of those that it takes one after the other; None: the last.
    """

    left: str
    kind: Literal["file", "function", "module"]
    target: str
    arguments: tuple[str, ...]
    steps: int
    linger: float
    seconds: float
    fork: Fork | None
    changed: dict[str, str]
    seed: int
    stage: int | None


def hear(
    target: str,
    arguments: Sequence[str] = (),
    *,
    module: bool = False,
    steps: int = FIRST,
    linger: float = math.inf,
    seconds: float = 60.0,
    fork: Fork | None = None,
    changed: Mapping[str, str] | None = None,
    seed: int = 0,
    stage: int | None = None,
) -> Heard:
    """Run a script until it has taken some optimizer steps, and end it there.

    The script is run for real, by this Python, in this working directory: what it does before its first steps happens.
    Its output is thrown away. Not a line of it is changed.

    Args:
        target: a file, a file:function that returns what is to be trained, or a module's name.
        arguments: its own.
        module: whether `target` is a module, as after python -m.
        steps: after so many it is stopped, >= 1.
        linger: or so many seconds after the first thirty, at the next step.
        seconds: or after so many, > 0.
        fork: one thing that is changed; None: nothing.
        changed: other texts for some of its files, by path; no file is written.
        seed: of another run; 0: the script's own seeds. What it draws without one is drawn alike in all runs.
        stage: number of the training that is heard, from 0 on, where a script takes several one after the other; None:
            the last that begins in a part of the time.
    Raises:
        SettingError: there is no such file, or an argument is outside its range.
    """
    file, function = (target, "") if module or Path(target).is_file() else split_target(target)
    if not module and not Path(file).is_file():
        kind = "is a folder" if Path(file).is_dir() else "does not exist"
        raise SettingError(f"`check` needs a script to run, but {file} {kind}. Give the path of a Python file.")
    if steps < 1 or not seconds > 0:
        raise SettingError(f"`steps >= 1` and `seconds > 0` must hold, but got {steps} and {seconds:g}.")
    with tempfile.TemporaryDirectory() as folder:
        order = Order(
            left=str(Path(folder) / "heard.json"),
            kind="module" if module else "function" if function else "file",
            target=target,
            arguments=tuple(arguments),
            steps=steps,
            linger=linger,
            seconds=seconds,
            fork=fork,
            changed=dict(changed or {}),
            seed=seed,
            stage=stage,
        )
        left, written = Path(order.left), Path(folder) / "order.json"
        written.write_text(to_json(order), "utf-8")
        began = time.perf_counter()
        # Dynamo would trace the observer itself.
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(written)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "TORCHDYNAMO_DISABLE": "1", "PYTHONHASHSEED": "0"},
            start_new_session=True,
        )
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=seconds + GRACE_SECONDS)
        finally:
            # Workers that it left behind end with it.
            _end_group(process)
        if not left.is_file():
            return Heard(state="silent") if process.returncode < 0 else Heard(state="exited", status=process.returncode)
        return replace(from_json(Heard, left.read_bytes()), seconds=time.perf_counter() - began)


def split_target(target: str) -> tuple[str, str]:
    """A file and a function of it.

    Example:
        >>> split_target("train.py:setup"), split_target("train.py")
        (('train.py', 'setup'), ('train.py', ''))
    """
    file, colon, function = target.rpartition(":")
    return (file, function) if colon and function.isidentifier() else (target, "")


class Enough:
    """When to stop.

    Args:
        steps: after so many.
        linger: or so many seconds after the first thirty.
    """

    def __init__(self, steps: int, linger: float) -> None:
        self.steps, self.linger = steps, linger
        self._until = math.inf

    def at(self, taken: int) -> bool:
        """Whether it is after so many steps."""
        now = time.perf_counter()
        if taken >= FIRST:
            self._until = min(self._until, now + self.linger)
        return taken >= self.steps or now >= self._until


def _end_group(process: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _child(order: Order) -> None:
    """What runs in the other process: it ends by force as soon as enough was heard."""
    from trainwell.capture import otherwise
    from trainwell.capture.given import begin
    from trainwell.capture.interventions import changed
    from trainwell.capture.listener import Listener
    from trainwell.capture.rehearse import setup_of, train
    from trainwell.capture.stages import Stages, optimizers_said

    once = threading.Lock()
    listening, intervened = contextlib.ExitStack(), contextlib.ExitStack()
    wanted = order.stage or 0
    listener: Listener | None = None
    enough = Enough(order.steps, order.linger)
    waiting = math.inf
    before: Steps | None = None

    def end(state: State, *, status: int = 0, error: str = "") -> None:
        if not once.acquire(blocking=False):
            time.sleep(GRACE_SECONDS)  # the other thread is writing
        if waiting < math.inf and state in ("ended", "exited", "raised"):
            # What came after the steps that were heard is of no concern.
            state, status, error = "stopped", 0, ""
        found = Heard(state=state, status=status, error=error, stage=wanted)
        if listener is not None:
            listener.end()
            steps = listener.heard()
            # Of one that was waited for another, the schedules are asked now that their functions may be called.
            steps = steps if before is None else replace(before, schedules=steps.schedules)
            found = replace(found, steps=steps, trouble="; ".join(listener.troubles))
        write_atomically(Path(order.left), to_json(found).encode())
        if listener is not None and order.fork is None and threading.current_thread() is threading.main_thread():
            # Last, and only then: what is the user's runs once more, and may never come back. And not beside itself.
            found = replace(found, afterwards=listener.afterwards())
            write_atomically(Path(order.left), to_json(found).encode())
        for each in multiprocessing.active_children():
            each.terminate()
        os._exit(0)

    def after_step(taken: int) -> None:
        nonlocal waiting, before
        now = time.perf_counter()
        if not enough.at(taken) or now < waiting < math.inf:
            return
        if waiting == math.inf and order.stage is None and further():
            waiting = now + WAIT * order.seconds
            if listener is not None:
                # Later steps are counted, and not heard.
                before = listener.heard()
        else:
            end("stopped")

    def further() -> bool:
        """Whether the script says of another optimizer that it has not made yet."""
        try:
            return order.kind == "file" and optimizers_said(Path(target).read_text("utf-8")) > stages.made
        except (OSError, UnicodeDecodeError):
            return False

    def hear_from_here() -> None:
        nonlocal listener, enough, waiting, before
        listening.close()
        enough, waiting, before = Enough(order.steps, order.linger), math.inf, None
        # While another training is waited for, this one's steps are only counted.
        listener = Listener(after_step, wanted=lambda _: waiting == math.inf)
        listening.enter_context(listener.listening())
        if order.fork is not None:
            intervened.enter_context(changed(order.fork))

    def begun(number: int) -> None:
        nonlocal wanted
        if order.stage is None:
            wanted = number
        if number == wanted:
            hear_from_here()
        elif number > wanted:
            end("stopped")

    stages = Stages(begun)
    timer = threading.Timer(order.seconds, end, ("stopped",))
    timer.daemon = True
    timer.start()
    target = order.target
    sys.argv = [target, *order.arguments]
    try:
        with otherwise.sources(order.changed), otherwise.seeds(order.seed), stages.noticing(), listening, intervened:
            if wanted == 0:
                hear_from_here()
            if order.kind == "module":
                sys.path.insert(0, str(Path.cwd()))
                runpy.run_module(target, run_name="__main__", alter_sys=True)
            elif order.kind == "function":
                file, function = split_target(target)
                sys.path[0] = str(Path(file).resolve().parent)
                training = begin(setup_of(file, function))
                assert listener is not None
                train(training, listener, enough=lambda _: False)
            else:
                sys.path[0] = str(Path(target).resolve().parent)
                runpy.run_path(target, run_name="__main__")
    except SettingError as error:
        end("refused" if order.kind == "function" else "raised", error=str(error))
    except SystemExit as exit_:
        if isinstance(exit_.code, int | None):
            end("exited", status=exit_.code or 0)
        end("exited", status=1, error=str(exit_.code))
    except BaseException as error:  # whatever the script raises is the script's
        end("raised", error=_own(error))
    end("ended")


def _own(error: BaseException) -> str:
    """The script's traceback, without the lines that ran it."""
    here: TracebackType | None = error.__traceback__
    while here is not None and here.tb_frame.f_code.co_filename in (__file__, runpy.__file__, "<frozen runpy>"):
        here = here.tb_next
    return "".join(traceback.format_exception(type(error), error, here)).rstrip()


if __name__ == "__main__":
    _child(from_json(Order, Path(sys.argv[1]).read_bytes()))
