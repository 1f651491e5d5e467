"""Ctrl-C in searches and while plans are written."""

import signal
import threading

import pytest

from abatis.model.interrupts import hear_interrupts, hold_interrupts


def test_the_first_is_answered_and_the_second_ends_the_block():
    answers = []
    with pytest.raises(KeyboardInterrupt), hear_interrupts(lambda: answers.append("stop")):
        signal.raise_signal(signal.SIGINT)
        assert answers == ["stop"]
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_outer_block_hears_for_the_inner_one():
    outer, inner = [], []
    with hear_interrupts(lambda: outer.append(1)), hear_interrupts(lambda: inner.append(1)):
        signal.raise_signal(signal.SIGINT)
    assert (outer, inner) == ([1], [])


def test_a_handler_of_the_program_stays():
    heard, answers = [], []
    before = signal.signal(signal.SIGINT, lambda *_: heard.append(1))
    try:
        with hear_interrupts(lambda: answers.append(1)):
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert (heard, answers) == ([1], [])


@pytest.mark.parametrize("block", [lambda: hear_interrupts(list), hold_interrupts])
def test_other_threads_are_left_alone(block):
    seen = []

    def look():
        with block():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]


def test_held_interrupts_are_dropped_until_the_block_ends():
    with hold_interrupts():
        signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
