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

    `rough` says that no borders were there and the outline is a box around the study's places.
    """

    outline: shapely.Geometry
    countries: Mapping[str, shapely.Geometry]
    home: tuple[str, ...]
    rough: bool


@dataclass(frozen=True)
class FetchFile:
    """One file to get: its name in sources/, its address, where its checksum stands, its usual size."""

    layer: OpenLayer
    name: str
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
    """Files of all chosen layers, layers that must be got by hand, and what the user should know."""

    files: tuple[FetchFile, ...]
    by_hand: tuple[OpenLayer, ...]
    notes: tuple[str, ...]
    rough: bool

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
    ['osm', 'elevation', 'landcover', 'population', 'soil', 'municipalities', 'protected']
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
    """Find the ground of a study: from its borders, or roughly from its places when it has none.

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
            return FetchArea(outline, parts, study.home, rough=False)
    places = study.tables["places"]
    inside = places[places["country"].isin(study.home)]
    inside = places if inside.empty else inside
    if inside.empty:
        raise InputError([Fault("has no place", "tables/places.csv", remedy="add the objectives")])
    grown = 0.3 + study.strip_km / KM_PER_DEG
    wide = grown / math.cos(math.radians(min(abs(float(inside["lat"].mean())), 80.0)))
    box = shapely.box(
        float(inside["lon"].min()) - wide,
        float(inside["lat"].min()) - grown,
        float(inside["lon"].max()) + wide,
        float(inside["lat"].max()) + grown,
    )
    return FetchArea(box, dict.fromkeys((*study.home, *study.hostile), box), study.home, rough=True)


def list_tiles(outline: shapely.Geometry, degrees: int) -> list[tuple[int, int]]:
    """List the tiles that share ground with an outline.

    Parameters
    ----------
    outline : polygon in degrees (EPSG:4326).
    degrees : side of a tile; tiles start at multiples of it.

    Returns
    -------
    South-west corners (lon, lat), from south to north and west to east.

    Examples
    --------
    >>> list_tiles(shapely.box(20.9, 53.8, 24.2, 54.1), 3)
    [(18, 51), (21, 51), (24, 51), (18, 54), (21, 54), (24, 54)]
    """
    west, south, east, north = (float(value) for value in shapely.bounds(outline))
    columns = range(math.floor(west / degrees), math.ceil(east / degrees))
    rows = range(math.floor(south / degrees), math.ceil(north / degrees))
    corners = [(column * degrees, row * degrees) for row in rows for column in columns]
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
    InputError : an unusable mirror; a country of the study that the table of regions does not know.
    """
    if mirror and not mirror.startswith(("http://", "https://")):
        raise InputError(
            [Fault(f"'{mirror}' is no address", column="mirror", remedy="write http://... or https://...")]
        )
    by_hand = tuple(layer for layer in layers if layer.login)
    wanted = [layer for layer in layers if not layer.login]
    faults: list[Fault] = []
    files: list[FetchFile] = []
    area = find_area(study) if any(layer.by != "once" for layer in wanted) else None
    for layer in wanted:
        cuts = [({}, layer.size_mb)] if area is None else _cut_layer(layer, area, faults)
        files += [_name_file(layer, words, size_mb, mirror) for words, size_mb in cuts]
    if faults:
        raise InputError(list(dict.fromkeys(faults)))
    rough = area is not None and area.rough
    return FetchPlan(tuple(files), by_hand, _note_plan(study, wanted, rough), rough)


def _cut_layer(
    layer: OpenLayer, area: FetchArea, faults: list[Fault]
) -> list[tuple[dict[str, object], float]]:
    """Words for the address, and MB, of every file of a layer."""
    if layer.by == "tile":
        return [
            (_name_tile(lon, lat, layer.degrees), layer.size_mb)
            for lon, lat in list_tiles(area.outline, layer.degrees)
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
        found = [_know_country(code, faults) for code in area.home]
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


def _name_tile(lon: int, lat: int, degrees: int) -> dict[str, object]:
    return {
        "ns": "N" if lat >= 0 else "S",
        "ew": "E" if lon >= 0 else "W",
        "lat": abs(lat),
        "lon": abs(lon),
        "west": lon,
        "south": lat,
        "east": lon + degrees,
        "north": lat + degrees,
    }


def _name_file(layer: OpenLayer, words: Mapping[str, object], size_mb: float, mirror: str) -> FetchFile:
    published = layer.address.format(**words)
    name = layer.file.format(**words) or PurePosixPath(urlsplit(published).path).name
    address = apply_mirror(published, mirror)
    return FetchFile(layer, name, address, layer.checksum.format(address=address), size_mb)


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
        notes.append("no borders yet: the files are estimated from a box around the study's places")
    names = {layer.kind: layer.layer for layer in layers}
    own = study.sources[study.sources["address"] == ""]
    for kind in sorted(set(own["layer"]) & set(names)):
        notes.append(
            f"sources.csv has rows of its own for {kind}: delete them if the fetched ones replace them"
        )
    classes = set(study.tables["classes"]["layer"])
    for kind in ("landcover", "soil"):
        if kind in names and kind not in classes:
            notes.append(f"the codes of {kind} need rows in tables/classes.csv before the mesh is built")
    return tuple(notes)
