"""What all tests share."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Before matplotlib is imported anywhere: figures are drawn without a screen.
os.environ["MPLBACKEND"] = "Agg"
# Rich would fold tables to the width of whatever terminal runs the tests.
os.environ["COLUMNS"] = "120"
os.environ.pop("FORCE_COLOR", None)


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root folder of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with real data beside the repository; tests that need it are left out where it is missing."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(
            "real data (../shared/data) is not beside the repository: the check against it is left out"
        )
    return folder


@pytest.fixture(autouse=True, scope="session")
def _listen_to_interrupts():
    """A shell lets its background jobs ignore Ctrl-C, and processes started by tests would inherit that."""
    before = signal.getsignal(signal.SIGINT)
    if before == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
