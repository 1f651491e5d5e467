"""Kept views: made once however many ask, read back whole, refused when damaged or of another state."""

from __future__ import annotations

import math
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from abatis.show.app.answers.tables import answer_table, plain_value
from abatis.show.app.answers.trace import split_id, trace_id
from abatis.show.app.answers.views import ViewAnswer
from abatis.show.app.loaded import Turns
from abatis.show.app.views.kept import MOST_KEPT, ViewCache, hash_inputs, keep_view, read_view
from abatis.show.tables import Column, Table


def test_a_view_is_made_once_for_each_state():
    cache, made, start = ViewCache(), [], threading.Barrier(8)

    def make() -> ViewAnswer:
        made.append(1)
        return ViewAnswer(made=True, why=str(len(made)))

    answers = []

    def ask() -> None:
        start.wait()
        answers.append(cache.get(("line",), "one", make).why)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert answers == ["1"] * 8
    assert cache.get(("line",), "two", make).why == "2"
    assert cache.get(("watch",), "one", make).why == "3"


def test_many_keys_take_no_room():
    cache = ViewCache()
    for number in range(MOST_KEPT + 5):
        cache.get((number,), "one", lambda: ViewAnswer(made=True))
    assert (len(cache._turns), len(cache._held)) == (0, MOST_KEPT)


def test_turns_on_a_key_are_taken_one_by_one_and_then_forgotten():
    turns, inside, most = Turns(), [], []

    def work() -> None:
        for _ in range(200):
            with turns.take("key"):
                inside.append(1)
                time.sleep(0)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert (max(most), len(most), len(turns)) == (1, 1600, 0)


def test_a_turn_is_kept_while_somebody_waits_for_it():
    turns, seen = Turns(), []

    def ask(name: str) -> threading.Thread:
        def work() -> None:
            with turns.take("key"):
                seen.append(name)

        thread = threading.Thread(target=work)
        thread.start()
        return thread

    with turns.take("key"):
        waiting = [ask("second"), ask("third")]
        time.sleep(0.05)
        assert (seen, len(turns)) == ([], 1)
        # Another key has to wait for nobody.
        with turns.take("other"):
            assert len(turns) == 2
    for one in waiting:
        one.join()
    assert (sorted(seen), len(turns)) == (["second", "third"], 0)


def test_an_error_is_not_kept():
    cache = ViewCache()
    with pytest.raises(ZeroDivisionError):
        cache.get(("line",), "one", lambda: ViewAnswer(made=bool(1 / 0)))
    assert cache.get(("line",), "one", lambda: ViewAnswer(made=True)).made


def test_a_kept_view_is_read_back_or_refused(tmp_path: Path):
    path = tmp_path / "view.json"
    table = Table("Times", (Column("h", "time [h]", ".1f"),), ({"h": math.inf}, {"h": math.nan}, {"h": 1.5}))
    view = ViewAnswer(made=True, tables={"times": answer_table(table)})
    keep_view(path, "mark", view)
    assert read_view(path, "mark") == view
    assert [row["h"] for row in view.tables["times"].rows] == ["never", None, 1.5]
    assert read_view(path, "other") is None
    path.write_text("mark\n{", "utf-8")
    assert read_view(path, "mark") is None
    path.write_bytes(b"\xff\xfe")
    assert read_view(path, "mark") is None
    assert read_view(tmp_path / "nothing.json", "mark") is None


def test_the_hash_follows_every_table(study_copy: Path):
    before = hash_inputs(study_copy, "base")
    assert hash_inputs(study_copy, "base") == before
    assert hash_inputs(study_copy) != before
    facts = study_copy / "tables" / "facts.csv"
    text = facts.read_text("utf-8")
    facts.write_text(text + "\n", "utf-8")
    assert hash_inputs(study_copy, "base") != before
    facts.write_text(text, "utf-8")
    assert hash_inputs(study_copy, "base") == before


def test_plain_values_are_what_json_holds():
    given = {
        "a": np.float32(0.5),
        "b": np.bool_(True),
        "c": -math.inf,
        "d": (np.int64(2), None),
        "e": Path("x"),
    }
    assert plain_value(given) == {"a": 0.5, "b": True, "c": "never", "d": [2, None], "e": "x"}


@pytest.mark.parametrize("part", ["a:b", "a/b|c", "ąčę %41", "", "#12"])
def test_ids_hold_any_text(part: str):
    assert split_id(trace_id("table", part, "x")) == ("table", part, "x")


def test_every_row_needs_its_trace():
    table = Table("T", (Column("a", "a"),), ({"a": 1}, {"a": 2}))
    with pytest.raises(ValueError, match="zip"):
        answer_table(table, traces=[{}])
