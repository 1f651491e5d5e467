"""Status of a ledger of 100,000 records: read from its file, assessed, and both together."""

from __future__ import annotations

import gc
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from abatis.programme.ledger.records import Draft
from abatis.programme.ledger.status import Status, assess_ledger
from abatis.programme.ledger.store import Ledger, open_ledger, pause_collection

COUNT = 100_000
REPEATS = 5
DAY = date(2024, 6, 30)
REPORTS = 20
COUNTRIES = ("LT", "LV", "EE", "PL")
LINES = ("counter_mobility", "engineering", "surveillance", "parks", "depots", "bridges")
CAUSES = ("land", "law", "design", "tender", "supply", "money", "weather")


def run() -> list[dict[str, Any]]:
    """Measure one made-up programme of ten years; writing the ledger is not counted."""
    drafts = make_drafts(COUNT, seed=1)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "ledger.sqlite"
        with open_ledger(str(path)) as ledger:
            begun = time.perf_counter()
            ledger.append(drafts, "benchmark")
            written_s = time.perf_counter() - begun
            read, records = _measure(lambda: ledger.read(current=False))
            alone, status = _measure(lambda: assess_ledger(records, DAY))
            both, _ = _measure(lambda: _read_and_assess(ledger, public=False))
            public, _ = _measure(lambda: _read_and_assess(ledger, public=True))
    works = sum(one.level == "work" for one in status.earned)
    note = (
        f"{len(records):,} records of {works:,} works in {len(COUNTRIES)} countries, "
        f"{len(status.alerts):,} alerts, {len(status.delays):,} delays; "
        f"written in {written_s:.1f} s; median of {REPEATS}"
    )
    return [
        _row("ledger: read and status", both, "ours <= 1", note),
        _row("ledger: public status", public, "ours <= 1", "the same, for the public"),
        _row("ledger: reading alone", read, "", "all records from the file"),
        _row("ledger: status alone", alone, "ours <= 1", "records in memory, as the server holds them"),
    ]


def _read_and_assess(ledger: Ledger, public: bool) -> Status:
    """What `read_status` does, without a study."""
    with pause_collection():
        return assess_ledger(ledger.read(current=False), DAY, public=public)


def make_drafts(count: int, seed: int) -> list[Draft]:
    """Make records of a programme: works told about every month or so, and what belongs to them."""
    draw = random.Random(seed)
    drafts: list[Draft] = []
    number = 0
    while len(drafts) < count:
        drafts += _make_work(draw, number)
        number += 1
    return drafts[:count]


def _make_work(draw: random.Random, number: int) -> list[Draft]:
    """Everything about one work: plan, reports, contract, deliveries, milestone and what is said."""
    country, line = draw.choice(COUNTRIES), draw.choice(LINES)
    key, where = f"w{number}", {"country": country, "line": line}
    start = date(2015, 1, 1) + timedelta(days=draw.randrange(3400))
    length = draw.randrange(120, 900)
    finish = start + timedelta(days=length)
    amount = float(draw.randrange(50_000, 5_000_000))
    access = "public" if draw.random() < 0.7 else "restricted"
    plan = where | {
        "stage": "planned", "name": f"Work {number}", "measure": draw.choice(("M04", "M07", "M18")),
        "planned_start": start.isoformat(), "planned_finish": finish.isoformat(), "planned_eur": amount,
    }  # fmt: skip
    found = [_draft("work", key, start - timedelta(days=60), plan, access)]
    pace, done, report = draw.uniform(0.6, 1.2), 0.0, 0
    while done < 1.0:
        report += 1
        day = start + timedelta(days=report * length // REPORTS)
        done = min(1.0, round(pace * report / REPORTS, 4))
        spent: float | str = round(amount * done * draw.uniform(0.8, 1.5), 2)
        if draw.random() < 0.1:
            spent = "not disclosed"
        body = where | {"stage": "finished" if done == 1.0 else "started", "done": done, "spent_eur": spent}
        if done == 1.0:
            body["finish"] = day.isoformat()
        if pace < 0.9:
            body["delay_cause"] = draw.choice(CAUSES)
        found.append(_draft("work", key, day, body, access))
    contract = where | {
        "stage": "signed", "work": key, "amount_eur": round(amount * 0.9, 2), "due": finish.isoformat(),
    }  # fmt: skip
    found.append(_draft("contract", f"c{number}", start, contract, access))
    if draw.random() < 0.9:
        found.append(_draft("contract", f"c{number}", finish, contract | {"stage": "completed"}, access))
    for part in range(2):
        body = where | {
            "contract": f"c{number}", "work": key, "measure": "M18", "unit": "pieces",
            "quantity": 20.0 if draw.random() < 0.95 else 15.0, "ordered": 40.0, "due": finish.isoformat(),
        }  # fmt: skip
        found.append(_draft("delivery", f"d{number}", finish - timedelta(days=30 * part), body, access))
    body = where | {
        "name": f"Land of work {number}",
        "category": "land",
        "work": key,
        "due": start.isoformat(),
    }
    reached = (
        {"stage": "reached", "reached": start.isoformat()} if draw.random() < 0.9 else {"stage": "planned"}
    )
    found.append(
        _draft("milestone", f"m{number}", start - timedelta(days=90), body | {"stage": "planned"}, access)
    )
    found.append(_draft("milestone", f"m{number}", start, body | reached, access))
    if draw.random() < 0.3:
        body = where | {"speaker": "ministry", "topic": "result", "wording": f"Work {number} goes well"}
        record = _draft("statement", f"s{number}", start, body | {"value": 1.0}, access)
        found.append(record._replace(tag="F-") if draw.random() < 0.2 else record)
    if number % 40 == 0:
        body = where | {"stage": "approved", "amount_eur": 1e7, "first_year": 2015, "last_year": 2024}
        found.append(_draft("budget", f"b{number}", start, body, access))
    return [one for one in found if one.on <= DAY.isoformat()]


def _draft(kind: str, key: str, day: date, body: dict[str, Any], access: str) -> Draft:
    return Draft(kind, key, day.isoformat(), body, "made up for the benchmark", "D", access)


def _measure(work: Callable[[], Any]) -> tuple[tuple[float, float], Any]:
    """Median seconds by the clock and of the processor, and what was found."""
    found, clock, processor = work(), [], []
    for _ in range(REPEATS):
        # What the run before found is given back before the clock starts, as in a command that runs once.
        found = None
        gc.collect()
        begun, used = time.perf_counter(), time.process_time()
        found = work()
        clock.append(time.perf_counter() - begun)
        processor.append(time.process_time() - used)
    return (statistics.median(clock), statistics.median(processor)), found


def _row(name: str, seconds: tuple[float, float], goal: str, note: str) -> dict[str, Any]:
    note = f"{note}; {seconds[1]:.2f} s of the processor"
    return {
        "name": name, "ours": seconds[0], "peer": None, "ratio": None, "goal": goal, "unit": "s",
        "note": note,
    }  # fmt: skip


if __name__ == "__main__":
    for row in run():
        print(json.dumps(row))
