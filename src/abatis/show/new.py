"""A new study folder: a small runnable template with a note on every setting, or a copy of an example."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

from abatis.model.errors import Fault, InputError, nearest_word
from abatis.model.fields import Field, fields_of
from abatis.model.storage import write_text_whole
from abatis.model.words import COVER_WORDS, ROAD_WORDS, SLOPE_WORDS, SOIL_WORDS

EXAMPLES = ("lithuania",)
_SETTINGS: dict[str, str] = {
    "name": '"first_study"',
    "title": '"My first study, an invented country"',
    "schematic": "true",
    "home": '["HOME"]',
    "hostile": '["OTHER"]',
    "resolution": "7",
    "strip_km": "20",
    "pixel_m": "200",
    "base_year": "2025",
    "seed": "1",
    "echelons.outer_km": "[10, 30]",
    "sites.longest_km": "8",
    "sites.crossings": "5",
    "sites.avoid_protected": "false",
    "solve.objective": '"sum"',
    "solve.gap": "0.01",
    "solve.time_limit_s": "20",
}
_INVENTED = ("invented for the template", "G")
_SPEEDS: dict[str, dict[str, tuple[float, float, float]]] = {
    "base": {"open": (20, 30, 36)},
    "cover": dict(
        zip(
            COVER_WORDS,
            (
                (0.5, 0.6, 0.7),
                (0.6, 0.7, 0.8),
                (0.4, 0.5, 0.6),
                (0.3, 0.4, 0.5),
                (0.1, 0.15, 0.2),
                (0, 0.05, 0.1),
                (0.4, 0.5, 0.6),
                (0.7, 0.8, 0.9),
                (0, 0, 0),
            ),
            strict=True,
        )
    ),
    "slope": dict(
        zip(
            SLOPE_WORDS,
            ((1, 1, 1), (0.7, 0.8, 0.9), (0.4, 0.5, 0.6), (0.2, 0.3, 0.4), (0, 0, 0.1)),
            strict=True,
        )
    ),
    "soil": dict.fromkeys(SOIL_WORDS, (0.8, 0.9, 1.0)),
    "road": dict(
        zip(ROAD_WORDS, ((60, 80, 90), (50, 70, 80), (40, 50, 60), (30, 40, 50), (15, 20, 30)), strict=True)
    ),
}


def write_new_study(folder: Path, example: str = "") -> Path:
    """Write a new study folder.

    Parameters
    ----------
    folder : a folder that does not exist yet or is empty.
    example : name of a packaged example to copy; empty for the template.

    Returns
    -------
    The folder.

    Raises
    ------
    InputError : when the folder holds files already, cannot be written, or the example is unknown.
    """
    if example and example not in EXAMPLES:
        raise InputError(
            [
                Fault(
                    f"there is no example '{example}'",
                    column="--example",
                    remedy=nearest_word(example, EXAMPLES),
                )
            ]
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(
            [
                Fault(
                    "is there already and not empty",
                    str(folder),
                    remedy="name a new folder; nothing was written",
                )
            ]
        )
    if example:
        from abatis.examples.lithuania import write_example

        return write_example(folder)
    for name, text in _template_files().items():
        write_text_whole(folder / name, text)
    return folder


def _template_files() -> dict[str, str]:
    files = {"study.toml": format_settings(_SETTINGS)}
    for table, rows in _template_rows().items():
        name = "sources/sources.csv" if table == "sources" else f"tables/{table}.csv"
        files[name] = _format_table(table, rows)
    files |= {f"sources/{name}.geojson": text for name, text in _template_layers().items()}
    return files


def format_settings(values: dict[str, str]) -> str:
    """Write study.toml with the meaning, unit, bounds and default of every key as a comment.

    Parameters
    ----------
    values : TOML text of each key, sections written with a point (``solve.gap``).
    """
    lines = [
        "# A study of abatis. Every key is explained above it; tables are in tables/, data in sources/.",
        "# Show the meaning of every column with: abatis fields",
        "",
    ]
    section = ""
    for field in fields_of("study.toml"):
        head, _, key = field.column.rpartition(".")
        if head != section:
            section = head
            lines += ["", f"[{section}]"]
        lines += [f"# {describe_field(field)}", f"{key} = {values[field.column]}"]
    return "\n".join(lines) + "\n"


def describe_field(field: Field) -> str:
    """Say in one line what a field means, its unit, bounds, choices and default.

    Examples
    --------
    >>> describe_field([one for one in fields_of("study.toml") if one.column == "pixel_m"][0])
    'size of the working pixels that composition and gaps are counted on; m; 10 to 250; default 100'
    """
    parts = [field.meaning]
    if field.unit:
        parts.append(field.unit)
    if field.choices:
        parts.append("one of " + ", ".join(field.choices))
    low, high = field.minimum, field.maximum
    if low > float("-inf") and high < float("inf"):
        parts.append(f"{low:.12g} to {high:.12g}")
    elif low > float("-inf"):
        parts.append(f"at least {low:.12g}")
    elif high < float("inf"):
        parts.append(f"at most {high:.12g}")
    parts.append({"required": "required", "-": "may be empty"}.get(field.default, f"default {field.default}"))
    return "; ".join(parts)


def _format_table(table: str, rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    columns = [field.column for field in fields_of(table)]
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _row(**values: Any) -> dict[str, Any]:
    return {**values, "source": _INVENTED[0], "tag": _INVENTED[1]}


def _template_rows() -> dict[str, list[dict[str, Any]]]:
    measure = {"life_years": 20, "reversibility": "medium"}
    return {
        "places": [
            _row(
                place="capital",
                name="Capital",
                lon=24.60,
                lat=55.00,
                population=60000,
                kind="city",
                country="HOME",
            ),
            _row(
                place="bordertown",
                name="Bordertown",
                lon=24.12,
                lat=55.05,
                population=4000,
                kind="town",
                country="HOME",
            ),
        ],
        "fronts": [_row(front="west", name="All of the common border", countries="OTHER")],
        "approaches": [
            _row(
                approach="west_capital",
                name="Border to Capital",
                front="west",
                objective="capital",
                vehicle="tracked",
                season="dry",
                weight=1,
            )
        ],
        "vehicles": [_row(vehicle="tracked", name="Tracked vehicles")],
        "speeds": [
            _row(vehicle="any", season="any", factor=factor, word=word, low=low, mode=mode, high=high)
            for factor, words in _SPEEDS.items()
            for word, (low, mode, high) in words.items()
        ],
        "crossings": [_row(vehicle="any", season="any", from_m=0, to_m=30, crossing_h=0.25)],
        "measures": [
            _row(
                measure="ditch",
                name="Ditch",
                unit="km",
                unit_cost_low_eur=100000,
                unit_cost_eur=200000,
                unit_cost_high_eur=400000,
                delay_low_h=0.5,
                delay_h=1,
                delay_high_h=2,
                lead_months=12,
                land_take_m2=15000,
                removal_cost_eur=50000,
                **measure,
            ),
            _row(
                measure="block",
                name="Road block",
                unit="piece",
                unit_cost_low_eur=20000,
                unit_cost_eur=50000,
                unit_cost_high_eur=90000,
                delay_low_h=0.5,
                delay_h=1.5,
                delay_high_h=3,
                lead_months=3,
                land_take_m2=200,
                removal_cost_eur=5000,
                **measure,
            ),
        ],
        "options": [
            _row(
                option="ditch_block",
                name="Ditch and road blocks",
                open_measure="ditch",
                road_measure="block",
                bridge_measure="block",
                sites="any",
            )
        ],
        "budget": [_row(line="sites", name="Works at sites", amount_eur=3000000, planned="true")],
        "rules": [],
        "facts": [],
        "classes": [],
        "sources": [
            _row(
                layer=layer,
                file=f"{layer}.geojson",
                class_column=column,
                name_column=name,
                licence="Apache-2.0 (part of abatis)",
            )
            for layer, column, name in (
                ("borders", "country", ""),
                ("forest", "", ""),
                ("water", "", ""),
                ("roads", "class", "name"),
            )
        ],
    }


def _template_layers() -> dict[str, str]:
    def box(west: float, south: float, east: float, north: float) -> dict[str, Any]:
        ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
        return {"type": "Polygon", "coordinates": [ring]}

    def road(*points: tuple[float, float]) -> dict[str, Any]:
        return {"type": "LineString", "coordinates": [list(point) for point in points]}

    layers: dict[str, list[tuple[dict[str, Any], dict[str, str]]]] = {
        "borders": [
            (box(24.0, 54.8, 24.9, 55.2), {"country": "HOME"}),
            (box(23.6, 54.8, 24.0, 55.2), {"country": "OTHER"}),
        ],
        "forest": [(box(24.2, 54.85, 24.35, 54.97), {})],
        "water": [(box(24.22, 55.08, 24.34, 55.16), {})],
        "roads": [
            (
                road((23.65, 55.02), (24.12, 55.05), (24.4, 55.02), (24.6, 55.0), (24.85, 55.0)),
                {"class": "main", "name": "1"},
            )
        ],
    }
    return {
        name: json.dumps(
            {
                "type": "FeatureCollection",
                "features": [
                    {"type": "Feature", "properties": properties, "geometry": geometry}
                    for geometry, properties in features
                ],
            },
            indent=1,
        )
        + "\n"
        for name, features in layers.items()
    }
