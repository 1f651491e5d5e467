"""A small invented ledger: public and restricted records, one site, one correction, one figure not told."""

from __future__ import annotations

from pathlib import Path

from abatis.programme.ledger.records import Draft
from abatis.programme.ledger.store import open_ledger

SECRET_SUPPLIER = "Hidden Works Limited"
SECRET_NOTE = "gate code of the northern depot"
SECRET_EUR = 7_654_321
SECRET_SOURCE = "confidential letter 77-K"


def write_ledger(folder: Path, site: str) -> None:
    """Record nine records about the lines `sites` and `other` of HOME; `site` is a site of the plan."""
    work = {"country": "HOME", "line": "sites", "measure": "ditch", "name": "Ditch in the north"}
    drafts = [
        Draft(
            "budget", "b1", "2026-01-10", _money("sites", "planned", 3_000_000), "budget act", "F", "public"
        ),
        Draft(
            "budget", "b2", "2026-02-10", _money("other", "planned", "not disclosed"), "press", "F", "public"
        ),
        Draft(
            "contract",
            "c1",
            "2026-03-01",
            {
                "country": "HOME",
                "line": "sites",
                "stage": "signed",
                "amount_eur": 1_000_000,
                "due": "2026-09-30",
            },
            "register of contracts",
            "F",
            "public",
        ),
        Draft(
            "contract",
            "c2",
            "2026-03-02",
            {
                "country": "HOME",
                "line": "sites",
                "stage": "signed",
                "amount_eur": SECRET_EUR,
                "supplier": SECRET_SUPPLIER,
                "note": SECRET_NOTE,
            },
            SECRET_SOURCE,
            "F",
            "restricted",
        ),
        Draft(
            "work",
            "w1",
            "2026-04-01",
            {
                **work,
                "site": site,
                "stage": "started",
                "planned_start": "2026-01-01",
                "planned_finish": "2026-12-31",
                "planned_eur": 400_000,
                "spent_eur": 250_000,
                "done": 0.4,
            },
            "site report",
            "F",
            "public",
        ),
        Draft(
            "milestone", "m1", "2026-04-02", _milestone("2026-03-15"), "letter of the ministry", "F", "public"
        ),
    ]
    with open_ledger(folder) as ledger:
        added = ledger.append(drafts, "Ministry")
        first = added[0]
        change = _money("sites", "planned", 3_200_000)
        ledger.append(
            [Draft("budget", "b1", "2026-01-10", change, "budget act, mended", "F", "public", first.seq)],
            "Court of Auditors",
        )


def _money(line: str, stage: str, amount_eur: object) -> dict[str, object]:
    return {
        "country": "HOME",
        "line": line,
        "stage": stage,
        "first_year": 2026,
        "last_year": 2035,
        "amount_eur": amount_eur,
    }


def _milestone(due: str) -> dict[str, object]:
    return {"country": "HOME", "name": "Law on land", "category": "law", "stage": "planned", "due": due}
