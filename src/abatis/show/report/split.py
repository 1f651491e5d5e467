"""The page that sets splits of the money, or plans, side by side under the same draws."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import abatis
from abatis.model.storage import write_text_whole
from abatis.model.study import Study, read_study
from abatis.model.words import TAG_MEANINGS
from abatis.show.report.build import make_environment
from abatis.show.report.compare_charts import draw_money, draw_spans, draw_year_bands
from abatis.show.report.figure import Chart
from abatis.show.split import SplitSettings
from abatis.show.tables import Table

PARTS = ("p10", "p50", "p90")


def write_split_page(folder: Path, tables: Mapping[str, Table], settings: SplitSettings) -> Path:
    """Write plans/split.html of a study and return its path.

    Parameters
    ----------
    folder : study folder.
    tables : from `compare_splits`.
    settings : what was asked.
    """
    study = read_study(folder)
    path = study.folder / "plans" / "split.html"
    write_text_whole(path, build_split_page(study, tables, settings))
    return path


def build_split_page(study: Study, tables: Mapping[str, Table], settings: SplitSettings) -> str:
    """Return the page as one HTML text that needs nothing outside itself.

    Parameters
    ----------
    study, tables, settings : see `write_split_page`.
    """
    rows = {key: list(table.rows) for key, table in tables.items()}
    return (
        make_environment()
        .get_template("split.html")
        .render(
            version=abatis.__version__,
            schematic=study.schematic,
            study=study,
            of_plans=bool(settings.plans),
            draws=settings.draws,
            seed=study.seed if settings.seed is None else settings.seed,
            answer=rows["answer"][0]["answer"],
            tables=tables,
            charts=chart_splits(rows),
            notes=[row["note"] for row in rows["notes"]],
            tag_meanings=TAG_MEANINGS,
        )
    )


def chart_splits(rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Chart]:
    """Draw hours at the end, hours by year and money by family of what was compared.

    Parameters
    ----------
    rows : rows of the tables of `compare_splits`.
    """
    names = {row["plan"]: row.get("name") or row["plan"] for row in rows["plans"]}
    bands: dict[str, list[tuple[float, float, float]]] = {key: [] for key in names}
    years: list[int] = []
    for row in rows["years"]:
        low, middle, high = (float(row[f"held_{part}_h"]) for part in PARTS)
        bands[row["split"]].append((low, middle, high))
        if row["year"] not in years:
            years.append(row["year"])
    shown = {names[key]: of_year for key, of_year in bands.items()}
    told = "; ".join(f"{name} {of_year[-1][1]:.2f} h" for name, of_year in shown.items())
    charts = {
        "spans": make_chart(
            draw_spans(list(shown), [of_year[-1] for of_year in shown.values()]),
            f"Hours held at the end of {years[-1]}, P50: {told}",
            f"Hours held at the end of {years[-1]} over the draws.",
        ),
        "years": make_chart(
            draw_year_bands(years, shown),
            f"Hours held by year {years[0]} to {years[-1]} over the draws; at the end, P50: {told}",
            "Hours held at the end of each year: P50 as a line, P10 to P90 as a band.",
        ),
    }
    if "money" in rows:
        first = rows["money"][0]
        families = [key for key in first if key not in ("split", "name", "total_eur", "tags", "source")]
        charts["money"] = make_chart(
            draw_money(
                [row["name"] for row in rows["money"]],
                {family: [float(row[family]) for row in rows["money"]] for family in families},
            ),
            "Money of each split by family; the table below holds the numbers",
            "Money by family in prices of the base year.",
        )
    return charts


def make_chart(png: bytes, alt: str, caption: str) -> Chart:
    """Return a chart for a page: PNG in base64 with its alternative text and caption."""
    return Chart(base64.b64encode(png).decode("ascii"), alt, caption)
