"""An import that is killed: nothing acknowledged is lost, nothing is half written, the chain holds."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from tests.programme.ledger.crash_writer import write_file
from tests.programme.ledger.ledger_cases import make_budgets

from abatis.programme.ledger.store import LedgerError, open_ledger

MOMENTS = 50
ROWS = 40
WRITER = Path(__file__).with_name("crash_writer.py")


@pytest.mark.slow
def test_killed_at_fifty_moments_nothing_acknowledged_is_lost(memory_folder):
    """Children import file after file into one ledger and are killed at moments drawn at random.

    The order of the moments is fixed, so that a failure can be seen again.
    """
    folder = memory_folder / "killed"
    folder.mkdir()
    draw = random.Random(20261122)
    acknowledged: dict[int, tuple[int, str]] = {}
    with subprocess.Popen(
        [sys.executable, str(WRITER), str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        for moment in range(MOMENTS):
            # After none to two whole imports, at any point of the next.
            wanted, share = draw.randrange(3), draw.uniform(0.0, 1.2)
            print(1000 * moment, ROWS, wanted, f"{share:.4f}", file=writer.stdin, flush=True)
            said = writer.stdout.readline().strip()
            for part in filter(None, said.split(";")):
                number, seq, digest = part.split()
                acknowledged[int(number)] = (int(seq), digest)
            check_ledger(folder / "ledger.sqlite", acknowledged)
    assert writer.returncode == 0
    # The moments must have hit something: imports finished, and imports cut short.
    assert len(acknowledged) >= MOMENTS // 3
    assert len(list(folder.glob("budget_*.csv"))) > len(acknowledged)


def check_ledger(path: Path, acknowledged: dict[int, tuple[int, str]]) -> None:
    with open_ledger(path) as ledger:
        report = ledger.verify()
        assert report.sound, report.problems
        records = {record.seq: record for record in ledger.read()}
    whole = Counter(int(record.key[1:].split("_")[0]) for record in records.values())
    assert set(whole.values()) <= {ROWS}
    assert set(acknowledged) <= set(whole)
    for number, (seq, digest) in acknowledged.items():
        assert records[seq].hash == digest
        assert records[seq].key == f"k{number}_{ROWS - 1}"


def test_the_command_killed_in_the_middle_can_be_run_again(tmp_path):
    """The real command, killed while its transaction is open, holds nobody up and leaves nothing behind."""
    (tmp_path / "study.toml").write_text('name = "x"\n')
    path = write_file(tmp_path, 1, 3000)
    command = [
        sys.executable,
        "-m",
        "abatis.show.cli",
        "ledger",
        "import",
        str(path),
        "--study",
        str(tmp_path),
    ]
    with open_ledger(tmp_path) as ledger:
        ledger.append(make_budgets(2), "audit")
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        wait_for_writer(tmp_path / "ledger.sqlite", child)
        child.send_signal(signal.SIGKILL)
        child.wait()
        stood = ledger.count()
        assert stood in (2, 3002)
        assert ledger.verify().sound
        again = subprocess.run(command, capture_output=True, text=True, check=False)
        assert again.returncode == 0, again.stderr
        assert ledger.count() == 3002
        assert ledger.verify().sound


def test_commands_at_once_keep_one_chain(tmp_path):
    """Three commands race to make the ledger and to fill it; two of them bring the same file."""
    (tmp_path / "study.toml").write_text('name = "x"\n')
    files = [write_file(tmp_path, number, 200) for number in (1, 2)]
    base = [sys.executable, "-m", "abatis.show.cli", "ledger", "import", "--study", str(tmp_path)]
    running = [
        subprocess.Popen([*base, str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for file in (*files, files[0])
    ]
    told = [child.communicate()[1] for child in running]
    assert [child.returncode for child in running] == [0, 0, 0], told
    with open_ledger(tmp_path) as ledger:
        report = ledger.verify()
        assert (report.sound, report.count, report.seals) == (True, 400, 2)


def wait_for_writer(path: Path, child: subprocess.Popen) -> None:
    """Wait until another process holds the ledger for writing, or has ended."""
    while child.poll() is None:
        connection = sqlite3.connect(path, timeout=0, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        except sqlite3.OperationalError:
            return
        finally:
            connection.close()
        time.sleep(0.005)


def test_a_full_disk_records_nothing(tmp_path):
    """The file may not grow: as on a full disk, the writing fails whole."""
    path = tmp_path / "ledger.sqlite"
    with open_ledger(path) as ledger:
        ledger.append(make_budgets(5), "audit")
        with ledger._connect() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(LedgerError, match="full"):
            ledger.append(make_budgets(5000, 100), "audit")
        assert ledger.count() == 5
        assert ledger.verify().sound


def test_a_ledger_deleted_while_open_is_told(tmp_path):
    path = tmp_path / "ledger.sqlite"
    with open_ledger(path) as ledger:
        head = ledger.append(make_budgets(3), "audit")[-1]
    path.unlink()
    with open_ledger(path) as ledger:
        report = ledger.verify((head.seq, head.hash))
        assert not report.sound
        assert "there is no ledger" in report.problems[0].text
