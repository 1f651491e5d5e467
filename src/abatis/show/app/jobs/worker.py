"""The process of one job: reads what to do from standard input, tells how far it is in lines of JSON.

It ends itself when standard input closes: then the server that asked for it is gone.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any, TextIO

from abatis.model.errors import AbatisError, is_interrupt

GRACE_S = 10.0
TOLD_EVERY_S = 0.1
NICER_BY = 10


class Teller:
    """Writes messages to the server, progress at most ten times a second.

    Parameters
    ----------
    out : where the lines go.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._lock = threading.Lock()
        self._stage = ""
        self._told_s = 0.0

    def tell(self, **message: Any) -> None:
        """Write one message."""
        with self._lock:
            try:
                self._out.write(json.dumps(message, default=str) + "\n")
                self._out.flush()
            except OSError:
                # The server is gone; the watch over standard input ends this process.
                return

    def progress(self, stage: str, share: float) -> None:
        """Tell the stage and the share done."""
        now = time.monotonic()
        if stage == self._stage and share < 1 and now - self._told_s < TOLD_EVERY_S:
            return
        self._stage, self._told_s = stage, now
        self.tell(stage=stage, share=min(max(float(share), 0.0), 1.0))

    def note(self, text: str) -> None:
        """Tell a short note, such as value and bound of a search."""
        self.tell(note=text)


def main() -> int:
    """Do one job."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    teller = Teller(_take_output())
    question = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_server, daemon=True).start()
    os.nice(NICER_BY)
    teller.progress("reading the study", 0.0)
    try:
        teller.tell(done=run_job(question, teller))
    except KeyboardInterrupt as stopped:
        teller.tell(cancelled=str(stopped))
        return 130
    except AbatisError as error:
        from abatis.show.app.refusals import describe_error

        teller.tell(failed=[one.model_dump() for one in describe_error(error)])
        return error.exit_code
    except MemoryError:
        teller.tell(failed=[{"what": "Not enough memory.", "where": "", "remedy": "lower resolution"}])
        return 3
    except OSError as error:
        from abatis.show.cli import describe_system_error

        teller.tell(failed=[{"what": describe_system_error(error), "where": "", "remedy": ""}])
        return 1
    except Exception as error:  # noqa: BLE001
        if is_interrupt(error):
            teller.tell(cancelled="")
            return 130
        traceback.print_exc()
        words = {"what": "The job failed.", "where": "", "remedy": "the server's log says more"}
        teller.tell(failed=[words])
        return 1
    return 0


def run_job(question: dict[str, Any], teller: Teller) -> dict[str, Any]:
    """Run the function of a job's kind."""
    from abatis.show.app.jobs.kinds import KINDS, Work

    kind = KINDS[question["kind"]]
    asked = kind.asked.model_validate(question["settings"])
    work = Work(Path(question["study"]), question["plan"], asked, teller.progress, teller.note)
    return kind.run(work)


def _take_output() -> TextIO:
    """Take standard output for messages alone: what libraries print goes to standard error."""
    mine = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(mine, "w", encoding="utf-8")


def _end_with_server() -> None:
    while sys.stdin.readline():
        pass
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(GRACE_S)
    os._exit(130)


if __name__ == "__main__":
    sys.exit(main())
