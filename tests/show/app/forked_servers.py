"""Starts real servers quickly: imports abatis once, then forks one process for each line of standard input.

A line is JSON: the study folder, and settings and limits that differ. The answer is the process's number; the
server's own words follow on standard output.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from abatis.model.errors import AbatisError
from abatis.show.app.application import find_routers
from abatis.show.app.serving import serve
from abatis.show.app.settings import Limits, Settings


def main() -> None:
    # Everything is imported here, once.
    find_routers()
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if child == 0:
            run(asked)
            os._exit(0)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()


def run(asked: dict) -> None:
    os.close(0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    limits = Limits(**asked.get("limits", {}))
    settings = Settings(Path(asked["study"]), port=0, limits=limits, **asked.get("settings", {}))
    try:
        serve(settings, None, None, False)
    except AbatisError as error:
        sys.stdout.write(f"refused: {error}\n")
    except KeyboardInterrupt:
        sys.stdout.write("ended\n")
    sys.stdout.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    main()
