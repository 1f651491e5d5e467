"""The ledger in SQLite: what is appended stands, nothing changes, corrections, addresses, many writers."""

from __future__ import annotations

import sqlite3
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.programme.ledger.ledger_cases import make_budget, make_budgets, unguarded

from abatis.model.errors import InputError
from abatis.model.fields import fields_of
from abatis.programme.ledger import schema
from abatis.programme.ledger.records import COMMON, KINDS, NOT_DISCLOSED, Draft, body_columns, redact_record
from abatis.programme.ledger.store import LedgerError, find_address, open_ledger

EXAMPLES = {
    "budget": {"country": "LT", "line": "mines", "stage": "spent", "amount_eur": NOT_DISCLOSED},
    "contract": {"country": "EE", "stage": "failed", "amount_eur": 60e6, "supplier": "a company"},
    "delivery": {"country": "EE", "quantity": 28, "unit": "pieces", "due": "2026-12-31"},
    "work": {"country": "EE", "stage": "started", "done": 0.1, "spent_eur": NOT_DISCLOSED, "site": "s4"},
    "milestone": {"country": "LV", "name": "Law adopted", "stage": "reached", "due": "2024-12-31",
                  "reached": "2025-10", "category": "law"},
    "hazard": {"country": "LT", "event": "recorded", "category": "anti_personnel", "area_m2": NOT_DISCLOSED},
    "incident": {"country": "LT", "name": "Flood of a park", "category": "flood", "injured": 0},
    "treaty_event": {"country": "LT", "instrument": "APMBC", "event": "effect", "effect": "2025-12-27"},
    "statement": {"country": "PL", "speaker": "ministry", "topic": "spending", "value": NOT_DISCLOSED,
                  "wording": "declined kilometres and yearly spending"},
}  # fmt: skip

COPIED = "recorded_at, author, kind, key, corrects, event_on, body, source, tag, access, hash, 'new', content"


def make(kind: str, **changed) -> Draft:
    return Draft(kind, f"a_{kind}", "2026-02", EXAMPLES[kind] | changed.pop("body", {}), "x", "F")._replace(
        **changed
    )


@pytest.fixture
def ledger(tmp_path):
    with open_ledger(tmp_path / "ledger.sqlite") as opened:
        yield opened


def test_a_record_of_every_kind_stands_as_it_was_given(ledger):
    drafts = [make(kind) for kind in KINDS]
    records = ledger.append(drafts, "Audit Office")
    assert ledger.read() == records
    for draft, record in zip(drafts, records, strict=True):
        assert {name: getattr(record, name) for name in Draft._fields} == draft._asdict()
        assert record.author == "Audit Office"
    assert ledger.verify().sound


def test_every_kind_has_the_common_columns_and_a_country():
    for kind in KINDS:
        columns = [field.column for field in fields_of(f"ledger_{kind}")]
        assert set(COMMON) <= set(columns)
        assert columns[:3] == ["key", "on", "country"]
        assert {field.column for field in body_columns(kind)} == set(columns) - set(COMMON)


def test_not_disclosed_is_kept_as_such_and_never_a_number(ledger):
    ledger.append([make("budget")], "audit")
    assert ledger.read()[0].body["amount_eur"] == "not disclosed"
    for other in ("unknown", "-", "0 EUR", True, None, float("nan"), float("inf"), -1.0, [1]):
        with pytest.raises(InputError, match="amount_eur"):
            ledger.append([make("budget", body={"amount_eur": other})], "audit")
    with pytest.raises(InputError, match="first_year"):
        ledger.append([make("budget", body={"first_year": NOT_DISCLOSED})], "audit")


def test_reading_by_kind_key_access_and_page(ledger):
    drafts = [*make_budgets(6), make("work", access="public"), make("statement")]
    ledger.append(drafts, "audit")
    assert [one.seq for one in ledger.read(kind="work")] == [7]
    assert [one.seq for one in ledger.read(key="lt_3")] == [3]
    assert [one.seq for one in ledger.read(access="restricted")] == [8]
    assert [one.seq for one in ledger.read(after=2, limit=3)] == [3, 4, 5]
    assert ledger.read(kind="nothing") == []
    assert ledger.find(7).kind == "work"
    assert ledger.find(99) is None
    assert (ledger.count(), ledger.read_head()) == (8, (8, ledger.find(8).hash))


def test_the_public_sees_no_restricted_record_and_no_site(ledger):
    public, hidden = ledger.append([make("work", access="public"), make("budget")], "audit")
    assert redact_record(hidden) is None
    assert set(redact_record(public).body) == set(public.body) - {"site"}


def test_a_correction_takes_the_place_of_a_record_and_both_stay(ledger):
    ledger.append(make_budgets(3), "audit")
    ledger.append([make_budget(2, corrects=2, body={"amount_eur": 7.0})], "audit")
    assert [one.seq for one in ledger.read()] == [1, 3, 4]
    assert [one.seq for one in ledger.read(current=False)] == [1, 2, 3, 4]
    # A correction may be wrong too.
    ledger.append([make_budget(2, corrects=4, body={"amount_eur": 8.0})], "audit")
    assert [one.seq for one in ledger.read()] == [1, 3, 5]


def test_a_withdrawn_record_leaves_nothing_in_its_place(ledger):
    ledger.append(make_budgets(2), "audit")
    ledger.append([make_budget(1, corrects=1, body={"withdrawn": True})], "audit")
    assert [one.seq for one in ledger.read()] == [2]
    note = make_budget(3, body={"note": '"withdrawn":true and {"withdrawn":true}'})
    ledger.append([make_budget(2, corrects=2, body=dict(note.body))], "audit")
    assert [one.seq for one in ledger.read()] == [4]


@pytest.mark.parametrize(
    ("draft", "text"),
    [
        (make_budget(1, corrects=9), "names record 9, which does not exist"),
        (make("work", corrects=1), "names record 1, a budget"),
        (make_budget(1, corrects=0), "no number of a record"),
        (make_budget(1, corrects="1"), "no number of a record"),
        (make_budget(1, body={"withdrawn": True}), "takes nothing back"),
    ],
)
def test_a_correction_of_nothing_is_refused(ledger, draft, text):
    ledger.append(make_budgets(2), "audit")
    with pytest.raises(InputError, match=text):
        ledger.append([draft], "audit")
    assert ledger.count() == 2


def test_two_corrections_of_one_record_are_refused(ledger):
    ledger.append(make_budgets(1), "audit")
    twice = [make_budget(1, corrects=1, body={"amount_eur": float(value)}) for value in (5, 6)]
    with pytest.raises(InputError, match="names record 1, as another row does"):
        ledger.append(twice, "audit")
    ledger.append(twice[:1], "audit")
    with pytest.raises(InputError, match="which 2 corrects already"):
        ledger.append(twice[1:], "audit")


def test_one_wrong_draft_keeps_all_out_and_every_fault_is_told(ledger):
    bad = [
        make_budget(2, key="../etc"),
        make_budget(3, on="2026-02-30", tag="X", access="secret", source=""),
        make_budget(4, kind="bugdet"),
        make("milestone", body={"category": "seam"}),
        make("milestone", body={"stage": "planned"}),
        make("budget", body={"first_year": 2030, "last_year": 2026}),
        make("budget", body={"colour": "red"}),
        make("contract", body={"quantity": 5.0}),
        make("budget", on="2999"),
        make("budget", on="2099-01-01", source="", body={"first_year": 2027, "last_year": 2025}),
        make("milestone", tag="X", body={"category": "seam"}),
        make("milestone", on="soon", body={"stage": "plnned", "category": "seam"}),
        make("contract", on="2999", body={"quantity": 5.0, "unit": ""}),
        make("budget", on="2999", corrects=0, body={"withdrawn": True, "last_year": 2026.5}),
    ]
    with pytest.raises(InputError) as refused:
        ledger.append([make_budget(1), *bad], "audit")
    found = {(fault.row, fault.column) for fault in refused.value.faults}
    assert found == {
        (2, "key"), (3, "on"), (3, "tag"), (3, "access"), (3, "source"), (4, "kind"), (5, "neighbour"),
        (6, "reached"), (7, "last_year"), (8, "colour"), (9, "unit"), (10, "on"),
        (11, "on"), (11, "last_year"), (11, "source"), (12, "tag"), (12, "neighbour"), (13, "on"),
        (13, "stage"), (13, "neighbour"), (14, "on"), (14, "unit"), (15, "on"), (15, "corrects"),
        (15, "last_year"),
    }  # fmt: skip
    assert all(fault.remedy for fault in refused.value.faults)
    assert ledger.count() == 0


def test_the_same_draft_twice_at_once_is_refused(ledger):
    with pytest.raises(InputError, match="says the same as row 1"):
        ledger.append([make_budget(1), make_budget(2), make_budget(1)], "audit")


def test_an_author_is_needed(ledger):
    for author in ("", "  ", "=cmd()", "two\nlines"):
        with pytest.raises(InputError, match="author"):
            ledger.append([make_budget(1)], author)


@pytest.mark.parametrize(
    ("kind", "body", "text"),
    [
        ("work", {"measure": "anti_personnel_mine"}, "is no measure"),
        ("delivery", {"measure": "AP-mine"}, "is no measure"),
        ("contract", {"name": "Priešpėstinės minos"}, "is no measure"),
        ("budget", {"line": "cluster_munition"}, "is no measure"),
        ("hazard", {"note": "device at 55.12345, 26.54321"}, "no place of single devices"),
        ("hazard", {"note": "35ULA1234567890 beside the road"}, "no place of single devices"),
        ("hazard", {"region": "POINT (25 55)"}, "no place of single devices"),
        ("hazard", {"area_m2": 4.0}, "number from 100"),
        ("incident", {"note": "call +370 612 34567"}, "no personal data"),
        ("incident", {"name": "ona@example.org was hurt"}, "no personal data"),
        ("statement", {"wording": "=HYPERLINK(A1)"}, "begins like a formula"),
        ("statement", {"wording": "@SUM(A1)"}, "begins like a formula"),
        ("statement", {"wording": "+cmd|' /C calc'!A0"}, "begins like a formula"),
        ("statement", {"wording": "a\u202eb"}, "cannot be seen"),
        ("statement", {"wording": "a\x00b"}, "cannot be seen"),
        ("statement", {"wording": "x" * 4001}, "4,001 letters"),
        ("statement", {"wording": " x"}, "spaces around"),
    ],
)
def test_what_abatis_does_not_hold_is_refused(ledger, kind, body, text):
    with pytest.raises(InputError, match=text):
        ledger.append([make(kind, body=body)], "audit")


def test_clearing_and_speaking_of_banned_mines_is_no_measure(ledger):
    drafts = [
        make("budget", body={"name": "Clearance of anti-personnel mines"}),
        make("statement", body={"wording": "The ministry will not buy anti-personnel mines."}),
        make("hazard", body={"note": "old anti-personnel mines"}),
        make("statement", key="b", body={"wording": "-5 % against 2024; from 55.12345, 26.54321 on"}),
    ]
    assert len(ledger.append(drafts, "audit")) == 4


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_records SET body = '{}' WHERE seq = 2",
        "DELETE FROM ledger_records",
        "REPLACE INTO ledger_records SELECT * FROM ledger_records WHERE seq = 2",
        f"REPLACE INTO ledger_records SELECT 4, {COPIED} FROM ledger_records WHERE seq = 3",
        "UPDATE OR REPLACE ledger_records SET seq = 1 WHERE seq = 2",
        "INSERT INTO ledger_records SELECT * FROM ledger_records WHERE 1 ON CONFLICT DO UPDATE SET body = ''",
        "DELETE FROM ledger_seals",
        "UPDATE ledger_seals SET author = 'x'",
        "REPLACE INTO ledger_seals SELECT * FROM ledger_seals",
    ],
)
def test_the_database_refuses_to_change_records(ledger, tmp_path, statement):
    ledger.append(make_budgets(3), "audit")
    connection = sqlite3.connect(tmp_path / "ledger.sqlite")
    with pytest.raises(sqlite3.IntegrityError, match=r"append-only|is a chain"):
        connection.execute(statement)
    connection.close()
    assert ledger.verify().sound
    assert ledger.count() == 3


def test_sqlite_keeps_a_log_and_waits_for_the_disk(ledger, tmp_path):
    ledger.append(make_budgets(1), "audit")
    connection = sqlite3.connect(tmp_path / "ledger.sqlite")
    assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    connection.close()
    with ledger._connect() as opened:
        assert opened.exec_driver_sql("PRAGMA synchronous").scalar() == 2


def test_writers_at_once_keep_one_chain(tmp_path):
    """Eight writers with connections of their own, who also race to make the ledger."""
    path = tmp_path / "ledger.sqlite"
    start = threading.Barrier(8)

    def write(number: int) -> None:
        start.wait()
        with open_ledger(path) as ledger:
            for step in range(4):
                ledger.append(make_budgets(3, 1000 * number + 10 * step), f"writer {number}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(1, 9)))
    with open_ledger(path) as ledger:
        report = ledger.verify()
        assert (report.sound, report.count, report.seals) == (True, 8 * 4 * 3, 32)
        assert len({record.key for record in ledger.read()}) == 96


def test_a_reader_never_waits_for_a_writer(ledger):
    ledger.append(make_budgets(2), "audit")
    with ledger._write() as connection:
        connection.exec_driver_sql("SELECT 1")
        assert ledger.count() == 2
        assert ledger.verify().sound


def test_a_ledger_held_for_too_long_is_told(ledger, monkeypatch, tmp_path):
    from abatis.programme.ledger import store

    ledger.append(make_budgets(1), "audit")
    holder = sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr(store, "BUSY_S", 0.05)
    with open_ledger(tmp_path / "ledger.sqlite") as other, pytest.raises(LedgerError, match="another writer"):
        other.append(make_budgets(1, 5), "audit")
    holder.close()
    assert ledger.count() == 1


def test_a_file_that_is_no_ledger_is_told(tmp_path):
    (tmp_path / "ledger.sqlite").write_bytes(b"this is no database at all, only some text" * 100)
    with open_ledger(tmp_path / "ledger.sqlite") as ledger, pytest.raises(LedgerError, match="damaged"):
        ledger.append(make_budgets(1), "audit")


def test_a_damaged_file_is_told_and_never_taken_for_sound(tmp_path):
    path = tmp_path / "ledger.sqlite"
    with open_ledger(path) as ledger:
        ledger.append(make_budgets(500), "audit")
    bytes_ = bytearray(path.read_bytes())
    middle = len(bytes_) // 2
    bytes_[middle : middle + 5000] = b"\xff" * 5000
    path.write_bytes(bytes_)
    with open_ledger(path) as ledger:
        try:
            assert not ledger.verify().sound
        except LedgerError as error:
            assert "damaged" in str(error)


def test_a_ledger_of_a_newer_program_is_left_alone(ledger, tmp_path):
    ledger.append(make_budgets(1), "audit")
    connection = sqlite3.connect(tmp_path / "ledger.sqlite")
    connection.execute(f"UPDATE {schema.VERSION_TABLE} SET version_num = '9999'")
    connection.commit()
    connection.close()
    with open_ledger(tmp_path / "ledger.sqlite") as other, pytest.raises(LedgerError, match="newer abatis"):
        other.append(make_budgets(1, 2), "audit")


def test_tables_agree_with_the_last_migration(ledger):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    ledger.append(make_budgets(1), "audit")
    with ledger._connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": schema.VERSION_TABLE})
        found = compare_metadata(context, schema.metadata)
        # What the tables of the program leave out on purpose: they are only read and inserted through.
        assert {step[0] for step in found if isinstance(step, tuple)} <= {
            "remove_index", "remove_constraint", "remove_fk"
        }  # fmt: skip
        assert all(isinstance(step, tuple) for step in found)


def write_study(folder: Path, line: str) -> Path:
    folder.mkdir()
    (folder / "study.toml").write_text(f'name = "x"\n{line}\n')
    return folder


def test_where_the_ledger_of_a_study_is(tmp_path):
    folder = write_study(tmp_path / "a", "")
    assert find_address(folder) == f"sqlite:///{folder}/ledger.sqlite"
    folder = write_study(tmp_path / "b", 'ledger = "books/own.sqlite"')
    assert find_address(folder).endswith("/b/books/own.sqlite")
    folder = write_study(tmp_path / "c", 'ledger = "postgresql://audit@db.example.org/line"')
    assert find_address(folder) == "postgresql+psycopg://audit@db.example.org/line"


@pytest.mark.parametrize(
    "line",
    [
        'ledger = "../other.sqlite"',
        'ledger = "/tmp/other.sqlite"',
        'ledger = "mysql://x/y"',
        'ledger = "sqlite:////tmp/x.sqlite"',
        "ledger = 5",
        'ledger = ""',
        'ledger = "."',
    ],
)
def test_a_ledger_outside_the_study_is_refused(tmp_path, line):
    with pytest.raises(InputError, match="ledger"):
        find_address(write_study(tmp_path / "a", line))


def test_a_folder_without_a_study_has_no_ledger(tmp_path):
    with pytest.raises(InputError, match=r"has no study\.toml"):
        open_ledger(tmp_path)


def test_a_lost_folder_is_told(tmp_path):
    with open_ledger(tmp_path / "none" / "ledger.sqlite") as ledger:
        assert ledger.read() == []
        with pytest.raises(LedgerError, match="cannot be reached"):
            ledger.append(make_budgets(1), "audit")


def test_a_tampered_body_is_told_when_read(tmp_path):
    path = tmp_path / "ledger.sqlite"
    with open_ledger(path) as ledger:
        ledger.append(make_budgets(3), "audit")
    with unguarded(path) as connection:
        connection.execute("UPDATE ledger_records SET body = '{},{}' WHERE seq = 2")
    with open_ledger(path) as ledger, pytest.raises(LedgerError, match="ledger verify"):
        ledger.read()


words = st.text(st.sampled_from("abcdefgh0123"), min_size=1, max_size=6)
drafts_of = st.lists(
    st.builds(
        lambda key, year, amount: make_budget(1, key=key, on=str(year), body={"amount_eur": amount}),
        words,
        st.integers(1990, 2025),
        st.one_of(st.just(NOT_DISCLOSED), st.floats(0, 1e12), st.integers(0, 10**12)),
    ),
    max_size=8,
    unique_by=lambda draft: (draft.key, draft.on, draft.body["amount_eur"]),
)


@given(st.lists(drafts_of, max_size=4))
@settings(max_examples=25, deadline=None)
def test_a_ledger_is_the_union_of_what_it_was_told(memory_folder, batches):
    """Told once or twice, in whatever parts: each thing stands once, in the order it was first told."""
    path = memory_folder / f"{uuid.uuid4().hex}.sqlite"
    seen = {}
    with open_ledger(path) as ledger:
        for batch in [*batches, *batches]:
            ledger.append(batch, "audit")
            for draft in batch:
                seen.setdefault((draft.key, draft.on, draft.body["amount_eur"]), draft)
        records = ledger.read()
        assert [(one.key, one.on, one.body["amount_eur"]) for one in records] == list(seen)
        assert [one.seq for one in records] == list(range(1, len(seen) + 1))
        assert ledger.verify().sound
