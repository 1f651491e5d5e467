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


AREA = {
    "hazard": "h1", "name": "Old battle ground", "state": "LT", "kind": "CHA", "status": "handed_over",
    "category": "explosive_remnants", "category_basis": "confirmed", "evidence": "direct",
    "evidence_kind": "finds during ploughing", "benchmark_lon": 25.0, "benchmark_lat": 54.9,
    "area_m2": 100000, "opened": "2024-01-10", "confirmed": "2024-03-01", "closed": "2025-06-30",
    "handed_over": "2025-07-15", "beneficiaries": 40, "beneficiaries_basis": "expected",
    "blocked_use": "farm road", "origin": "past_war", "owner": "state fire and rescue service", **TRUST,
}  # fmt: skip
WORK = {
    "hazard": "h1", "organisation": "a demining organisation", "method": "by hand", "lon": 25.0, "lat": 54.9,
    "status": "completed", **TRUST,
}  # fmt: skip
ACTIVITIES = [
    {**WORK, "activity": "survey", "kind": "NTS", "start": "2023-12-01", "end": "2024-02-01"},
    {**WORK, "activity": "technical", "kind": "TS", "start": "2024-04-01", "end": "2024-05-01"},
    {**WORK, "activity": "clearing", "kind": "clearance", "start": "2024-06-01", "end": "2025-06-01"},
    {
        **WORK,
        "activity": "spot",
        "kind": "EOD",
        "start": "2024-07-01",
        "end": "2024-07-01",
        "lon": "",
        "lat": "",
    },
]
PIECE = {"hazard": "h1", "benchmark_lon": 25.0, "benchmark_lat": 54.9, **TRUST}
RELEASES = [
    {
        **PIECE, "release": "r1", "activity": "survey", "kind": "cancelled", "area_m2": 20000,
        "date": "2024-02-01",
    },
    {
        **PIECE, "release": "r2", "activity": "technical", "kind": "reduced", "area_m2": 30000,
        "date": "2024-05-02",
    },
    {
        **PIECE, "release": "r3", "activity": "clearing", "kind": "cleared", "area_m2": 50000,
        "depth_m": 0.3, "date": "2025-06-02", "devices": 7,
    },
]  # fmt: skip


def write_register(folder: Path, hazards: list[dict], activities: list[dict], releases: list[dict]) -> None:
    """Write the three tables of a hazard register."""
    write_table(folder, "hazards", hazards)
    write_table(folder, "hazard_activities", activities)
    write_table(folder, "hazard_releases", releases)


def draw_box(west: float, south: float, east: float, north: float) -> str:
    """Outline of a box in degrees as WKT."""
    ring = [(west, south), (east, south), (east, north), (west, north), (west, south)]
    return "POLYGON ((" + ", ".join(f"{x:.10g} {y:.10g}" for x, y in ring) + "))"
