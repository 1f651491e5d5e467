"""Tables and progress."""

from __future__ import annotations

import io
import json
import re

import numpy as np
import pytest

from abatis.show import tables
from abatis.show.progress import RateMeter, ShowProgress
from abatis.show.tables import Column, Table, clean_json, print_table, show_tables

TABLE = Table(
    "Towns", (Column("name", "name"), Column("h", "time [h]", ".1f")), ({"name": "[a] b", "h": 2.26},)
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_table_is_coloured_on_a_terminal_and_plain_in_a_pipe(monkeypatch):
    terminal, pipe = Terminal(), io.StringIO()
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(tables.sys, "stdout", terminal)
    print_table(TABLE)
    monkeypatch.setattr(tables.sys, "stdout", pipe)
    print_table(TABLE)
    assert "\x1b[" in terminal.getvalue()
    assert pipe.getvalue() == "Towns\nname   time [h]\n[a] b       2.3\n"
    assert "[a] b" in terminal.getvalue()


def test_json_carries_raw_values(capsys):
    show_tables({"towns": TABLE}, as_json=True)
    assert json.loads(capsys.readouterr().out) == {"towns": [{"name": "[a] b", "h": 2.26}]}


def test_json_never_holds_infinity_or_numpy():
    value = {"a": np.float32(1.5), "b": (np.inf, np.nan, np.bool_(True)), "c": np.arange(2)}
    assert json.loads(json.dumps(clean_json(value), allow_nan=False)) == {
        "a": 1.5, "b": [None, None, True], "c": [0, 1],
    }  # fmt: skip


def test_remaining_time_follows_the_measured_rate():
    meter = RateMeter()
    meter.report(0.0, 0.0)
    assert meter.remaining_s() is None
    meter.report(0.1, 10.0)
    assert meter.remaining_s() == pytest.approx(90.0)
    # The work slows down to a tenth: after a while the rate of the last reports counts, not the first ones.
    for second in range(11, 61):
        meter.report(0.1 + 0.001 * (second - 10), float(second))
    assert meter.remaining_s() == pytest.approx(0.85 / 0.001, rel=0.05)


def test_progress_in_a_pipe_writes_one_line_per_stage(monkeypatch):
    times = iter(range(0, 1000, 2))
    pipe = io.StringIO()
    monkeypatch.setattr("abatis.show.progress.sys.stderr", pipe)
    with ShowProgress(clock=lambda: float(next(times))) as progress:
        progress("reading", 0.0)
        progress("reading", 0.5)
        assert "50%" in progress.describe()
        assert re.search(r"about 2\.0 s left", progress.describe())
        progress.set_note("value 3 h")
        progress("counting", 0.0)
    lines = pipe.getvalue().splitlines()
    assert [line.split(":")[0] for line in lines] == ["reading", "counting"]
    assert lines[0].endswith("(value 3 h)")


def test_interrupted_stage_is_not_called_finished(monkeypatch):
    pipe = io.StringIO()
    monkeypatch.setattr("abatis.show.progress.sys.stderr", pipe)
    with pytest.raises(KeyboardInterrupt), ShowProgress() as progress:
        progress("reading", 0.5)
        raise KeyboardInterrupt
    assert pipe.getvalue() == ""
