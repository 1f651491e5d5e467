"""Ctrl-C: answered where a search looks at the clock, and not while a plan is written."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def hear_interrupts(answer: Callable[[], None]) -> Iterator[None]:
    """Call `answer` at the first Ctrl-C inside the block; the next one is a KeyboardInterrupt as ever.

    In words: an error that falls into the middle of compiled code can crash it, so a search is told to end
    instead. Outside the main thread, and where the program has a handler of its own or an outer block hears
    already, nothing changes.
    """
    is_free = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if threading.current_thread() is not threading.main_thread() or not is_free:
        yield
        return

    def hear(_number: int, _frame: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        answer()

    signal.signal(signal.SIGINT, hear)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextlib.contextmanager
def hold_interrupts() -> Iterator[None]:
    """Drop every Ctrl-C until the block ends, where signals reach this thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, asked)
