"""Rows and writers that the tests of law and clearance share."""

from __future__ import annotations

import csv
from pathlib import Path

from abatis.model.fields import fields_of

TRUST = {"source": "test", "tag": "G"}
BELT = {
    "measure": "belt", "name": "Reserve belt", "unit": "km", "unit_cost_low_eur": 1, "unit_cost_eur": 2,
    "unit_cost_high_eur": 3, "delay_low_h": 1, "delay_h": 2, "delay_high_h": 3, "lead_months": 1,
    "life_years": 20, "land_take_m2": 200000, "removal_cost_eur": 200000, "reversibility": "low",
    "law_kind": "mine_reserve", **TRUST,
}  # fmt: skip


def write_table(folder: Path, table: str, rows: list[dict], keep: bool = False) -> None:
    """Write rows of a study's table; columns left out stay empty."""
    path = folder / "tables" / f"{table}.csv"
    old = list(csv.DictReader(path.read_text("utf-8").splitlines())) if keep else []
    columns = [field.column for field in fields_of(table)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows([*old, *rows])
