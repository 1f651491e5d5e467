"""The ledger on a real PostgreSQL: the same chain, guards, one writer at a time, a server that goes away."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from tests.programme.ledger.ledger_cases import make_budget, make_budgets

from abatis.model.errors import InputError
from abatis.programme.ledger.store import LedgerError, open_ledger

REFUSED = "append-only"


def test_a_new_database_becomes_a_ledger(postgres_address):
    with open_ledger(postgres_address) as ledger:
        assert not ledger.exists()
        assert ledger.count() == 0 and ledger.read() == []
        assert ledger.verify().sound
        made = ledger.append(make_budgets(3), "audit office")
        assert [record.seq for record in made] == [1, 2, 3]
    with open_ledger(postgres_address) as ledger:
        assert ledger.exists()
        assert ledger.read() == made
        report = ledger.verify()
        assert (report.sound, report.count, report.head_hash) == (True, 3, made[-1].hash)


def test_the_chain_is_the_same_in_both_databases(postgres_address, tmp_path, monkeypatch):
    """Same drafts at the same moment: the same hashes, so that a ledger can move."""
    from abatis.programme.ledger import writing

    class Still(writing.datetime):
        @classmethod
        def now(cls, zone=None):
            return cls(2026, 11, 22, tzinfo=zone)

    monkeypatch.setattr(writing, "datetime", Still)
    drafts = [
        *make_budgets(5),
        make_budget(9, body={"name": "Žemė, „mūšis“, Ääni", "amount_eur": "not disclosed"}),
    ]
    with open_ledger(postgres_address) as one, open_ledger(tmp_path / "ledger.sqlite") as other:
        assert one.append(drafts, "audit") == other.append(drafts, "audit")
        assert one.read() == other.read()
        assert one.read_seals() == other.read_seals()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_records SET body = '{}' WHERE seq = 2",
        "UPDATE ledger_records SET seq = 99 WHERE seq = 99",
        "DELETE FROM ledger_records WHERE seq = 3",
        "TRUNCATE ledger_records CASCADE",
        "TRUNCATE ledger_seals",
        "UPDATE ledger_seals SET author = 'x'",
        "DELETE FROM ledger_seals",
        "INSERT INTO ledger_records TABLE ledger_records ON CONFLICT (seq) DO UPDATE SET body = '{}'",
    ],
)
def test_the_database_refuses_to_change_records(postgres_address, statement):
    with open_ledger(postgres_address) as ledger:
        ledger.append(make_budgets(3), "audit")
        with psycopg.connect(postgres_address) as connection, pytest.raises(psycopg.Error) as refused:
            connection.execute(statement)
        assert REFUSED in str(refused.value) or "is a chain" in str(refused.value)
        assert ledger.verify().count == 3
        assert ledger.verify().sound


def test_a_record_out_of_order_is_refused(postgres_address):
    with open_ledger(postgres_address) as ledger:
        ledger.append(make_budgets(2), "audit")
        columns = "recorded_at, author, kind, key, NULL, event_on, body, source, tag, access, previous_hash"
        text = f"INSERT INTO ledger_records SELECT 7, {columns}, 'a', 'b' FROM ledger_records WHERE seq = 2"
        with (
            psycopg.connect(postgres_address) as connection,
            pytest.raises(psycopg.Error, match="is a chain"),
        ):
            connection.execute(text)


def test_a_guard_emptied_of_its_meaning_shows(postgres_address):
    with open_ledger(postgres_address) as ledger:
        ledger.append(make_budgets(2), "audit")
        assert ledger.verify().sound
        with psycopg.connect(postgres_address) as connection:
            connection.execute(
                "CREATE OR REPLACE FUNCTION ledger_refuse() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RETURN NEW; END $$"
            )
        assert ledger.verify().problem_count == 6


def test_tampering_without_the_guards_shows(postgres_address):
    with open_ledger(postgres_address) as ledger:
        ledger.append(make_budgets(5), "audit")
        with psycopg.connect(postgres_address) as connection:
            connection.execute("ALTER TABLE ledger_records DISABLE TRIGGER ALL")
            connection.execute("UPDATE ledger_records SET source = 'other' WHERE seq = 4")
        report = ledger.verify()
        assert not report.sound
        assert [one.seq for one in report.problems if one.seq] == [4]
        assert any("guard" in one.text for one in report.problems)


def test_writers_at_once_keep_one_chain(postgres_address):
    """Six writers, each with its own connection, from the very first record on."""

    def write(start: int) -> None:
        with open_ledger(postgres_address) as ledger:
            for step in range(5):
                ledger.append(make_budgets(4, start + 10 * step), f"writer {start}")

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, [1000 * number for number in range(1, 7)]))
    with open_ledger(postgres_address) as ledger:
        report = ledger.verify()
        assert (report.sound, report.count, report.seals) == (True, 6 * 5 * 4, 30)


def test_a_server_that_goes_away_loses_nothing_that_was_acknowledged(postgres_server):
    address = postgres_server.make_database("goes_away")
    with open_ledger(address) as ledger:
        ledger.append(make_budgets(3), "audit")
        postgres_server.stop()
        try:
            with pytest.raises(LedgerError, match="cannot be reached") as refused:
                ledger.append(make_budgets(3, 10), "audit")
            assert "What was acknowledged stands" in str(refused.value)
            with pytest.raises(LedgerError, match="cannot be reached"):
                ledger.read()
        finally:
            postgres_server.start()
        assert ledger.count() == 3
        assert [record.seq for record in ledger.append(make_budgets(6, 8), "audit")] == [4, 5, 6, 7, 8, 9]
        assert ledger.verify().sound


def test_a_server_that_goes_away_in_the_middle_records_all_or_nothing(postgres_server, monkeypatch):
    """The server dies between the records and their seal."""
    from abatis.programme.ledger import writing

    address = postgres_server.make_database("dies_in_the_middle")
    with open_ledger(address) as ledger:
        ledger.append(make_budgets(3), "audit")
        seal = writing._make_seal

        def stop_then_seal(*arguments):
            postgres_server.stop()
            return seal(*arguments)

        monkeypatch.setattr(writing, "_make_seal", stop_then_seal)
        try:
            with pytest.raises(LedgerError, match="cannot be reached"):
                ledger.append(make_budgets(50, 100), "audit")
        finally:
            postgres_server.start()
        monkeypatch.undo()
        assert ledger.count() == 3
        assert ledger.verify().sound
        assert len(ledger.append(make_budgets(50, 100), "audit")) == 50


def test_an_office_that_may_only_read_and_insert_keeps_the_ledger(postgres_address):
    """As docs/ledger.md advises: it records and verifies, and cannot take a guard away."""
    role = f"office_{postgres_address[-6:]}"
    with open_ledger(postgres_address) as ledger:
        ledger.append(make_budgets(1), "audit")
    with psycopg.connect(postgres_address) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN")
        connection.execute(f"GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO {role}")
    own = postgres_address.replace("audit@", f"{role}@")
    with open_ledger(own) as ledger:
        assert [record.seq for record in ledger.append(make_budgets(2), "office")] == [2]
        assert ledger.verify().sound
    for statement in ("DROP TRIGGER ledger_records_no_delete ON ledger_records", "DELETE FROM ledger_records",
                      "TRUNCATE ledger_seals", "ALTER TABLE ledger_records DISABLE TRIGGER ALL"):  # fmt: skip
        with psycopg.connect(own) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)


def test_what_stands_already_is_left_out(postgres_address):
    with open_ledger(postgres_address) as ledger:
        ledger.append(make_budgets(3), "audit")
        again = ledger.append(make_budgets(5), "another office")
        assert [record.key for record in again] == ["lt_4", "lt_5"]
        assert ledger.review(make_budgets(2)).repeated == {0: 1, 1: 2}


def test_corrections_are_checked_in_the_database(postgres_address):
    with open_ledger(postgres_address) as ledger:
        ledger.append(make_budgets(2), "audit")
        ledger.append([make_budget(1, corrects=1, body={"amount_eur": 5.0})], "audit")
        assert [record.seq for record in ledger.read()] == [2, 3]
        with pytest.raises(InputError, match="which 3 corrects already"):
            ledger.append([make_budget(1, corrects=1, body={"amount_eur": 6.0})], "audit")
        assert ledger.count() == 3


def test_a_wrong_address_is_told_without_its_password():
    with open_ledger("postgresql://audit:geheim@127.0.0.1:1/none") as ledger:
        assert "geheim" not in ledger.place
        with pytest.raises(LedgerError) as refused:
            ledger.count()
    assert "geheim" not in str(refused.value)
    assert "127.0.0.1" in str(refused.value)
