"""Study: everything abatis knows before it computes; read and checked whole, then frozen."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from abatis.model.errors import Fault, InputError, nearest_word
from abatis.model.fields import empty_table, fields_of, parse_value, read_table
from abatis.model.law_kinds import check_law_kinds
from abatis.model.words import (
    COVER_WORDS,
    ROAD_WORDS,
    SEASONS,
    SLOPE_WORDS,
    SOIL_WORDS,
    STRUCTURE_WORDS,
    SURFACE_WORDS,
)

REQUIRED_TABLES = (
    "places",
    "fronts",
    "approaches",
    "vehicles",
    "speeds",
    "measures",
    "options",
    "budget",
)
OPTIONAL_TABLES = ("soils", "crossings", "rules", "line_terms", "facts", "classes")
# What the years of the programme need. A plan does not rest on them: changing one keeps the plan valid.
PROGRAMME_TABLES = (
    "budgets",
    "budget_years",
    "budget_measures",
    "regions",
    "capacities",
    "lots",
    "order_rules",
    "effects",
    "economy",
    "eu_money",
    "upkeep",
    "liabilities",
    "stocks",
    "belts",
    "depots",
    "risks",
    "risk_correlations",
    "fixed_works",
    "splits",
    "split_options",
)
# Rules that a plan obeys, read and checked by the room of people.
OBEYED_TABLES = ("access_rules",)
# Law and duties: what is bound, what lies in the ground. A plan's hours do not rest on them.
CIVIL_TABLES = (
    "treaties",
    "law_rules",
    "clearance_terms",
    "hazards",
    "hazard_activities",
    "hazard_releases",
)
STOCK_TABLES = ("stocks", "belts")
MESH_TABLES = ("places", "approaches", "vehicles", "speeds", "soils", "crossings", "classes")
SPEED_WORDS = {
    "base": ("open",),
    "cover": COVER_WORDS,
    "slope": SLOPE_WORDS,
    "soil": SOIL_WORDS,
    "road": ROAD_WORDS,
    "surface": SURFACE_WORDS,
    "structure": STRUCTURE_WORDS,
}
OPTIONAL_FACTORS = ("surface", "structure")


LEDGER_LINE = re.compile(rb"(?m)^[ \t]*ledger[ \t]*=.*\n?")


@dataclass(frozen=True)
class Study:
    """What is known: settings, tables and the list of source files, all checked.

    Attributes follow `model/fields.csv` (table `study.toml`); `tables` maps a table name to its frame,
    whose index is the line number in the file; `sources` is the frame of `sources/sources.csv`.
    """

    folder: Path
    name: str
    title: str
    schematic: bool
    home: tuple[str, ...]
    hostile: tuple[str, ...]
    resolution: int
    strip_km: float
    pixel_m: float
    base_year: int
    seed: int
    outer_km: tuple[float, ...]
    longest_site_km: float
    crossing_sites: int
    avoid_protected: bool
    objective: str
    gap: float
    time_limit_s: float
    tables: Mapping[str, pd.DataFrame]
    sources: pd.DataFrame
    mirror: str | None = None
    fetch_speed_mb_s: float = 0.0
    first_year: int = 2026
    programme_years: int = 10
    indexation: float = 0.02
    discount: float = 0.03
    carry_over: float = 1.0
    land_months: float = 12.0
    named_budget: str | None = None
    tail_years: int = 15
    notice_h: float = 24.0
    depot_count: int | None = None
    depots_eur: float | None = None
    haul_vehicle: str | None = None
    haul_season: str = "dry"
    access_km: float = 2.0
    ledger: str = "ledger.sqlite"

    def source_rows(self, layer: str) -> pd.DataFrame:
        """Return the rows of `sources.csv` for one layer; the file column holds absolute paths."""
        rows = self.sources[self.sources["layer"] == layer].copy()
        rows["file"] = [str(self.folder / "sources" / name) for name in rows["file"]]
        return rows

    def find_row(self, table: str, key: str) -> pd.Series:
        """Return the row of a keyed table whose first column equals `key`.

        Raises
        ------
        InputError : when there is none, with the nearest key.
        """
        frame = self.tables[table]
        column = frame.columns[0]
        rows = frame[frame[column] == key]
        if rows.empty:
            raise InputError(
                [
                    Fault(
                        f"has no {column} '{key}'",
                        f"tables/{table}.csv",
                        remedy=nearest_word(key, frame[column]),
                    )
                ]
            )
        return rows.iloc[0]


def read_study(folder: Path | str) -> Study:
    """Read a study folder and check every value of it.

    Parameters
    ----------
    folder : folder with `study.toml`, `tables/` and `sources/sources.csv`.

    Returns
    -------
    The frozen study.

    Raises
    ------
    InputError : all faults of all files at once.

    In words: settings, tables and the source list are read one after the other; faults are collected, then
    references between tables are checked; only a study without any fault is returned.
    """
    return _read_study(Path(folder), complete=True)


def read_study_to_fetch(folder: Path | str) -> Study:
    """Read a study whose source files are still to come.

    Parameters
    ----------
    folder : as for `read_study`; `sources/sources.csv` and the files it names may be missing.

    Raises
    ------
    InputError : all faults of settings and tables, and of the rows that sources.csv has.
    """
    return _read_study(Path(folder), complete=False)


def _read_study(folder: Path, complete: bool) -> Study:
    if not (folder / "study.toml").is_file():
        raise InputError(
            [Fault("has no study.toml", str(folder), remedy="make a study with: abatis new FOLDER")]
        )
    settings, faults = _read_settings(folder / "study.toml")
    tables: dict[str, pd.DataFrame] = {}
    for table in REQUIRED_TABLES + OPTIONAL_TABLES + PROGRAMME_TABLES + CIVIL_TABLES:
        path = folder / "tables" / f"{table}.csv"
        if table not in REQUIRED_TABLES and not path.exists():
            tables[table] = empty_table(table)
            continue
        tables[table], wrong = read_table(path, table, f"tables/{table}.csv")
        faults += wrong
    listed = folder / "sources" / "sources.csv"
    if complete or listed.exists():
        sources, wrong = read_table(listed, "sources", "sources/sources.csv")
        faults += wrong
    else:
        sources = empty_table("sources")
    if complete:
        faults += _check_sources(folder, sources)
    faults += _check_references(tables) + _check_numbers(tables) + _check_soils(tables["soils"])
    faults += check_law_kinds(tables["measures"])
    if not faults:
        faults += _check_countries(settings, tables) + check_speed_cover(tables)
    if faults:
        raise InputError(faults)
    return Study(folder=folder, tables=tables, sources=sources, **settings)


def hash_study(study: Study) -> str:
    """Return the SHA-256 over study.toml, all tables, sources.csv and the sizes of the source files.

    Tables of the programme do not count, but for stocks and belts where an option uses a measure in stock;
    nor does the address of the ledger: a plan stays good when its ledger moves.
    """
    digest = hashlib.sha256(LEDGER_LINE.sub(b"", (study.folder / "study.toml").read_bytes()))
    options = study.tables["options"]
    used = {one for column in ("open_measure", "road_measure", "bridge_measure") for one in options[column]}
    stocked = used & set(study.tables["stocks"]["measure"])
    tables = REQUIRED_TABLES + OPTIONAL_TABLES + OBEYED_TABLES
    _add_files(digest, study, tables + (STOCK_TABLES if stocked else ()))
    return digest.hexdigest()


def hash_mesh_inputs(study: Study) -> str:
    """Return the SHA-256 over what the mesh is built from: a changed budget needs no new mesh."""
    settings = (study.home, study.hostile, study.resolution, study.strip_km, study.pixel_m)
    digest = hashlib.sha256(repr(settings).encode())
    _add_files(digest, study, MESH_TABLES)
    return digest.hexdigest()


def _add_files(digest: hashlib._Hash, study: Study, tables: tuple[str, ...]) -> None:
    paths = [study.folder / "sources" / "sources.csv"]
    paths += [study.folder / "tables" / f"{table}.csv" for table in tables]
    for name in sorted(set(study.sources["file"])):
        digest.update(f"{name} {(study.folder / 'sources' / name).stat().st_size}".encode())
    for path in paths:
        if path.exists():
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")


_ATTRIBUTES = {
    "echelons.outer_km": "outer_km",
    "sites.longest_km": "longest_site_km",
    "sites.crossings": "crossing_sites",
    "sites.avoid_protected": "avoid_protected",
    "solve.objective": "objective",
    "solve.gap": "gap",
    "solve.time_limit_s": "time_limit_s",
    "fetch.mirror": "mirror",
    "fetch.speed_mb_s": "fetch_speed_mb_s",
    "programme.first_year": "first_year",
    "programme.years": "programme_years",
    "programme.indexation": "indexation",
    "programme.discount": "discount",
    "programme.carry_over": "carry_over",
    "programme.land_months": "land_months",
    "programme.budget": "named_budget",
    "programme.tail_years": "tail_years",
    "programme.notice_h": "notice_h",
    "programme.depots": "depot_count",
    "programme.depots_eur": "depots_eur",
    "programme.haul_vehicle": "haul_vehicle",
    "programme.haul_season": "haul_season",
    "programme.access_km": "access_km",
}


def _read_settings(path: Path) -> tuple[dict[str, Any], list[Fault]]:
    try:
        given = _flatten(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        return {}, [Fault(f"cannot be read: {error}", "study.toml", remedy="write it as TOML")]
    fields = {field.column: field for field in fields_of("study.toml")}
    faults = [
        Fault("is an unknown key", "study.toml", column=key, remedy=nearest_word(key, fields))
        for key in given
        if key not in fields
    ]
    settings: dict[str, Any] = {}
    for key, field in fields.items():
        value, problem, remedy = parse_value(field, _as_text(given.get(key)))
        settings[_ATTRIBUTES.get(key, key)] = value
        if problem:
            faults.append(Fault(problem, "study.toml", column=key, remedy=remedy))
    outer_km = settings["outer_km"]
    if outer_km is not None and (list(outer_km) != sorted(set(outer_km)) or not outer_km):
        faults.append(
            Fault(
                "must rise", "study.toml", column="echelons.outer_km", remedy="write for example [5, 20, 50]"
            )
        )
    return settings, faults


def _flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return " ".join(str(part) for part in value)
    return str(value)


def _hash_file(path: Path) -> str:
    """SHA-256 of a file that may be larger than memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_sources(folder: Path, sources: pd.DataFrame) -> list[Fault]:
    faults = []
    for row, source in sources.iterrows():
        path = folder / "sources" / source["file"]
        if not source["file"]:
            continue
        if not path.is_file():
            faults.append(
                Fault(
                    f"file '{source['file']}' does not exist",
                    "sources/sources.csv",
                    int(str(row)),
                    "file",
                    "put it into sources/ or delete the row",
                )
            )
        elif source["sha256"] and _hash_file(path) != source["sha256"].lower():
            faults.append(
                Fault(
                    f"file '{source['file']}' is not the one that was listed",
                    "sources/sources.csv",
                    int(str(row)),
                    "sha256",
                    "fetch it again or correct the checksum",
                )
            )
    layers = set(sources["layer"])
    if "borders" not in layers:
        faults.append(Fault("has no layer 'borders'", "sources/sources.csv", remedy="add country polygons"))
    if not layers & {"roads", "landcover", "landcover_areas"}:
        faults.append(
            Fault(
                "has neither land cover nor roads",
                "sources/sources.csv",
                remedy="add a layer landcover, landcover_areas or roads",
            )
        )
    return faults


def _check_references(tables: Mapping[str, pd.DataFrame]) -> list[Fault]:
    faults = []
    for table, frame in tables.items():
        for field in fields_of(table):
            if field.reference is None:
                continue
            target, column = field.reference
            known = set(tables[target][column])
            loose = set(field.type.split()[2:])
            allowed = known | (loose - {"-"}) | ({""} if "-" in loose else set())
            for row, value in frame[field.column].items():
                if value not in allowed and not (value == "" and field.default == "required"):
                    faults.append(
                        Fault(
                            f"'{value}' is not in tables/{target}.csv",
                            f"tables/{table}.csv",
                            int(str(row)),
                            field.column,
                            nearest_word(str(value), known),
                        )
                    )
    return faults


def _check_numbers(tables: Mapping[str, pd.DataFrame]) -> list[Fault]:
    return (
        _check_triples(tables)
        + _check_speed_words(tables["speeds"])
        + _check_crossings(tables["crossings"])
        + _check_cover_words(tables["options"])
        + _check_weights(tables["approaches"]["weight"])
    )


def _check_triples(tables: Mapping[str, pd.DataFrame]) -> list[Fault]:
    faults = []
    triples = {
        "speeds": [("low", "mode", "high")],
        "measures": [
            ("unit_cost_low_eur", "unit_cost_eur", "unit_cost_high_eur"),
            ("delay_low_h", "delay_h", "delay_high_h"),
        ],
        "economy": [("defence_low_share", "defence_share", "defence_high_share")],
        "liabilities": [("low_eur", "amount_eur", "high_eur")],
        "clearance_terms": [("low", "mode", "high")],
    }
    for table, columns in triples.items():
        for low, mode, high in columns:
            frame = tables[table]
            wrong = frame[(frame[low] > frame[mode]) | (frame[mode] > frame[high])]
            faults += [
                Fault(
                    f"{low}, {mode}, {high} do not rise",
                    f"tables/{table}.csv",
                    int(str(row)),
                    mode,
                    "order the three values",
                )
                for row in wrong.index
            ]
    return faults


def _check_speed_words(speeds: pd.DataFrame) -> list[Fault]:
    faults = []
    for row, line in speeds.iterrows():
        words = SPEED_WORDS.get(line["factor"], ())
        if words and line["word"] not in words:
            faults.append(
                Fault(
                    f"'{line['word']}' is not a {line['factor']} word",
                    "tables/speeds.csv",
                    int(str(row)),
                    "word",
                    nearest_word(line["word"], words),
                )
            )
    return faults


def _check_crossings(crossings: pd.DataFrame) -> list[Fault]:
    return [
        Fault(
            "from_m is not below to_m", "tables/crossings.csv", int(str(row)), "to_m", "order the two widths"
        )
        for row in crossings[crossings["from_m"] >= crossings["to_m"]].index
    ]


def _check_cover_words(options: pd.DataFrame) -> list[Fault]:
    return [
        Fault(
            f"'{word}' is not a cover word",
            "tables/options.csv",
            int(str(row)),
            "cover",
            nearest_word(word, COVER_WORDS),
        )
        for row, option in options.iterrows()
        for word in option["cover"]
        if word not in COVER_WORDS
    ]


def _check_weights(weights: pd.Series) -> list[Fault]:
    if len(weights) == 0:
        return [Fault("has no approach", "tables/approaches.csv", remedy="add at least one")]
    if not weights.sum() > 0:
        return [Fault("has no weight above 0", "tables/approaches.csv", column="weight", remedy="weigh one")]
    return []


def _check_soils(soils: pd.DataFrame) -> list[Fault]:
    """Each row gives a bearing or a moisture, not both, with its range around it and clay with moisture."""
    faults = []
    for row, soil in soils.iterrows():
        given = {}
        for column, name in (("bearing", "bearing_{}kpa"), ("moisture", "moisture_{}percent")):
            values = [soil[name.format(part)] for part in ("low_", "", "high_")]
            given[column] = sum(not pd.isna(value) for value in values)
            if given[column] == 3 and values != sorted(values):
                faults.append((row, name.format(""), "low, likely and high do not rise", "order the three"))
            elif given[column] not in (0, 3):
                faults.append(
                    (row, name.format(""), "is given without its range", "give low, likely and high")
                )
        if given["bearing"] and given["moisture"]:
            faults.append((row, "moisture_percent", "stands beside a bearing", "keep one of the two"))
        elif not given["bearing"] and not given["moisture"]:
            faults.append((row, "bearing_kpa", "is missing, and moisture too", "give one of the two"))
        elif given["moisture"] and pd.isna(soil["clay_percent"]):
            faults.append((row, "clay_percent", "is missing beside moisture", "give the clay content in %"))
        elif given["moisture"] and soil["ground"] in ("peat", "wetland"):
            faults.append(
                (row, "moisture_percent", f"says nothing about {soil['ground']}", "give its bearing in kPa")
            )
    return [
        Fault(problem, "tables/soils.csv", int(str(row)), column, remedy)
        for row, column, problem, remedy in faults
    ]


def _check_countries(settings: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]) -> list[Fault]:
    faults = [
        Fault(
            f"country '{code}' is both home and hostile",
            "study.toml",
            column="hostile",
            remedy="keep it in one list",
        )
        for code in settings["hostile"]
        if code in settings["home"]
    ]
    for row, front in tables["fronts"].iterrows():
        faults += [
            Fault(
                f"'{code}' is not a hostile country",
                "tables/fronts.csv",
                int(str(row)),
                "countries",
                nearest_word(code, settings["hostile"]),
            )
            for code in front["countries"]
            if code not in settings["hostile"]
        ]
    return faults


def check_speed_cover(tables: Mapping[str, pd.DataFrame]) -> list[Fault]:
    """Return the faults of speeds that an approach needs and no row of speeds.csv gives."""
    speeds = tables["speeds"]
    given = set(zip(speeds["vehicle"], speeds["season"], speeds["factor"], speeds["word"], strict=True))
    used = tables["approaches"][["vehicle", "season"]].drop_duplicates()
    faults = []
    for vehicle, season in used.itertuples(index=False):
        for factor, words in SPEED_WORDS.items():
            if factor in OPTIONAL_FACTORS:
                continue
            missing = [
                word
                for word in words
                if not any((v, s, factor, word) in given for v in (vehicle, "any") for s in (season, "any"))
            ]
            if missing:
                faults.append(
                    Fault(
                        f"has no {factor} value for {vehicle} in {season}: {', '.join(missing)}",
                        "tables/speeds.csv",
                        remedy="add a row; vehicle and season may be 'any'",
                    )
                )
    assert set(SEASONS) >= set(used["season"])
    return faults
