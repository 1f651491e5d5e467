"""Reading of source layers: what was found wrong, what was assumed, and the area that is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError

from abatis.model.errors import Fault, InputError, UnitError, nearest_word
from abatis.model.study import Study
from abatis.model.words import COVER_WORDS, FACILITY_WORDS, ROAD_WORDS, SOIL_WORDS

LAYER_WORDS = {
    "landcover": COVER_WORDS,
    "landcover_areas": COVER_WORDS,
    "forest": COVER_WORDS,
    "wetland": COVER_WORDS,
    "water": COVER_WORDS,
    "built_up": COVER_WORDS,
    "roads": ROAD_WORDS,
    "soil": SOIL_WORDS,
    "facilities": FACILITY_WORDS,
}
SHOWN_CODES = 12


@dataclass(frozen=True)
class Area:
    """Longitude and latitude limits in degrees (EPSG:4326).

    Examples
    --------
    >>> Area(20, 53, 27, 57).overlaps((19, 50, 21, 54)), Area(20, 53, 27, 57).overlaps((53, 20, 57, 27))
    (True, False)
    """

    west: float
    south: float
    east: float
    north: float

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north."""
        return self.west, self.south, self.east, self.north

    def overlaps(self, bounds: Sequence[float]) -> bool:
        """Say whether a box (west, south, east, north) shares ground with the area."""
        west, south, east, north = bounds
        return west <= self.east and east >= self.west and south <= self.north and north >= self.south

    def grow(self, degrees: float) -> Area:
        """Return the area grown on all sides."""
        return Area(self.west - degrees, self.south - degrees, self.east + degrees, self.north + degrees)


@dataclass
class Findings:
    """Faults and assumptions gathered while sources are read; `raise_faults` reports all of them at once."""

    faults: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    wrong_unit: bool = False

    def add_fault(self, problem: str, file: str, row: int, column: str, remedy: str) -> None:
        """Add a fault of a row of sources.csv; `file` is the file it names."""
        shown = f"sources/sources.csv ({file})" if file else "sources/sources.csv"
        self.faults.append(Fault(problem, shown, row, column, remedy))

    def add_unit_fault(self, problem: str, file: str, row: int, remedy: str) -> None:
        """Add a fault of unit or axis order; the error raised is then a UnitError."""
        self.wrong_unit = True
        self.add_fault(problem, file, row, "file", remedy)

    def add_empty(
        self, problem: str, file: str, row: int, column: str, remedy: str, *, fetched: bool
    ) -> None:
        """Add a file without anything on the study's ground: a fault, or a note when `abatis fetch` got it.

        In words: fetched tiles cover the ground by their frames and may well hold nothing there; a file that
        a user names is meant to hold something.
        """
        if fetched:
            self.notes.append(f"{file} {problem}")
        else:
            self.add_fault(problem, file, row, column, remedy)

    def raise_faults(self) -> None:
        """Raise all faults, if any.

        Raises
        ------
        UnitError : when at least one fault is about units or axis order.
        InputError : when there are only other faults.
        """
        if self.faults:
            raise (UnitError if self.wrong_unit else InputError)(self.faults)


def format_code(value: object) -> str:
    """Write a class code as a user writes it: whole numbers without a point, '' for nothing.

    Examples
    --------
    >>> format_code(211.0), format_code("211 "), format_code(None), format_code(float("nan"))
    ('211', '211', '', '')
    """
    if value is None or (isinstance(value, float) and value != value):
        return ""
    text = str(value).strip()
    if isinstance(value, float) and value == int(value):
        return str(int(value))
    return text


def translate_codes(
    study: Study, layer: str, codes: Sequence[str], file: str, row: int, findings: Findings
) -> dict[str, str]:
    """Translate the codes of a layer to words; "" leaves a feature out.

    Parameters
    ----------
    study : the study; its table `classes` holds the translation.
    layer : layer name.
    codes : the different codes that occur, as text.
    file, row : file and row of sources.csv, for faults.
    findings : faults and notes are added here.

    Returns
    -------
    code -> word for every code that could be translated.

    In words: when the layer has rows in tables/classes.csv each code needs one; when it has none the code is
    taken as the word itself. Either way the word must be known.
    """
    table = study.tables["classes"]
    rows = table[table["layer"] == layer]
    known = LAYER_WORDS.get(layer)
    given = dict(zip(rows["code"].map(format_code), rows["word"], strict=True))
    missing = [code for code in codes if given and code not in given]
    words = {code: given.get(code, "") if given else code for code in codes if code not in missing}
    words = {code: "" if word == "-" else word for code, word in words.items()}
    if missing:
        shown = ", ".join(f"'{code}'" for code in missing[:SHOWN_CODES])
        more = f" and {len(missing) - SHOWN_CODES} more" if len(missing) > SHOWN_CODES else ""
        findings.add_fault(
            f"layer {layer} has codes without a row in tables/classes.csv: {shown}{more}",
            file,
            row,
            "class_column",
            f"add rows {layer},CODE,WORD; the word - leaves a feature out",
        )
    if known:
        for code, word in words.items():
            if word and word not in known:
                findings.add_fault(
                    f"code '{code}' of layer {layer} means '{word}', which is not one of its words",
                    file,
                    row,
                    "class_column",
                    f"translate it in tables/classes.csv; {nearest_word(word, known)}",
                )
    return {code: word for code, word in words.items() if not known or not word or word in known}


def check_place(
    bounds: Sequence[float], crs: CRS, area: Area, file: str, row: int, findings: Findings
) -> bool:
    """Check that the coordinates of a layer can be what its CRS says and lie on the study's ground.

    Parameters
    ----------
    bounds : west, south, east, north in the units of the CRS.
    crs : coordinate reference system of the file.
    area : the study's ground.
    file, row : for faults.
    findings : faults are added here.

    Returns
    -------
    True when nothing is wrong.

    In words: numbers beyond 360 in a CRS of degrees are metres; numbers below 360 in a CRS of metres are
    degrees when read as degrees they fall on the study's ground; a layer that falls on it only after x and y
    are exchanged has them swapped.
    """
    west, south, east, north = (float(value) for value in bounds)
    largest = max(abs(value) for value in (west, south, east, north))
    if crs.is_geographic and (largest > 360 or (max(abs(south), abs(north)) > 90 and largest > 180)):
        findings.add_unit_fault(
            f"has coordinates up to {largest:,.0f} but its CRS is in degrees: they look like metres",
            file,
            row,
            "give the file the metric CRS it was made in",
        )
        return False
    swapped = (south, west, north, east)
    as_degrees = area.overlaps((west, south, east, north)) or area.overlaps(swapped)
    if not crs.is_geographic and largest <= 360 and as_degrees:
        findings.add_unit_fault(
            "has coordinates in degrees but its CRS is in metres",
            file,
            row,
            "give the file the CRS EPSG:4326",
        )
        return False
    inside = transform_bounds((west, south, east, north), crs)
    if inside is not None and area.overlaps(inside):
        return True
    turned = transform_bounds(swapped, crs)
    if turned is not None and area.overlaps(turned):
        findings.add_unit_fault(
            "lies outside the study's borders but inside when x and y are exchanged: they are swapped",
            file,
            row,
            "write longitude (east) before latitude (north)",
        )
    else:
        findings.add_fault(
            "has nothing on the study's ground "
            f"({area.west:.2f} to {area.east:.2f} E, {area.south:.2f} to {area.north:.2f} N)",
            file,
            row,
            "file",
            "check its CRS or delete the row",
        )
    return False


def transform_bounds(bounds: Sequence[float], crs: CRS) -> tuple[float, float, float, float] | None:
    """Return a box in degrees (EPSG:4326), or None when it lies outside what the CRS can express."""
    transformer = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    try:
        left, low, right, high = bounds
        box = transformer.transform_bounds(left, low, right, high, densify_pts=21)
    except ProjError:
        return None
    west, south, east, north = (float(value) for value in box)
    if not all(abs(value) < 1e6 for value in (west, south, east, north)):
        return None
    return west, south, east, north


def bound_places(study: Study) -> Area:
    """Return the box around the study's places, grown by 3 degrees: where its borders must lie.

    Raises
    ------
    InputError : when the study has no place.
    """
    places: pd.DataFrame = study.tables["places"]
    if places.empty:
        raise InputError([Fault("has no place", "tables/places.csv", remedy="add the objectives")])
    return Area(
        float(places["lon"].min()),
        float(places["lat"].min()),
        float(places["lon"].max()),
        float(places["lat"].max()),
    ).grow(3.0)
