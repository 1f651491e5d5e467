"""The hazard register in files: CSV and XLSX in the style of IMSMA, and GeoJSON; all or nothing."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import tempfile
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import pandas as pd
import shapely

from abatis.model.errors import Fault, InputError, nearest_word
from abatis.model.fields import KEYED_TABLES, empty_table, fields_of, read_table
from abatis.model.storage import write_folder_whole, write_text_whole, write_whole
from abatis.model.study import Study
from abatis.people.hazards import PRIVACY, SCOPE, TABLES, check_hazards, list_states

OBJECTS = {"hazard": "hazards", "activity": "hazard_activities", "release": "hazard_releases"}
COMPUTED = ("globalid", "parentglobalid")
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "abatis:hazard-register")
_OWN_ROW = 10_000_000
_THING = r"(?:device|ordnance|mine|munition|uxo|eo|item)s?"
_WHERE = r"(?:lat(?:itude)?|lon(?:gitude)?|x|y|z|coord\w*|location|position|place|point|geometry|wkt|depth)"
_DEVICE = re.compile(rf"(?:^|_){_THING}_(?:\w+_)?{_WHERE}(?:$|_)|(?:^|_){_WHERE}_(?:\w+_)?{_THING}(?:$|_)")
_PERSON = re.compile(
    r"victim|casualt|birth|gender|surname|(?:first|last|family|given)_?name|person|phone|e_?mail|contact"
    r"|address|injur|killed|national_id|passport|survivor"
)
Row = dict[str, str]


@cache
def read_exchange_names() -> Mapping[str, Mapping[str, str]]:
    """Read the names that columns carry in exchanged files: table, own column, exchanged name."""
    text = resources.files("abatis.people").joinpath("exchange_columns.csv").read_text(encoding="utf-8")
    names: dict[str, dict[str, str]] = {}
    for row in csv.DictReader(text.splitlines()):
        names.setdefault(row["table"], {})[row["column"]] = row["exchange"]
    return names


def import_hazards(study: Study, path: Path) -> dict[str, int]:
    """Read areas, activities and releases from a file into the study's tables; all or nothing.

    Parameters
    ----------
    study : rows with a key that it has already are replaced, others added.
    path : a folder with hazards.csv, hazard_activities.csv, hazard_releases.csv (any of them), an .xlsx file
        with sheets of these names, or a .geojson file.

    Returns
    -------
    Rows read per table.

    Raises
    ------
    InputError : every fault of the file and of the register it would make; nothing is changed then.
    """
    rows, faults = _read_rows(path)
    read: dict[str, pd.DataFrame] = {}
    with tempfile.TemporaryDirectory() as folder:
        for table in TABLES:
            read[table], wrong = _check_rows(
                table, rows.get(table, {}), Path(folder), _name_part(path, table)
            )
            faults += wrong
    merged = {table: _merge(study.tables[table], read[table], table) for table in TABLES}
    files = {table: _name_part(path, table) for table in TABLES}
    if not faults:
        faults += _check_references(merged, files)
    if not faults:
        belts = set(study.tables["belts"]["belt"])
        faults += check_hazards(merged, files, list_states(study), belts)
    if faults:
        raise InputError([_place_fault(fault, files, path) for fault in faults])
    with write_folder_whole(study.folder / "tables") as folder:
        for table in TABLES:
            (folder / f"{table}.csv").write_text(format_table(merged[table], table), encoding="utf-8")
    return {table: len(read[table]) for table in TABLES}


def _merge(own: pd.DataFrame, new: pd.DataFrame, table: str) -> pd.DataFrame:
    """Join both; rows of the study carry numbers that faults can tell from rows of the file."""
    keys = list(KEYED_TABLES[table])
    kept = own[~own[keys[0]].isin(list(new[keys[0]]))]
    kept = kept.set_axis(kept.index + _OWN_ROW, axis=0)
    frames = [frame for frame in (kept, new) if len(frame)]
    return pd.concat(frames) if frames else empty_table(table)


def _place_fault(fault: Fault, files: Mapping[str, str], path: Path) -> Fault:
    """Say file and row as the user knows them."""
    if fault.row is not None and fault.row >= _OWN_ROW:
        table = next((one for one, name in files.items() if name == fault.file), "hazards")
        return replace(fault, row=fault.row - _OWN_ROW, file=f"tables/{table}.csv")
    if fault.row is not None and path.suffix in (".geojson", ".json"):
        return replace(fault, row=fault.row - 1)
    return fault


def _check_references(merged: Mapping[str, pd.DataFrame], files: Mapping[str, str]) -> list[Fault]:
    faults = []
    for table in TABLES:
        for field in fields_of(table):
            if field.reference is None or field.reference[0] not in merged:
                continue
            target, column = field.reference
            known = set(merged[target][column])
            for number, value in merged[table][field.column].items():
                if value not in known:
                    text = f"'{value}' is no {column} of the register"
                    remedy = nearest_word(str(value), sorted(known))
                    faults.append(Fault(text, files[table], int(str(number)), field.column, remedy))
    return faults


def _name_part(path: Path, table: str) -> str:
    if path.is_dir():
        return f"{path.name}/{table}.csv"
    return f"{path.name} ({table})" if path.suffix == ".xlsx" else path.name


def _read_rows(path: Path) -> tuple[dict[str, dict[int, Row]], list[Fault]]:
    """Rows of every table by line number, with own column names; and what is wrong with the file."""
    if path.is_dir():
        return _read_folder(path)
    readers = {".xlsx": _read_workbook, ".geojson": _read_features, ".json": _read_features}
    if path.suffix not in readers:
        remedy = "give a folder of CSV files, an .xlsx or a .geojson file"
        return {}, [Fault("is no file that can be read", path.name, remedy=remedy)]
    if not path.is_file():
        return {}, [Fault("does not exist", path.name, remedy="check the path")]
    return readers[path.suffix](path)


def _read_folder(path: Path) -> tuple[dict[str, dict[int, Row]], list[Fault]]:
    rows: dict[str, dict[int, Row]] = {}
    faults = []
    for file in sorted(path.glob("*.csv")):
        shown = f"{path.name}/{file.name}"
        if file.stem not in TABLES:
            faults.append(_refuse_part(file.stem, shown))
            continue
        try:
            with file.open(encoding="utf-8-sig", newline="") as text:
                reader = csv.reader(text, strict=True)
                lines = [(reader.line_num, line) for line in reader]
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            faults.append(Fault(f"cannot be read: {error}", shown, remedy="save it as CSV in UTF-8"))
            continue
        rows[file.stem], wrong = _read_lines(file.stem, lines, shown)
        faults += wrong
    if not rows and not faults:
        faults.append(Fault("holds none of " + ", ".join(f"{one}.csv" for one in TABLES), path.name))
    return rows, faults


def _read_workbook(path: Path) -> tuple[dict[str, dict[int, Row]], list[Fault]]:
    openpyxl = _load_openpyxl()
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except Exception as error:  # noqa: BLE001 - a damaged workbook fails in many ways
        return {}, [Fault(f"cannot be read: {error}", path.name, remedy="save it as .xlsx")]
    rows: dict[str, dict[int, Row]] = {}
    faults = []
    for sheet in book.worksheets:
        if sheet.title not in TABLES:
            faults.append(_refuse_part(sheet.title, path.name))
            continue
        lines = [
            (number, [_write_cell(cell) for cell in line])
            for number, line in enumerate(sheet.iter_rows(values_only=True), start=1)
        ]
        rows[sheet.title], wrong = _read_lines(sheet.title, lines, _name_part(path, sheet.title))
        faults += wrong
    book.close()
    return rows, faults


def _load_openpyxl() -> Any:
    try:
        import openpyxl  # type: ignore[import-untyped]
    except ImportError as error:
        fault = Fault("XLSX needs the package openpyxl", remedy="install it, or use CSV or GeoJSON")
        raise InputError([fault]) from error
    return openpyxl


def _write_cell(value: object) -> str:
    """Write a cell of a workbook as the tables write it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _read_lines(
    table: str, lines: Iterable[tuple[int, Sequence[str]]], shown: str
) -> tuple[dict[int, Row], list[Fault]]:
    """Turn header and lines into rows; columns out of scope are refused with the reason."""
    filled = [(number, list(line)) for number, line in lines if any(cell.strip() for cell in line)]
    if not filled:
        return {}, []
    own = {exchange: column for column, exchange in read_exchange_names()[table].items()}
    header = [own.get(cell.strip(), cell.strip()) for cell in filled[0][1]]
    faults = [fault for cell in filled[0][1] if (fault := _refuse_column(table, cell.strip(), shown, 1))]
    rows = {}
    for number, line in filled[1:]:
        if any(cell.strip() for cell in line[len(header) :]):
            faults.append(Fault(f"has {len(line)} values under {len(header)} columns", shown, number))
        cells = [cell.strip() for cell in line[: len(header)]]
        cells += [""] * (len(header) - len(cells))
        rows[number] = {key: cell for key, cell in zip(header, cells, strict=True) if key not in COMPUTED}
    return rows, faults


def _refuse_part(name: str, shown: str) -> Fault:
    """A sheet, file or object that the register does not have."""
    plain = name.lower()
    if _PERSON.search(plain) or "accident" in plain:
        return Fault(f"'{name}' is refused: {PRIVACY}", shown, remedy="leave it out")
    if re.search(rf"\b{_THING}\b", plain.replace("_", " ")):
        return Fault(f"'{name}' is refused: {SCOPE}", shown, remedy="leave it out")
    return Fault(f"has the unknown part '{name}'", shown, remedy=nearest_word(name, TABLES))


def _refuse_column(table: str, name: str, shown: str, row: int) -> Fault | None:
    """A column that would hold places of devices or data about persons; None when it is harmless."""
    names = read_exchange_names()[table]
    if name in names or name in names.values() or name in COMPUTED:
        return None
    plain = re.sub(r"\W+", "_", name.lower())
    if _PERSON.search(plain):
        return Fault(f"column is refused: {PRIVACY}", shown, row, name, "leave the column out")
    if _DEVICE.search(plain):
        return Fault(f"column is refused: {SCOPE}", shown, row, name, "leave the column out")
    known = [*names, *names.values()]
    return Fault(f"has the unknown column '{name}'", shown, row, name, nearest_word(name, known))


def _read_features(path: Path) -> tuple[dict[str, dict[int, Row]], list[Fault]]:
    """Read GeoJSON; feature k stands in line k + 1, as below a header."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        features = value["features"]
        assert isinstance(features, list)
    except (OSError, ValueError, KeyError, TypeError, AssertionError) as error:
        text = f"is no GeoJSON collection of features: {error}"
        return {}, [Fault(text, path.name, remedy="export it as GeoJSON in EPSG:4326")]
    rows: dict[str, dict[int, Row]] = {}
    faults: list[Fault] = []
    for line, feature in enumerate(features, start=2):
        properties = feature.get("properties") if isinstance(feature, dict) else None
        if not isinstance(properties, dict):
            faults.append(Fault("is no feature with properties", path.name, line))
            continue
        word = str(properties.get("object", ""))
        if word not in OBJECTS:
            fault = _refuse_part(word or "object", path.name)
            faults.append(replace(fault, row=line, column="object"))
            continue
        table = OBJECTS[word]
        row, wrong = _read_feature(table, feature, path.name, line)
        rows.setdefault(table, {})[line] = row
        faults += wrong
    return rows, faults


def _read_feature(table: str, feature: Mapping[str, Any], shown: str, line: int) -> tuple[Row, list[Fault]]:
    own = {exchange: column for column, exchange in read_exchange_names()[table].items()}
    row: Row = {}
    faults = []
    for name, value in feature["properties"].items():
        if name == "object" or name in COMPUTED:
            continue
        fault = _refuse_column(table, name, shown, line)
        if fault:
            faults.append(fault)
        else:
            joined = " ".join(map(str, value)) if isinstance(value, list) else value
            row[own.get(name, name)] = _write_cell(joined)
    if feature.get("geometry") is None:
        return row, faults
    try:
        shape = shapely.geometry.shape(feature["geometry"])
    except (ValueError, TypeError, KeyError, AttributeError, shapely.errors.ShapelyError) as error:
        faults.append(Fault(f"has no usable geometry: {error}", shown, line, "geometry"))
        return row, faults
    if table == "hazard_activities":
        if not isinstance(shape, shapely.Point) or shape.is_empty:
            faults.append(Fault("is no point", shown, line, "geometry", "give the reference point"))
        else:
            row |= {"lon": repr(shape.x), "lat": repr(shape.y)}
    elif shape.geom_type not in ("Polygon", "MultiPolygon"):
        text = f"is a {shape.geom_type}: an area has an outline"
        faults.append(Fault(text, shown, line, "geometry", "give a polygon, or no geometry and area_m2"))
    else:
        row["perimeter"] = _write_outline(shape)
    return row, faults


def _write_outline(shape: Any) -> str:
    return str(shapely.to_wkt(shape, rounding_precision=7, trim=True))


def _check_rows(
    table: str, rows: Mapping[int, Row], folder: Path, shown: str
) -> tuple[pd.DataFrame, list[Fault]]:
    """Check every value as `fields.csv` says, by way of a plain table with the same line numbers."""
    if not rows:
        return empty_table(table), []
    columns = list(dict.fromkeys(key for row in rows.values() for key in row))
    known = {field.column for field in fields_of(table)}
    columns = [column for column in columns if column in known]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for number in range(2, max(rows) + 1):
        row = rows.get(number)
        if row is None:
            text.write("\n")
        else:
            writer.writerow([" ".join(row.get(column, "").split()) for column in columns])
    path = folder / f"{table}.csv"
    path.write_text(text.getvalue(), encoding="utf-8")
    return read_table(path, table, shown)


def format_table(frame: pd.DataFrame, table: str) -> str:
    """Write a table as CSV text that reads back to the same values."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(field.column for field in fields_of(table))
    for _, row in frame.iterrows():
        writer.writerow(_write_value(row[field.column]) for field in fields_of(table))
    return text.getvalue()


def _write_value(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(str(one) for one in value)
    if isinstance(value, float):
        return "" if math.isnan(value) else repr(int(value)) if value.is_integer() else repr(float(value))
    return _write_cell(value)


def make_global_id(table: str, key: str) -> str:
    """Return the identifier of a row in exchanged files: the same key gives the same one, everywhere.

    Examples
    --------
    >>> make_global_id("hazards", "h1") == make_global_id("hazards", "h1")
    True
    """
    return "{" + str(uuid.uuid5(_NAMESPACE, f"{table}/{key}")).upper() + "}"


def export_hazards(study: Study, path: Path) -> dict[str, int]:
    """Write areas, activities and releases to a file: .xlsx, .geojson, or a folder of CSV files.

    Returns
    -------
    Rows written per table.

    Raises
    ------
    InputError : the place cannot be written.
    """
    if path.suffix in (".geojson", ".json"):
        write_text_whole(path, json.dumps(_list_features(study), ensure_ascii=False, indent=1) + "\n")
    elif path.suffix == ".xlsx":
        _write_workbook(study, path)
    elif path.suffix:
        fault = Fault("is no kind of file to export", path.name, remedy="use .xlsx, .geojson or a folder")
        raise InputError([fault])
    else:
        with write_folder_whole(path) as folder:
            for table in TABLES:
                with (folder / f"{table}.csv").open("w", encoding="utf-8", newline="") as text:
                    csv.writer(text, lineterminator="\n").writerows(_list_lines(study, table))
    return {table: len(study.tables[table]) for table in TABLES}


def _list_lines(study: Study, table: str) -> list[list[str]]:
    """Header and lines of one table under the names of exchange."""
    names = read_exchange_names()[table]
    children = table != "hazards"
    lines = [["globalid", *(["parentglobalid"] if children else []), *names.values()]]
    for _, row in study.tables[table].iterrows():
        key = str(row[KEYED_TABLES[table][0]])
        parent = [make_global_id("hazards", str(row["hazard"]))] if children else []
        cells = [_write_value(row[column]) for column in names]
        lines.append([make_global_id(table, key), *parent, *cells])
    return lines


def _write_workbook(study: Study, path: Path) -> None:
    book = _load_openpyxl().Workbook()
    book.remove(book.active)
    for table in TABLES:
        sheet = book.create_sheet(table)
        names = read_exchange_names()[table]
        numbers = {names[field.column] for field in fields_of(table) if field.type == "number"}
        header, *lines = _list_lines(study, table)
        sheet.append(header)
        for line in lines:
            pairs = zip(header, line, strict=True)
            sheet.append([float(cell) if name in numbers and cell else cell or None for name, cell in pairs])
    with write_whole(path) as temporary:
        book.save(temporary)


def _list_features(study: Study) -> dict[str, Any]:
    features = []
    for word, table in OBJECTS.items():
        header, *lines = _list_lines(study, table)
        for line, (_, row) in zip(lines, study.tables[table].iterrows(), strict=True):
            properties = {
                name: cell
                for name, cell in zip(header, line, strict=True)
                if cell and name not in ("perimeter_wkt", "reference_longitude", "reference_latitude")
            }
            geometry = None
            if table == "hazard_activities":
                if not math.isnan(row["lon"]):
                    geometry = {"type": "Point", "coordinates": [float(row["lon"]), float(row["lat"])]}
            elif row["perimeter"]:
                geometry = shapely.geometry.mapping(shapely.from_wkt(row["perimeter"]))
            features.append(
                {"type": "Feature", "geometry": geometry, "properties": {"object": word, **properties}}
            )
    return {"type": "FeatureCollection", "features": features}
