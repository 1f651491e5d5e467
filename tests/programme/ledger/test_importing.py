"""Import of CSV and XLSX: all or nothing, every fault at once, the same file twice, hostile files."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abatis.model.errors import AbatisError, InputError, SizeError
from abatis.programme.ledger import importing, sheets
from abatis.programme.ledger.importing import MOST_FAULTS, find_kind, import_records, make_draft, read_drafts
from abatis.programme.ledger.records import KINDS, NOT_DISCLOSED
from abatis.programme.ledger.store import open_ledger

HEADER = "key,on,country,line,stage,amount_eur,source,tag,access"
GOOD = "lt_total,2025-05-05,LT,total,announced,1100000000,AFP,F,public"


@pytest.fixture
def ledger(tmp_path):
    with open_ledger(tmp_path / "ledger.sqlite") as opened:
        yield opened


def write(folder: Path, *rows: str, name: str = "budget.csv", header: str = HEADER) -> Path:
    path = folder / name
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def write_book(path: Path, **tables: list[list[object]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in tables.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def faults_of(ledger, path: Path, dry_run: bool = False) -> list[str]:
    before = ledger.count()
    with pytest.raises(InputError) as refused:
        import_records(ledger, path, "audit", dry_run)
    assert ledger.count() == before
    assert all(fault.file.startswith(path.name) or fault.file == str(path) for fault in refused.value.faults)
    return [str(fault) for fault in refused.value.faults]


class TestGoodFiles:
    def test_rows_become_records(self, ledger, tmp_path):
        path = write(
            tmp_path,
            GOOD,
            'lt_mines,2026-02-09,LT,mines,planned,812000000,"caliber.az, 9 Feb",F,public',
            "",
            "lt_spent,2025,LT,total,spent,Not Disclosed,none found,F,",
        )
        report = import_records(ledger, path, "Audit Office")
        assert (report.rows, report.new, report.repeated) == (3, {"budget": 3}, {})
        first, second, third = ledger.read()
        assert report.added == (first, second, third)
        assert first.body == {
            "country": "LT",
            "line": "total",
            "stage": "announced",
            "amount_eur": 1100000000,
        }
        assert second.source == "caliber.az, 9 Feb"
        assert (third.body["amount_eur"], third.access) == (NOT_DISCLOSED, "restricted")

    def test_a_dry_run_records_nothing_and_says_what_it_would(self, ledger, tmp_path):
        path = write(tmp_path, GOOD)
        report = import_records(ledger, path, "audit", dry_run=True)
        assert (report.new, report.added, report.dry_run) == ({"budget": 1}, (), True)
        assert ledger.count() == 0
        assert not (tmp_path / "ledger.sqlite").exists()

    def test_the_same_file_twice_is_told(self, ledger, tmp_path):
        path = write(tmp_path, GOOD, GOOD.replace("lt_total", "lt_b"))
        import_records(ledger, path, "audit")
        for dry_run in (True, False):
            again = import_records(ledger, path, "another", dry_run)
            assert again.new == {}
            assert again.added == ()
            assert again.repeated == {("budget.csv", 2): 1, ("budget.csv", 3): 2}
        assert ledger.count() == 2
        assert len(ledger.read_seals()) == 1

    def test_a_longer_file_adds_only_what_is_new(self, ledger, tmp_path):
        import_records(ledger, write(tmp_path, GOOD), "audit")
        longer = write(tmp_path, GOOD.replace("lt_total", "lt_b"), GOOD, name="budget_2.csv")
        report = import_records(ledger, longer, "audit")
        assert [record.key for record in report.added] == ["lt_b"]
        assert report.repeated == {("budget_2.csv", 3): 1}

    def test_the_seal_names_the_file(self, ledger, tmp_path):
        path = write(tmp_path, GOOD)
        import_records(ledger, path, "audit")
        seal = ledger.read_seals()[0]
        assert (seal.origin, seal.origin_hash, seal.author) == (
            "budget.csv",
            sheets.hash_source(path),
            "audit",
        )

    def test_a_file_of_many_kinds_has_a_column_kind(self, ledger, tmp_path):
        path = write(
            tmp_path,
            "budget,a,2025,LT,total,spent,not disclosed,,x,F",
            "work,b,2026-02-19,EE,,started,,0.1,x,F",
            name="all.csv",
            header="kind,key,on,country,line,stage,amount_eur,done,source,tag",
        )
        assert import_records(ledger, path, "audit").new == {"budget": 1, "work": 1}

    def test_a_folder_of_files_is_imported_whole(self, ledger, tmp_path):
        folder = tmp_path / "ledger"
        folder.mkdir()
        write(folder, GOOD)
        write(folder, GOOD.replace("lt_total", "b"), name="budget_2.csv")
        assert import_records(ledger, folder, "audit").new == {"budget": 2}
        assert ledger.read_seals()[0].origin == "ledger"
        write(folder, GOOD.replace("lt_total", "c"), GOOD.replace("2025", "x"), name="budget_3.csv")
        assert "ledger/budget_3.csv, row 3, on: is 'x-05-05'" in faults_of(ledger, folder)[0]

    def test_a_workbook_has_a_sheet_for_each_kind(self, ledger, tmp_path):
        from datetime import datetime

        path = write_book(
            tmp_path / "all.xlsx",
            budget=[
                HEADER.split(","),
                ["lt", datetime(2025, 5, 5), "LT", "total", "announced", 1.1e9, "AFP", "F", "public"],
                [None] * 9,
                ["lv", 2024, "LV", "total", "spent", "not disclosed", "lsm", "F", None],
            ],
            ledger_treaty_event=[
                ["key", "on", "country", "instrument", "event", "effect", "source", "tag"],
                ["lt_exit", "2025-12-27", "LT", "APMBC", "effect", "2025-12-27", "mag", "F"],
            ],
        )
        assert import_records(ledger, path, "audit").new == {"budget": 2, "treaty_event": 1}
        first, second, _ = ledger.read()
        assert (first.on, first.body["amount_eur"]) == ("2025-05-05", 1100000000)
        assert (second.on, second.body["amount_eur"]) == ("2024", NOT_DISCLOSED)

    def test_the_mark_of_utf8_is_no_part_of_the_header(self, ledger, tmp_path):
        path = tmp_path / "budget.csv"
        path.write_bytes(b"\xef\xbb\xbf" + f"{HEADER}\r\n{GOOD}\r\n".encode())
        assert import_records(ledger, path, "audit").new == {"budget": 1}

    def test_letters_written_in_two_ways_are_the_same(self, ledger, tmp_path):
        for number, name in enumerate(("Žemė", "Z\u030ceme\u0307")):
            path = write(tmp_path, f"{GOOD},{name}", name=f"budget_{number}.csv", header=f"{HEADER},name")
            import_records(ledger, path, "audit")
        assert ledger.count() == 1

    def test_a_correction_names_the_record_it_corrects(self, ledger, tmp_path):
        import_records(ledger, write(tmp_path, GOOD), "audit")
        path = write(
            tmp_path, GOOD.replace("1100", "1092") + ",1", name="budget_2.csv", header=f"{HEADER},corrects"
        )
        import_records(ledger, path, "audit")
        assert [record.body["amount_eur"] for record in ledger.read()] == [1092000000]
        assert import_records(ledger, path, "audit").repeated == {("budget_2.csv", 2): 2}


class TestFaults:
    def test_every_fault_of_every_row_is_told_at_once(self, ledger, tmp_path):
        import_records(ledger, write(tmp_path, GOOD.replace("lt_total", "first")), "audit")
        path = write(
            tmp_path,
            GOOD + ",",
            "a b,2025-13-40,LT,total,planed,much,AFP,X,open,",
            GOOD + ",",
            "c,2025,LT,ap_mines,spent,-5,AFP,F,public,99",
            "d,2025,LT,total,spent,5,AFP",
            "e,2025,LT,total,spent,5,AFP,F,public,17",
            "f,2999,LT,total,spent,5,,F,public,",
            name="budget_2.csv",
            header=f"{HEADER},corrects",
        )
        assert faults_of(ledger, path) == faults_of(ledger, path, dry_run=True)
        told = faults_of(ledger, path)
        places = [line.split(": ")[0].removeprefix("budget_2.csv, ") for line in told]
        assert places == [
            "row 3, key", "row 3, on", "row 3, stage", "row 3, amount_eur", "row 3, tag", "row 3, access",
            "row 4", "row 5, line", "row 5, amount_eur", "row 6, tag", "row 7, corrects", "row 8, source",
            "row 8, on",
        ]  # fmt: skip
        assert "did you mean 'planned'" in told[2]
        assert "says the same as row 2" in told[6]
        assert "which does not exist" in told[10]
        assert "in the future" in told[12]

    def test_what_good_columns_owe_each_other_is_told_beside_a_bad_one(self, ledger, tmp_path):
        path = write(
            tmp_path,
            "a,2099-01-01,LT,total,planned,5,,F,public,2027,2025",
            name="budget.csv",
            header=f"{HEADER},first_year,last_year",
        )
        told = [line.split(": ")[0] for line in faults_of(ledger, path)]
        assert [place.rpartition(", ")[2] for place in told] == ["source", "on", "last_year"]

    @pytest.mark.parametrize(
        ("header", "text"),
        [
            (HEADER.replace("stage", "stge"), "unknown column 'stge' (did you mean 'stage'?)"),
            (HEADER.replace("tag,", ""), "tag: column is missing"),
            (f"{HEADER},tag", "column stands twice"),
            (f"{HEADER},device_lat", "no place of single devices"),
            (f"{HEADER},wkt", "no place of single devices"),
            (f"{HEADER},victim_name", "no personal data"),
            (f"{HEADER},e-mail", "no personal data"),
            (HEADER.replace(",", ";"), "divided by semicolons"),
            (f"{HEADER},<script>alert(1)</script>", "unknown column '<script>"),
        ],
    )
    def test_a_wrong_header_is_told(self, ledger, tmp_path, header, text):
        path = write(tmp_path, GOOD, header=header)
        assert any(text in line for line in faults_of(ledger, path))

    def test_a_file_that_says_no_kind_is_told(self, ledger, tmp_path):
        told = faults_of(ledger, write(tmp_path, GOOD, name="things.csv"))
        assert "does not say which kind" in told[0]
        path = write(tmp_path, f"{GOOD},bugdet", f"{GOOD},", name="things.csv", header=f"{HEADER},kind")
        assert "did you mean 'budget'" in faults_of(ledger, path)[0]
        assert "row 3, kind: is missing" in faults_of(ledger, path)[1]

    def test_a_column_of_another_kind_is_told(self, ledger, tmp_path):
        path = write(tmp_path, f"budget,{GOOD},LV", name="x.csv", header=f"kind,{HEADER},neighbour")
        assert "a budget has no column 'neighbour'" in faults_of(ledger, path)[0]

    def test_values_without_a_header_are_told(self, ledger, tmp_path):
        path = write(tmp_path, f"{GOOD},more,values")
        assert "has 11 values under 9 columns" in faults_of(ledger, path)[0]

    @pytest.mark.parametrize("text", ["", "\n\n", HEADER + "\n", HEADER + "\n,,,,\n"])
    def test_an_empty_file_is_told(self, ledger, tmp_path, text):
        path = tmp_path / "budget.csv"
        path.write_text(text)
        assert "holds no records" in faults_of(ledger, path)[0]

    def test_of_very_many_faults_the_first_are_listed_and_the_rest_counted(self, ledger, tmp_path):
        path = write(tmp_path, *(["x,y,z,,,,,,"] * 2000))
        told = faults_of(ledger, path)
        assert len(told) == MOST_FAULTS + 1
        assert "or more other faults" in told[-1]

    def test_reading_ends_when_there_are_nothing_but_faults(self, ledger, tmp_path, monkeypatch):
        path = write(tmp_path, *(["x,y,z,,,,,,"] * 20_000))
        made = []
        monkeypatch.setattr(importing, "make_draft", lambda *given: made.append(given) or make_draft(*given))
        assert len(faults_of(ledger, path)) == MOST_FAULTS + 1
        assert len(made) < 5_000

    def test_faults_carry_no_signs_that_steer_a_terminal(self, ledger, tmp_path):
        escape = "\x1b[2J\x1b]0;owned\x07"
        for path in (
            write(tmp_path, GOOD.replace("LT", escape)),
            write(tmp_path, GOOD.replace("1100000000", escape)),
            write(tmp_path, GOOD.replace("announced", escape)),
            write(tmp_path, GOOD, header=f"{HEADER},{escape}"),
            write(tmp_path, f"{GOOD},{escape}", header=f"{HEADER},kind"),
        ):
            told = "".join(faults_of(ledger, path))
            assert told.isprintable()

    def test_a_file_name_that_is_no_text_is_kept_readable(self, ledger, tmp_path):
        path = write(tmp_path, GOOD)
        odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/budget_\xff\x07.csv"))
        path.rename(odd)
        import_records(ledger, odd, "audit")
        assert ledger.read_seals()[0].origin == "budget_??.csv"
        assert ledger.verify().sound

    @pytest.mark.parametrize(
        "value",
        ["=1+1", "@SUM(A1)", "+cmd|'/C calc'!A0", "-2+3+cmd|' /C calc'!A0", "-5%+cmd|' /C calc'!A0", "＝1+1"],
    )
    def test_what_a_spreadsheet_would_run_is_refused(self, ledger, tmp_path, value):
        path = write(tmp_path, f'{GOOD},"{value}"', header=f"{HEADER},note")
        assert "begins like a formula" in faults_of(ledger, path)[0]

    @pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", "..", "C:\\x", "a%2Fb", "x" * 300, "~root"])
    def test_keys_like_paths_are_refused(self, ledger, tmp_path, name):
        assert "not a key" in faults_of(ledger, write(tmp_path, GOOD.replace("lt_total", name)))[0]

    def test_a_race_for_a_record_is_told_with_its_row(self, ledger, tmp_path, monkeypatch):
        """Another writer corrects the record between the reading of the file and its recording."""
        import_records(ledger, write(tmp_path, GOOD), "audit")
        other = write(
            tmp_path, GOOD.replace("1100", "7") + ",1", name="budget_2.csv", header=f"{HEADER},corrects"
        )
        own = write(
            tmp_path, GOOD.replace("1100", "8") + ",1", name="budget_3.csv", header=f"{HEADER},corrects"
        )
        append = ledger.append

        def append_late(*arguments):
            monkeypatch.undo()
            import_records(ledger, other, "other")
            return append(*arguments)

        monkeypatch.setattr(ledger, "append", append_late)
        with pytest.raises(InputError, match=r"budget_3\.csv, row 2, corrects: .* which 2 corrects already"):
            import_records(ledger, own, "audit")


class TestHostileFiles:
    def test_a_file_of_one_gigabyte_is_refused_unread(self, ledger, tmp_path):
        path = tmp_path / "budget.csv"
        with path.open("wb") as file:
            file.truncate(2**30)
        with pytest.raises(SizeError, match="1,024 MB; at most 128 MB"):
            import_records(ledger, path, "audit")

    def test_too_many_rows_are_refused(self, ledger, tmp_path, monkeypatch):
        monkeypatch.setattr(sheets, "MOST_ROWS", 5)
        path = write(tmp_path, *[GOOD.replace("lt_total", f"k{number}") for number in range(7)])
        with pytest.raises(SizeError, match="more than 5 rows"):
            import_records(ledger, path, "audit")

    @pytest.mark.parametrize(
        ("content", "text"),
        [
            (f"{HEADER}\n{GOOD}\n".encode("utf-16"), "is UTF-16"),
            (f"{HEADER},note\n{GOOD},Žemė\n".encode("cp1257"), "row 2: is not UTF-8"),
            (b"\x00\x01\x02\x03\n", "unknown column"),
            (f"{HEADER}\n{GOOD}\n".replace("AFP", "A\0P").encode(), "cannot be seen"),
            (f'{HEADER}\n{GOOD}\n"lt'.encode(), "cannot be read"),
            (f"{HEADER}\n{GOOD.replace('AFP', 'x' * 140_000)}\n".encode(), "field larger than"),
            (b"PK\x03\x04 and so on", "a workbook named .csv"),
            (b"," * 5000 + b"\n", "5001 columns"),
            (b"a" * 100_000, "has the unknown column"),
        ],
    )
    def test_a_file_that_is_no_csv_is_told(self, ledger, tmp_path, content, text):
        path = tmp_path / "budget.csv"
        path.write_bytes(content)
        assert any(text in line for line in faults_of(ledger, path))

    @pytest.mark.parametrize("name", ["budget.txt", "budget", "budget.xls", "none.csv", "folder"])
    def test_a_path_that_is_no_file_is_told(self, ledger, tmp_path, name):
        (tmp_path / "budget.txt").touch()
        (tmp_path / "folder").mkdir()
        assert faults_of(ledger, tmp_path / name)

    def test_a_pipe_is_refused_and_not_waited_for(self, ledger, tmp_path):
        os.mkfifo(tmp_path / "budget.csv")
        assert "is no plain file" in faults_of(ledger, tmp_path / "budget.csv")[0]

    def test_a_bomb_of_zeros_is_refused_unpacked(self, ledger, tmp_path, monkeypatch):
        """A hundred times as much as the file; the limit is lowered so that the test need not pack 600 MB."""
        monkeypatch.setattr(sheets, "MOST_UNPACKED_BYTES", 20 * 2**20)
        path = write_book(tmp_path / "bomb.xlsx", budget=[HEADER.split(","), GOOD.split(",")])
        with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("xl/media/more.bin", bytes(25 * 2**20))
        assert path.stat().st_size < 2**17
        with pytest.raises(SizeError, match="would unpack to 25 MB; at most 20 MB"):
            import_records(ledger, path, "audit")

    def test_a_part_said_to_have_two_gigabytes_is_refused_unpacked(self, ledger, tmp_path):
        path = write_book(tmp_path / "bomb.xlsx", budget=[HEADER.split(","), GOOD.split(",")])
        packed = bytearray(path.read_bytes())
        place = packed.rindex(b"PK\x01\x02")
        packed[place + 24 : place + 28] = (2**31).to_bytes(4, "little")
        path.write_bytes(packed)
        with pytest.raises(SizeError, match="would unpack to 2,048 MB; at most 512 MB"):
            import_records(ledger, path, "audit")

    def test_a_bomb_that_lies_about_its_size_is_refused(self, ledger, tmp_path):
        """The list of contents says 1,000 bytes, the part itself goes on."""
        path = write_book(tmp_path / "bomb.xlsx", budget=[HEADER.split(","), GOOD.split(",")])
        packed = bytearray(rebuild(path, "xl/worksheets/sheet1.xml", lambda text: text + b" " * 50_000_000))
        place = packed.rindex(b"PK\x01\x02", 0, packed.rindex(b"xl/worksheets/sheet1.xml"))
        packed[place + 24 : place + 28] = (1000).to_bytes(4, "little")
        path.write_bytes(packed)
        assert faults_of(ledger, path)

    def test_words_defined_in_xml_are_refused(self, ledger, tmp_path):
        path = write_book(tmp_path / "laughs.xlsx", budget=[HEADER.split(","), GOOD.split(",")])
        laughs = b'<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
        for encode in (bytes, lambda text: text.decode().encode("utf-16")):
            made = rebuild(
                path,
                "xl/worksheets/sheet1.xml",
                lambda text, encode=encode: encode(laughs + strip_prolog(text)),
            )
            (tmp_path / "x.xlsx").write_bytes(made)
            assert "defines words of its own" in faults_of(ledger, tmp_path / "x.xlsx")[0]

    def test_a_sheet_that_claims_to_be_endless_is_read_as_it_is(self, ledger, tmp_path):
        path = write_book(tmp_path / "wide.xlsx", budget=[HEADER.split(","), GOOD.split(",")])
        claim = rebuild(
            path, "xl/worksheets/sheet1.xml", lambda text: text.replace(b"A1:I2", b"A1:XFD1048576")
        )
        path.write_bytes(claim)
        assert import_records(ledger, path, "audit").new == {"budget": 1}

    def test_a_cell_at_the_far_end_is_refused(self, ledger, tmp_path):
        book = openpyxl.Workbook()
        book.active.title = "budget"
        book.active["XFD1048576"] = 1
        book.save(tmp_path / "far.xlsx")
        with pytest.raises(AbatisError):
            import_records(ledger, tmp_path / "far.xlsx", "audit")

    def test_formulas_and_errors_of_a_workbook_are_refused(self, ledger, tmp_path):
        row = ["=A1", "2025", "LT", "total", "spent", "=1+1", "#REF!", "F", "public"]
        told = faults_of(ledger, write_book(tmp_path / "formula.xlsx", budget=[HEADER.split(","), row]))
        assert [line.split(": ")[0].split(", ")[2] for line in told] == ["key", "amount_eur", "source"]

    @pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04" + b"\0" * 200])
    def test_a_damaged_workbook_is_told(self, ledger, tmp_path, content):
        (tmp_path / "x.xlsx").write_bytes(content)
        assert faults_of(ledger, tmp_path / "x.xlsx")

    def test_an_archive_that_is_no_workbook_is_told(self, ledger, tmp_path):
        with zipfile.ZipFile(tmp_path / "x.xlsx", "w") as archive:
            archive.writestr("../../evil.txt", "x")
        assert "cannot be read" in faults_of(ledger, tmp_path / "x.xlsx")[0]

    @given(st.binary(max_size=400))
    @settings(max_examples=60, deadline=None)
    def test_whatever_the_bytes_the_answer_is_words(self, memory_folder, content):
        for name in ("budget.csv", "x.xlsx"):
            (memory_folder / name).write_bytes(content)
            try:
                drafts, _, faults = read_drafts(memory_folder / name)
                assert faults or drafts
            except AbatisError as error:
                assert str(error)

    @given(st.data())
    @settings(max_examples=60, deadline=None)
    def test_a_workbook_with_broken_bytes_is_read_or_told(self, memory_folder, data):
        path = memory_folder / "whole.xlsx"
        if not path.exists():
            write_book(path, budget=[HEADER.split(","), GOOD.split(",")])
        content = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        (memory_folder / "broken.xlsx").write_bytes(content)
        try:
            read_drafts(memory_folder / "broken.xlsx")
        except AbatisError as error:
            assert str(error)


def rebuild(path: Path, part: str, change) -> bytes:
    """The bytes of an archive with one part changed."""
    made = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.infolist():
            text = old.read(member)
            new.writestr(member.filename, change(text) if member.filename == part else text)
    return made.getvalue()


def strip_prolog(text: bytes) -> bytes:
    return text[text.index(b"?>") + 2 :] if text.startswith(b"<?xml") else text


@given(
    st.dictionaries(
        st.sampled_from(
            ["key", "on", "country", "line", "stage", "amount_eur", "source", "tag", "kind", "x"]
        ),
        st.text(max_size=12),
    ),
    st.sampled_from([*KINDS, "", "x"]),
)
@settings(max_examples=300, deadline=None)
def test_a_row_becomes_a_draft_or_faults_never_both(row, kind):
    draft, faults = make_draft({column: text.strip() for column, text in row.items() if text.strip()}, kind)
    assert (draft is None) == bool(faults)
    assert all(fault.problem and fault.remedy for fault in faults)


def test_a_file_is_named_after_its_kind():
    assert [find_kind(kind) for kind in KINDS] == list(KINDS)
    assert find_kind("treaty") == find_kind("budgets") == ""
