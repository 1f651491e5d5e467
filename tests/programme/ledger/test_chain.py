"""The chain of hashes: a hand-made one, and everything that tampering can do to it."""

from __future__ import annotations

import hashlib
import json
import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.programme.ledger.ledger_cases import make_budget, make_budgets, unguarded

from abatis.programme.ledger.chain import (
    MOST_PROBLEMS,
    ChainChecker,
    Seal,
    hash_seal,
    seal_record,
    write_content_text,
    write_hashed_text,
)
from abatis.programme.ledger.records import FIRST_HASH, Draft, Record, write_canonical
from abatis.programme.ledger.store import open_ledger


@pytest.fixture
def path(tmp_path):
    """A ledger of three writings: records 1-4, 5-7, 8-10."""
    file = tmp_path / "ledger.sqlite"
    with open_ledger(file) as ledger:
        for start, count in ((1, 4), (5, 3), (8, 3)):
            ledger.append(make_budgets(count, start), "audit office")
        assert ledger.verify().sound
    return file


def verify(path, kept=None):
    with open_ledger(path) as ledger:
        return ledger.verify(kept)


def seqs(report):
    return [problem.seq for problem in report.problems]


def rewrite(connection: sqlite3.Connection, first: int) -> None:
    """Give all records from one on new hashes, as one who knows the method would."""
    rows = connection.execute("SELECT * FROM ledger_records WHERE seq >= ? ORDER BY seq", (first,)).fetchall()
    before = connection.execute("SELECT hash FROM ledger_records WHERE seq = ?", (first - 1,)).fetchone()
    previous = before[0] if before else FIRST_HASH
    for row in rows:
        record = Record._make(row[:13])._replace(previous_hash=previous)
        sealed = seal_record(record, record.body)
        content = hashlib.sha256(write_content_text(record, record.body).encode()).hexdigest()
        connection.execute(
            "UPDATE ledger_records SET previous_hash = ?, hash = ?, content = ? WHERE seq = ?",
            (previous, sealed.hash, content, record.seq),
        )
        previous = sealed.hash


def reseal(connection: sqlite3.Connection) -> None:
    """Write all seals anew, so that they agree with the records."""
    previous = FIRST_HASH
    for row in connection.execute("SELECT * FROM ledger_seals ORDER BY seal").fetchall():
        head = connection.execute("SELECT hash FROM ledger_records WHERE seq = ?", (row[2],)).fetchone()[0]
        seal = Seal._make(row)._replace(head_hash=head, previous_hash=previous)
        seal = seal._replace(hash=hash_seal(seal))
        connection.execute(
            "UPDATE ledger_seals SET head_hash = ?, previous_hash = ?, hash = ? WHERE seal = ?",
            (seal.head_hash, seal.previous_hash, seal.hash, seal.seal),
        )
        previous = seal.hash


def test_a_chain_made_by_hand_is_the_chain_of_the_ledger(tmp_path):
    """Written out with nothing but json and hashlib, as an auditor would."""
    with open_ledger(tmp_path / "ledger.sqlite") as ledger:
        records = ledger.append(
            [make_budget(1, body={"name": "Žemė"}), make_budget(2, body={"amount_eur": 0.5}, on="2026")], "A"
        )
        now = records[0].recorded_at
        previous = "0" * 64
        bodies = (
            {"amount_eur": 1000, "country": "LT", "line": "total", "name": "Žemė", "stage": "planned"},
            {"amount_eur": 0.5, "country": "LT", "line": "total", "stage": "planned"},
        )
        for number, body in enumerate(bodies, start=1):
            said = {
                "seq": number,
                "recorded_at": now,
                "author": "A",
                "kind": "budget",
                "key": f"lt_{number}",
                "corrects": None,
                "on": "2026-02-09" if number == 1 else "2026",
                "body": body,
                "source": "made up",
                "tag": "G",
                "access": "public",
                "previous_hash": previous,
            }
            text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
            previous = hashlib.sha256(text.encode("utf-8")).hexdigest()
            assert records[number - 1].hash == previous
        assert ledger.verify().head_hash == previous


def test_an_empty_ledger_is_sound(tmp_path):
    report = verify(tmp_path / "ledger.sqlite")
    assert (report.sound, report.count, report.head_hash) == (True, 0, FIRST_HASH)
    assert not (tmp_path / "ledger.sqlite").exists()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("recorded_at", "2020-01-01T00:00:00Z"),
        ("author", "someone else"),
        ("kind", "statement"),
        ("key", "lt_66"),
        ("corrects", 2),
        ("event_on", "2026-02-10"),
        ("body", '{"amount_eur":1,"country":"LT","line":"total","stage":"planned"}'),
        ("body", '{"amount_eur": 6000,"country":"LT","line":"total","stage":"planned"}'),
        ("body", "no json"),
        ("body", None),
        ("source", "another"),
        ("tag", "F"),
        ("access", "restricted"),
        ("previous_hash", "f" * 64),
        ("hash", "f" * 64),
        ("content", "f" * 64),
    ],
)
def test_a_changed_value_shows_and_its_record_is_named(path, column, value):
    with unguarded(path) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        text = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'ledger_records'").fetchone()[0]
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_master SET sql = ? WHERE name = 'ledger_records'", (text.replace(" NOT NULL", ""),)
        )
        connection.execute("PRAGMA writable_schema = RESET")
        connection.execute(f"UPDATE ledger_records SET {column} = ? WHERE seq = 6", (value,))
    report = verify(path)
    assert not report.sound
    assert seqs(report)[0] == 6
    assert set(seqs(report)) <= {6, 7}


def test_a_deleted_record_shows(path):
    with unguarded(path) as connection:
        connection.execute("DELETE FROM ledger_records WHERE seq = 3")
    report = verify(path)
    assert seqs(report) == [3]
    assert "record 3 missing" in report.problems[0].text


def test_deleted_records_with_the_gap_closed_show(path):
    with unguarded(path) as connection:
        connection.execute("DELETE FROM ledger_records WHERE seq IN (3, 4)")
        connection.execute("UPDATE ledger_records SET seq = seq - 2 WHERE seq > 4")
    report = verify(path)
    assert not report.sound
    assert report.problem_count >= 6


def test_swapped_records_show(path):
    with unguarded(path) as connection:
        for before, after in ((5, 99), (6, 5), (99, 6)):
            connection.execute("UPDATE ledger_records SET seq = ? WHERE seq = ?", (after, before))
    report = verify(path)
    assert seqs(report) == [5, 6, 7]


def test_an_added_record_shows(path):
    with unguarded(path) as connection:
        columns = "recorded_at, author, kind, 'lt_x', corrects, event_on, body, source, tag, access"
        connection.execute(
            f"INSERT INTO ledger_records SELECT 11, {columns}, hash, 'h', 'c' "
            "FROM ledger_records WHERE seq = 10"
        )
        rewrite(connection, 11)
    report = verify(path)
    assert seqs(report) == [11]
    assert "never sealed" in report.problems[0].text


@pytest.mark.parametrize("kept", [9, 7, 1, 0])
def test_a_tail_that_was_cut_shows(path, kept):
    with unguarded(path) as connection:
        connection.execute("DELETE FROM ledger_records WHERE seq > ?", (kept,))
    report = verify(path)
    assert not report.sound
    assert report.problems[-1].text == (
        f"the ledger ends at record {kept}, but record 10 was sealed: its tail was cut"
    )


def test_a_tail_cut_together_with_its_seal_shows_only_against_a_kept_head(path):
    head = verify(path)
    with unguarded(path) as connection:
        connection.execute("DELETE FROM ledger_records WHERE seq > 7")
        connection.execute("DELETE FROM ledger_seals WHERE seal = 3")
    # The ledger is then what it was before the last writing: nothing inside can tell.
    assert verify(path).sound
    report = verify(path, (head.count, head.head_hash))
    assert seqs(report) == [10]
    assert "ends before it" in report.problems[0].text


def test_a_value_changed_with_all_hashes_after_it_shows_by_the_seals(path):
    with unguarded(path) as connection:
        connection.execute("UPDATE ledger_records SET author = 'x' WHERE seq = 6")
        rewrite(connection, 6)
    assert seqs(verify(path)) == [7, 10]


def test_a_ledger_written_anew_whole_shows_only_against_a_kept_head(path):
    head = verify(path)
    assert verify(path, (head.count, head.head_hash)).sound
    assert verify(path, (0, FIRST_HASH)).sound
    with unguarded(path) as connection:
        connection.execute("UPDATE ledger_records SET author = 'x' WHERE seq = 6")
        rewrite(connection, 6)
        reseal(connection)
    assert verify(path).sound
    report = verify(path, (head.count, head.head_hash))
    assert seqs(report) == [10]
    assert "written anew" in report.problems[0].text


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ("DELETE FROM ledger_seals WHERE seal = 2", "seal 2 is missing"),
        ("UPDATE ledger_seals SET author = 'x' WHERE seal = 2", "seal 2 was changed"),
        ("UPDATE ledger_seals SET origin_hash = x'00' WHERE seal = 2", "seal 2 was changed"),
        ("DELETE FROM ledger_seals WHERE seal = 3", "never sealed"),
        ("DELETE FROM ledger_seals", "never sealed"),
    ],
)
def test_changed_seals_show(path, change, text):
    with unguarded(path) as connection:
        connection.execute(change)
    report = verify(path)
    assert not report.sound
    assert text in report.problems[0].text


def test_a_guard_that_is_gone_shows(path):
    connection = sqlite3.connect(path)
    connection.execute("DROP TRIGGER ledger_records_no_delete")
    connection.commit()
    connection.close()
    report = verify(path)
    assert [problem.text for problem in report.problems] == [
        "the guard 'ledger_records_no_delete' of the database is gone"
    ]


def test_a_guard_emptied_of_its_meaning_shows(path):
    connection = sqlite3.connect(path)
    connection.execute("DROP TRIGGER ledger_records_no_update")
    connection.execute(
        "CREATE TRIGGER ledger_records_no_update BEFORE UPDATE ON ledger_records BEGIN SELECT 1; END"
    )
    connection.commit()
    connection.close()
    assert not verify(path).sound


def test_of_very_many_problems_the_first_are_listed_and_all_are_counted(tmp_path):
    path = tmp_path / "ledger.sqlite"
    with open_ledger(path) as ledger:
        ledger.append(make_budgets(300), "audit")
    with unguarded(path) as connection:
        connection.execute("UPDATE ledger_records SET author = 'x'")
    report = verify(path)
    assert report.problem_count == 300
    assert len(report.problems) == MOST_PROBLEMS


texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
values = st.one_of(texts, st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False))
records = st.builds(
    Record,
    seq=st.integers(1, 10**9),
    recorded_at=texts,
    author=texts,
    kind=texts,
    key=texts,
    corrects=st.none() | st.integers(1, 10**9),
    on=texts,
    body=st.dictionaries(texts, values, max_size=4),
    source=texts,
    tag=texts,
    access=texts,
    previous_hash=texts,
    hash=texts,
)


@given(records)
@settings(max_examples=200, deadline=None)
def test_the_hashed_text_is_canonical_json(record):
    said = record._asdict()
    del said["hash"]
    body = write_canonical(record.body)
    assert write_hashed_text(record, body) == write_canonical(said)
    assert json.loads(write_canonical(said)) == json.loads(json.dumps(said))
    content = {name: getattr(record, name) for name in Draft._fields}
    assert write_content_text(record, body) == write_canonical(content)


@given(st.integers(1, 8), st.data())
@settings(max_examples=60, deadline=None)
def test_no_single_change_to_a_chain_goes_unseen(count, data):
    """Any value of any row, replaced by any other."""
    rows, previous = [], FIRST_HASH
    for seq in range(1, count + 1):
        body = write_canonical({"amount_eur": seq})
        begun = Record(
            seq, "now", "a", "budget", f"k{seq}", None, "2026", body, "s", "F", "public", previous, ""
        )
        sealed = seal_record(begun, body)
        content = hashlib.sha256(write_content_text(sealed, body).encode()).hexdigest()
        rows.append([*sealed, content])
        previous = sealed.hash
    seal = Seal(1, 1, count, "now", "a", "", "", previous, FIRST_HASH, "")
    seal = seal._replace(hash=hash_seal(seal))

    def check(some):
        checker = ChainChecker()
        checker.check_seals([seal])
        checker.check_rows(some)
        checker.finish()
        return checker.report().sound

    assert check(rows)
    row, column = data.draw(st.integers(0, count - 1)), data.draw(st.integers(0, 13))
    other = data.draw(values.filter(lambda value: value != rows[row][column]))
    changed = [list(one) for one in rows]
    changed[row][column] = other
    assert not check(changed)
