"""Runs command lines one after the other, each in a fork of a process that has imported the program.

Reads a JSON line a command, {"arguments", "folder", "out", "err"}; answers with its exit status, one a line. Importing
takes longer than most refusals: this way a command is a process of its own, as a user's, and costs only what it does.
"""

import json
import os
import sys
import traceback
from typing import Any

from trainwell import verbs  # noqa: F401 - imported before the forks
from trainwell.cli.main import main


def child(job: dict[str, Any]) -> None:
    """The command line, as `trainwell` itself would run it; never returns."""
    status = 1
    try:
        os.chdir(job["folder"])
        for number, name in ((1, job["out"]), (2, job["err"])):
            handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(handle, number)
        sys.argv = ["trainwell", *job["arguments"]]
        main()
        status = 0
    except SystemExit as left:
        status = left.code if isinstance(left.code, int) else int(left.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


for line in sys.stdin:
    made = os.fork()
    if made == 0:
        child(json.loads(line))
    print(os.waitstatus_to_exitcode(os.waitpid(made, 0)[1]), flush=True)  # noqa: T201 - the answer
