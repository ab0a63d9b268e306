"""Run somebody's script in a process of its own, and hear its first optimizer steps."""

import contextlib
import multiprocessing
import os
import random
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Sequence
from dataclasses import field, replace
from pathlib import Path
from types import TracebackType
from typing import Literal

from trainwell.core.errors import SettingError
from trainwell.core.files import write_atomically
from trainwell.core.jsonio import from_json, to_json
from trainwell.core.records.dependence import PositionDependence, SampleDependence
from trainwell.core.records.forks import Fork
from trainwell.core.records.record import record
from trainwell.core.records.steps import Steps

GRACE_SECONDS = 15.0
"""Beyond its time, before a script that lets nobody speak is ended: loading torch takes some of it."""

State = Literal["stopped", "ended", "exited", "raised", "silent"]


@record
class Heard:
    """How a script went, and what was heard of it.

    Attributes:
        state: stopped (by us, after enough steps or seconds), ended (its last line), exited (by `sys.exit` or
            `os._exit`), raised (its own exception), silent (it was ended by force and said nothing).
        steps: the section `steps`; None where the process left nothing.
        samples: the section `samples`, where it could be told.
        positions: the section `positions`, likewise.
        reasons: why a section could not be told.
        status: its exit status where it exited.
        error: its own traceback where it raised, its own last word where it exited with one.
        trouble: what could not be observed, and why; empty: everything was.
        seconds: that it took.
    """

    state: State
    steps: Steps | None = None
    samples: SampleDependence | None = None
    positions: PositionDependence | None = None
    reasons: dict[str, str] = field(default_factory=dict)
    status: int = 0
    error: str = ""
    trouble: str = ""
    seconds: float = 0.0


def hear(
    target: str,
    arguments: Sequence[str] = (),
    *,
    module: bool = False,
    steps: int = 30,
    seconds: float = 60.0,
    fork: Fork | None = None,
) -> Heard:
    """Run a script until it has taken some optimizer steps, and end it there.

    The script is run for real, by this Python, in this working directory: what it does before its first steps happens.
    Its output is thrown away. Not a line of it is changed.

    Args:
        target: a file, or a module's name.
        arguments: its own.
        module: whether `target` is a module, as after python -m.
        steps: after so many it is stopped, >= 1.
        seconds: or after so many, > 0.
        fork: one thing that is changed; None: nothing. What is drawn without a seed of the script's own is drawn alike
            in all runs.
    Raises:
        SettingError: there is no such file, or an argument is outside its range.
    """
    if not module and not Path(target).is_file():
        kind = "is a folder" if Path(target).is_dir() else "does not exist"
        raise SettingError(f"`check` needs a script to run, but {target} {kind}. Give the path of a Python file.")
    if steps < 1 or not seconds > 0:
        raise SettingError(f"`steps >= 1` and `seconds > 0` must hold, but got {steps} and {seconds:g}.")
    with tempfile.TemporaryDirectory() as folder:
        left = Path(folder) / "heard.json"
        command = [sys.executable, "-m", __name__, str(left), str(steps), str(seconds), to_json(fork) if fork else ""]
        began = time.perf_counter()
        # Dynamo would trace the observer itself.
        process = subprocess.Popen(
            [*command, "module" if module else "file", target, *arguments],
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


def _end_group(process: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _child(
    left: Path, steps: int, seconds: float, fork: Fork | None, kind: str, target: str, arguments: list[str]
) -> None:
    """What runs in the other process: it ends by force as soon as enough was heard."""
    import numpy as np

    from trainwell.capture.interventions import changed
    from trainwell.capture.listener import Listener

    once = threading.Lock()

    def end(state: State, *, status: int = 0, error: str = "") -> None:
        if not once.acquire(blocking=False):
            time.sleep(GRACE_SECONDS)  # the other thread is writing
        found = Heard(
            state=state, steps=listener.heard(), status=status, error=error, trouble="; ".join(listener.troubles)
        )
        write_atomically(left, to_json(found).encode())
        if fork is None and threading.current_thread() is threading.main_thread():
            # Last, and only then: what is the user's runs once more, and may never come back. And not beside itself.
            samples, positions, reasons = listener.depend()
            found = replace(found, samples=samples, positions=positions, reasons=reasons)
            write_atomically(left, to_json(found).encode())
        for each in multiprocessing.active_children():
            each.terminate()
        os._exit(0)

    listener = Listener(lambda taken: end("stopped") if taken >= steps else None)
    timer = threading.Timer(seconds, end, ("stopped",))
    timer.daemon = True
    timer.start()
    sys.argv = [target, *arguments]
    # Not torch's, whose default generator begins alike in every process.
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - scripts use it
    try:
        with listener.listening(), changed(fork) if fork else contextlib.nullcontext():
            if kind == "module":
                sys.path.insert(0, str(Path.cwd()))
                runpy.run_module(target, run_name="__main__", alter_sys=True)
            else:
                sys.path[0] = str(Path(target).resolve().parent)
                runpy.run_path(target, run_name="__main__")
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
    _child(
        Path(sys.argv[1]),
        int(sys.argv[2]),
        float(sys.argv[3]),
        from_json(Fork, sys.argv[4].encode()) if sys.argv[4] else None,
        sys.argv[5],
        sys.argv[6],
        sys.argv[7:],
    )
