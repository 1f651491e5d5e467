"""Which files of open data a study needs: the tiles, regions and countries that touch its ground."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import shapely

from abatis.ground.fetching.layers import OpenLayer, Region, find_regions, read_open_layers, read_regions
from abatis.ground.outline import read_ground
from abatis.ground.sources import Findings
from abatis.model.errors import Fault, InputError, nearest_word
from abatis.model.study import Study

MARGIN_DEG = 0.03  # cells reach beyond the outline by half their width, at most 1.4 km at resolution 7
KM_PER_DEG = 111.2


@dataclass(frozen=True)
class FetchArea:
    """Ground that data is needed for, in degrees: its outline and each country's part of it.

    `rough` says that no borders were there and the outline is made of boxes around the home countries, or
    around the study's places where the table of regions does not know them.
    """

    outline: shapely.Geometry
    countries: Mapping[str, shapely.Geometry]
    rough: bool


@dataclass(frozen=True)
class FetchFile:
    """One file to get: its name in sources/, its address, where its checksum stands, its usual size.

    `archive` is the name under which it comes; the file itself unless it comes packed.
    """

    layer: OpenLayer
    name: str
    archive: str
    address: str
    checksum_address: str
    size_mb: float

    @property
    def host(self) -> str:
        """Scheme and host of the address."""
        parts = urlsplit(self.address)
        return f"{parts.scheme}://{parts.netloc}"


@dataclass(frozen=True)
class FetchPlan:
    """Files of all chosen layers, layers that must be got by hand, and what the user should know.

    `bounds` is the box of the ground in degrees, None while it is not known exactly.
    """

    files: tuple[FetchFile, ...]
    by_hand: tuple[OpenLayer, ...]
    notes: tuple[str, ...]
    rough: bool
    bounds: tuple[float, float, float, float] | None = None

    @property
    def size_mb(self) -> float:
        """Sum of the usual sizes."""
        return sum(file.size_mb for file in self.files)


def choose_layers(names: Sequence[str], has_borders: bool) -> tuple[OpenLayer, ...]:
    """Choose open layers by name; without names all usual ones, borders only when the study has none.

    Raises
    ------
    InputError : a name that is not in the table, with the nearest one.

    Examples
    --------
    >>> [one.layer for one in choose_layers([], True)]
    ['osm', 'elevation', 'landcover', 'population', 'soil', 'clay', 'protected']
    """
    table = read_open_layers()
    if not names:
        usual = [layer for layer in table.values() if layer.default]
        return tuple(layer for layer in usual if not (has_borders and layer.kind == "borders"))
    faults = [
        Fault(f"there is no open layer '{name}'", column="--layer", remedy=nearest_word(name, table))
        for name in names
        if name not in table
    ]
    if faults:
        raise InputError(faults)
    return tuple(table[name] for name in dict.fromkeys(names))


def find_borders(study: Study) -> bool:
    """Say whether the study has a file with borders."""
    return any(Path(file).is_file() for file in study.source_rows("borders")["file"])


def find_area(study: Study) -> FetchArea:
    """Find the ground of a study: from its borders, or roughly when it has none.

    Raises
    ------
    InputError : borders that cannot be read, or a study with neither borders nor places.
    """
    if find_borders(study):
        findings = Findings()
        ground = read_ground(study, findings)
        findings.raise_faults()
        if ground is not None:
            outline = shapely.buffer(ground.outline, MARGIN_DEG, quad_segs=4)
            shapely.prepare(outline)
            parts = {
                code: shapely.intersection(outline, shapely.clip_by_rect(shape, *outline.bounds))
                for code, shape in zip(ground.codes, ground.shapes, strict=True)
            }
            parts = {code: part for code, part in parts.items() if shapely.area(part) > 0}
            return FetchArea(outline, parts, rough=False)
    boxes = [region.bounds for code in study.home for region in find_regions(code)] or [_bound_places(study)]
    rough = shapely.union_all([shapely.box(*_grow_box(box, study.strip_km)) for box in boxes])
    return FetchArea(rough, dict.fromkeys((*study.home, *study.hostile), rough), rough=True)


def _bound_places(study: Study) -> tuple[float, float, float, float]:
    places = study.tables["places"]
    inside = places[places["country"].isin(study.home)]
    inside = places if inside.empty else inside
    if inside.empty:
        raise InputError([Fault("has no place", "tables/places.csv", remedy="add the objectives")])
    lon, lat = inside["lon"], inside["lat"]
    return float(lon.min()), float(lat.min()), float(lon.max()), float(lat.max())


def _grow_box(box: tuple[float, float, float, float], strip_km: float) -> tuple[float, float, float, float]:
    west, south, east, north = box
    high = 0.3 + strip_km / KM_PER_DEG
    wide = high / math.cos(math.radians(min(abs((south + north) / 2), 80.0)))
    return west - wide, south - high, east + wide, north + high


def list_tiles(
    outline: shapely.Geometry, degrees: int, west0: float = 0.0, north0: float = 0.0
) -> list[tuple[float, float]]:
    """List the tiles that share ground with an outline.

    Parameters
    ----------
    outline : polygon in degrees (EPSG:4326).
    degrees : side of a tile.
    west0, north0 : a corner that tiles meet at, degrees.

    Returns
    -------
    South-west corners (lon, lat), from south to north and west to east.

    Examples
    --------
    >>> list_tiles(shapely.box(20.9, 53.8, 24.2, 54.1), 3)
    [(18.0, 51.0), (21.0, 51.0), (24.0, 51.0), (18.0, 54.0), (21.0, 54.0), (24.0, 54.0)]
    """
    west, south, east, north = (float(value) for value in shapely.bounds(outline))
    columns = range(math.floor((west - west0) / degrees), math.ceil((east - west0) / degrees))
    rows = range(math.floor((south - north0) / degrees), math.ceil((north - north0) / degrees))
    corners = [(west0 + column * degrees, north0 + row * degrees) for row in rows for column in columns]
    return [
        (lon, lat)
        for lon, lat in corners
        if shapely.area(shapely.intersection(outline, shapely.box(lon, lat, lon + degrees, lat + degrees)))
        > 0
    ]


def plan_fetch(study: Study, layers: Sequence[OpenLayer], mirror: str = "") -> FetchPlan:
    """List the files of the chosen layers that a study's ground needs.

    Parameters
    ----------
    study : the study; its borders, or else its places, say where.
    layers : open layers.
    mirror : address that stands before host and path of every file, or empty.

    Raises
    ------
    InputError : an unusable mirror; a country of the study that the table of regions does not know; people
        that would be counted twice.
    """
    if mirror and not mirror.startswith(("http://", "https://")):
        raise InputError(
            [Fault(f"'{mirror}' is no address", column="mirror", remedy="write http://... or https://...")]
        )
    by_hand = tuple(layer for layer in layers if layer.login)
    wanted = [layer for layer in layers if not layer.login]
    faults = _check_people(wanted)
    files: list[FetchFile] = []
    area = find_area(study) if any(layer.by != "once" for layer in wanted) else None
    for layer in wanted:
        cuts = [({}, layer.size_mb)] if area is None else _cut_layer(layer, area, faults)
        files += [_name_file(layer, words, size_mb, mirror) for words, size_mb in cuts]
    faults += _check_people_rows(study, files)
    if faults:
        raise InputError(list(dict.fromkeys(faults)))
    rough = area is not None and area.rough
    bounds: tuple[float, float, float, float] | None = None
    if area is not None and not rough:
        west, south, east, north = (float(value) for value in shapely.bounds(area.outline))
        bounds = (west, south, east, north)
    return FetchPlan(tuple(files), by_hand, _note_plan(study, wanted, rough), rough, bounds)


def _check_people(layers: Sequence[OpenLayer]) -> list[Fault]:
    """Population layers add up, so two of them would count everybody twice."""
    names = [layer.layer for layer in layers if layer.kind == "population"]
    if len(names) < 2:
        return []
    told = f"{' and '.join(names)} would count people twice"
    return [Fault(told, column="--layer", remedy="choose one of them")]


def _check_people_rows(study: Study, files: Sequence[FetchFile]) -> list[Fault]:
    made_by = {file.layer.source for file in files if file.layer.kind == "population"}
    rows = study.sources[study.sources["layer"] == "population"]
    others = [row["file"] for _, row in rows.iterrows() if row["source"] not in made_by]
    if not made_by or not others:
        return []
    return [
        Fault(
            "sources.csv has another population layer: people would be counted twice",
            f"sources/{others[0]}",
            remedy="delete its row, or name with --layer only the layers you need",
        )
    ]


def _cut_layer(
    layer: OpenLayer, area: FetchArea, faults: list[Fault]
) -> list[tuple[dict[str, object], float]]:
    """Words for the address, and MB, of every file of a layer."""
    if layer.by == "tile":
        return [
            (_name_tile(layer, lon, lat), layer.size_mb)
            for lon, lat in list_tiles(area.outline, layer.degrees, layer.west0, layer.north0)
        ]
    if layer.by == "region":
        regions = [
            region
            for code, part in area.countries.items()
            for region in _know_country(code, faults)
            if shapely.area(shapely.intersection(part, shapely.box(*region.bounds))) > 0
        ]
        return [({"region": region.region}, region.osm_mb) for region in regions]
    if layer.by == "country":
        found = [_know_country(code, faults) for code in area.countries]
        return [
            ({"iso3": known[0].iso3, "iso3_lower": known[0].iso3.lower()}, known[0].population_mb)
            for known in found
            if known
        ]
    return [({}, layer.size_mb)]


def _know_country(code: str, faults: list[Fault]) -> tuple[Region, ...]:
    regions = find_regions(code)
    if not regions:
        known = sorted({region.country for region in read_regions()})
        faults.append(
            Fault(
                f"country '{code}' is not in the table of regions",
                "study.toml",
                column="home",
                remedy=f"{nearest_word(code, known)}; or name with --layer only layers that come in tiles",
            )
        )
    return regions


def _name_tile(layer: OpenLayer, lon: float, lat: float) -> dict[str, object]:
    """Words for the address of a tile by its south-west corner; rows and columns count from 1."""
    degrees = layer.degrees
    west, south = (int(value) if value == int(value) else value for value in (lon, lat))
    return {
        "ns": "N" if lat >= 0 else "S",
        "ew": "E" if lon >= 0 else "W",
        "lat": round(abs(lat)),
        "lon": round(abs(lon)),
        "west": west,
        "south": south,
        "east": west + degrees,
        "north": south + degrees,
        "row": round((layer.north0 - lat) / degrees),
        "column": round((lon - layer.west0) / degrees) + 1,
    }


def _name_file(layer: OpenLayer, words: Mapping[str, object], size_mb: float, mirror: str) -> FetchFile:
    published = layer.address.format(**words)
    base = PurePosixPath(urlsplit(published).path).name
    name = layer.file.format(**words) or base
    archive = base if layer.format == "zip" else name
    address = apply_mirror(published, mirror)
    return FetchFile(layer, name, archive, address, layer.checksum.format(address=address), size_mb)


def apply_mirror(address: str, mirror: str) -> str:
    """Put a mirror before an address: host and path of the publisher become a path of the mirror.

    Examples
    --------
    >>> apply_mirror("https://a.org/b/c.tif?x=1", "https://mirror.lan/open/")
    'https://mirror.lan/open/a.org/b/c.tif?x=1'
    >>> apply_mirror("https://a.org/b", "")
    'https://a.org/b'
    """
    return f"{mirror.rstrip('/')}/{address.split('://', 1)[1]}" if mirror else address


def _note_plan(study: Study, layers: Sequence[OpenLayer], rough: bool) -> tuple[str, ...]:
    notes = []
    if rough:
        notes.append("no borders yet: the files are estimated from boxes around the home countries or places")
    kinds = {kind for layer in layers for kind in layer.kinds}
    own = study.sources[study.sources["address"] == ""]
    for kind in sorted(set(own["layer"]) & kinds):
        notes.append(
            f"sources.csv has rows of its own for {kind}: delete them if the fetched ones replace them"
        )
    return tuple(notes)
