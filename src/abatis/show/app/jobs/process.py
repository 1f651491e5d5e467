"""The process of one job, seen from the server: start, messages, a clean stop, a hard one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any

LONGEST_LINE = 4 * 1024 * 1024
WORKER = (sys.executable, "-m", "abatis.show.app.jobs.worker")


class JobProcess:
    """Runs one job in a process of its own, in a group of its own.

    Parameters
    ----------
    question : kind, study, plan and settings; see `worker.main`.
    command : the program that does it; another one in tests.
    """

    def __init__(self, question: dict[str, Any], command: Sequence[str] = WORKER) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            text=True,
            encoding="utf-8",
        )
        self._killer: threading.Timer | None = None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
        except OSError:
            # It ended at once; reading its messages tells so.
            return

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def read_messages(self) -> Iterator[dict[str, Any]]:
        """Give what the process tells until it ends."""
        assert self._process.stdout is not None
        while line := self._process.stdout.readline(LONGEST_LINE):
            try:
                message = json.loads(line)
            except ValueError:
                continue
            if isinstance(message, dict):
                yield message

    def stop(self, grace_s: float) -> None:
        """Ask the process to stop as Ctrl-C does; kill it and its children when it has not after a while."""
        self._signal(signal.SIGINT)
        if self._killer is None:
            self._killer = threading.Timer(grace_s, self._signal, [signal.SIGKILL])
            self._killer.daemon = True
            self._killer.start()

    def _signal(self, number: int) -> None:
        if self._process.poll() is None:
            try:
                os.killpg(self._process.pid, number)
            except ProcessLookupError:
                return

    def wait(self) -> int:
        """Wait until the process has ended; returns its exit status, negative when a signal ended it."""
        code = self._process.wait()
        if self._killer is not None:
            self._killer.cancel()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    continue
        return code
