"""OpenStreetMap files (PBF, XML) read in one pass for all layers that a study wants from them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import osmium
import shapely
from osmium.filter import EntityFilter, KeyFilter, TagFilter
from osmium.osm.types import Area as OsmArea
from osmium.osm.types import Node, OSMEntity, Relation, Way

from abatis.ground.sources import Area
from abatis.ground.sources.osm_tags import HELPER_LAYERS, Rule, RuleFinder

OSM_SUFFIXES = (".pbf", ".osm", ".osm.xml", ".osm.bz2", ".osm.gz", ".osm.xml.bz2", ".osm.xml.gz")
BATCH = 20_000
SHOWN_IDS = 5
_NEEDS = {
    "roads": ("roads", "structures"),
    "bridges": ("roads", "structures", "rivers", "water"),
    "rivers": ("rivers", "water"),
}
_TEXTS = {
    "roads": ("ref", "name", "surface", "width", "maxweight"),
    "rivers": ("name", "width", "est_width"),
    "structures": ("name", "length"),
    "places": ("name", "population"),
}
_STARTS = {
    "pbf": (b"\x00\x00",),
    "bz2": (b"BZh",),
    "gz": (b"\x1f\x8b",),
    "osm": (b"<", b"\xef\xbb\xbf<", b"\n", b" "),
    "xml": (b"<", b"\xef\xbb\xbf<", b"\n", b" "),
}


@dataclass(frozen=True)
class Want:
    """A layer wanted from a file; `keys` are further OSM keys whose values are wanted."""

    layer: str
    keys: tuple[str, ...] = ()


@dataclass
class Features:
    """Features of one layer in EPSG:4326, in the order of the file.

    `geometry` shapely objects [F]; `rules` the line of the table that each met [F]; `ids` such as `way 12`
    [F]; `texts` key -> values of that tag, '' for none [F]; `problems` what was wrong -> ids of elements.
    """

    keys: tuple[str, ...]
    geometry: np.ndarray = field(default_factory=lambda: np.array([], dtype=object))
    rules: list[Rule] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    texts: dict[str, np.ndarray] = field(default_factory=dict)
    problems: dict[str, list[str]] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Number of features."""
        return len(self.geometry)

    def note_problem(self, what: str, element: str) -> None:
        """Remember an element that something is wrong with."""
        self.problems.setdefault(what, []).append(element)

    def take(self, keep: np.ndarray) -> Features:
        """Return the features where `keep` bool[F] is true."""
        rows = np.flatnonzero(keep)
        return Features(
            self.keys,
            self.geometry[rows],
            [self.rules[row] for row in rows],
            [self.ids[row] for row in rows],
            {key: values[rows] for key, values in self.texts.items()},
            self.problems,
        )


class OsmError(Exception):
    """A file cannot be read: what is wrong, and the remedy."""

    def __init__(self, problem: str, remedy: str) -> None:
        self.problem, self.remedy = problem, remedy
        super().__init__(problem)


def is_osm_file(path: Path) -> bool:
    """Say whether a file is OpenStreetMap data by its name.

    Examples
    --------
    >>> [is_osm_file(Path(name)) for name in ("a.osm.pbf", "b.OSM", "c.osm.bz2", "d.bz2", "e.gpkg")]
    [True, True, True, False, False]
    """
    return path.name.lower().endswith(OSM_SUFFIXES)


def read_osm_file(path: Path, wants: tuple[Want, ...], area: Area) -> dict[str, Features]:
    """Read all wanted layers, and the facilities, of an OpenStreetMap file in one pass.

    Parameters
    ----------
    path : PBF or XML file, packed or not.
    wants : the layers; what they need besides comes along (bridges need roads, rivers and water).
    area : features whose box does not touch it are left out.

    Returns
    -------
    layer -> features.

    In words: relations are looked at first, because they come last in the file and say which ways form areas;
    then the file is read once. Osmium drops what no layer wants before Python sees it.

    Raises
    ------
    OsmError : the file is cut off, damaged, or not what its name says.
    """
    _check_start(path)
    names = dict.fromkeys(name for want in wants for name in _NEEDS.get(want.layer, (want.layer,)))
    layers = tuple(dict.fromkeys((*names, "facilities")))
    further = {want.layer: want.keys for want in wants}
    stores = {
        layer: _Store(tuple(dict.fromkeys((*_TEXTS.get(layer, ("name",)), *further.get(layer, ())))), area)
        for layer in layers
    }
    passing = _Pass(layers, stores)
    try:
        passing.run(str(path))
    except (RuntimeError, OSError, ValueError) as error:
        raise OsmError(
            f"cannot be read: {error}{passing.say_where()}",
            "fetch the file again; it is cut off or damaged",
        ) from error
    return {layer: store.finish() for layer, store in stores.items()}


def glance_at_osm(path: Path) -> None:
    """Open an OpenStreetMap file and read its head and first element.

    Parameters
    ----------
    path : PBF or XML file, packed or not.

    Raises
    ------
    OsmError : the file is damaged at its start, or not what its name says.
    """
    _check_start(path)
    try:
        next(iter(osmium.FileProcessor(str(path))), None)
    except (RuntimeError, OSError, ValueError) as error:
        raise OsmError(
            f"cannot be read: {error}", "fetch the file again; it is cut off or damaged"
        ) from error


def _check_start(path: Path) -> None:
    """Compare the first bytes of a file with what its suffix promises."""
    with path.open("rb") as file:
        start = file.read(16)
    suffix = path.suffix.lower().lstrip(".")
    if not start:
        raise OsmError("is empty", "fetch the file again")
    if start.startswith(_STARTS[suffix]):
        return
    if start[4:].startswith(b"\x0a\x09OSMHeader"):
        told = "name it .osm.pbf"
    elif start.startswith(b"<"):
        told = "name it .osm if it is OpenStreetMap XML"
    elif start.startswith(b"BZh"):
        told = "name it .osm.bz2"
    elif start.startswith(b"\x1f\x8b"):
        told = "name it .osm.gz"
    else:
        told = "give OpenStreetMap data, or the suffix of the format it is in"
    raise OsmError(f"does not hold what its suffix .{suffix} says", told)


class OsmFiles:
    """Reads OpenStreetMap files and holds the one read last, for as long as the object lives.

    In words: a study asks for one layer after the other, and a country's file takes a minute to read.
    """

    def __init__(self) -> None:
        self._key: tuple[object, ...] = ()
        self._found: dict[str, Features] = {}

    def read(self, path: Path, wants: tuple[Want, ...], area: Area) -> dict[str, Features]:
        """Return what `read_osm_file` does; nothing is read when file, wants and area are those of last time.

        Raises
        ------
        OsmError : as for `read_osm_file`.
        """
        stamp = path.stat()
        key = (str(path), stamp.st_mtime_ns, stamp.st_size, wants, area)
        if key != self._key:
            self._key, self._found = (), {}
            self._found = read_osm_file(path, wants, area)
            self._key = key
        return self._found


class _Store:
    """Gathers the features of one layer and turns them into geometry batch by batch."""

    def __init__(self, keys: tuple[str, ...], area: Area) -> None:
        self.features = Features(keys)
        self.area = area
        self.shapes: list[str] = []
        self.rules: list[Rule] = []
        self.ids: list[str] = []
        self.rows: list[tuple[str | None, ...]] = []
        self.parts: list[np.ndarray] = []
        self.texts: list[tuple[str | None, ...]] = []

    def flush(self) -> None:
        """Turn what was gathered into geometry and drop what lies outside the area."""
        if not self.shapes:
            return
        # Read from bytes: from hexadecimal text shapely takes ten times as long.
        geometry = shapely.from_wkb([bytes.fromhex(shape) for shape in self.shapes])
        box = shapely.bounds(geometry)
        west, south, east, north = self.area.bounds
        inside = (box[:, 0] <= east) & (box[:, 2] >= west) & (box[:, 1] <= north) & (box[:, 3] >= south)
        rows = np.flatnonzero(inside).tolist()
        self.parts.append(geometry[rows])
        self.features.rules += [self.rules[row] for row in rows]
        self.features.ids += [self.ids[row] for row in rows]
        self.texts += [self.rows[row] for row in rows]
        self.shapes, self.rules, self.ids, self.rows = [], [], [], []

    def finish(self) -> Features:
        """Return all features."""
        self.flush()
        features = self.features
        if self.parts:
            features.geometry = np.concatenate(self.parts)
        columns = list(zip(*self.texts, strict=True)) or [()] * len(features.keys)
        features.texts = {
            key: np.array([value or "" for value in column], dtype=object)
            for key, column in zip(features.keys, columns, strict=True)
        }
        return features


class _RelationList:
    """First pass: the relations that form wanted areas, and the ways they are made of."""

    def __init__(self, finder: RuleFinder) -> None:
        self.finder = finder
        self.tracker = osmium.IdTracker()
        self.rules: dict[int, tuple[Rule, ...]] = {}

    def relation(self, relation: Relation) -> bool:
        """Note a relation; returns False so that osmium passes it on."""
        if relation.tags.get("type") in ("multipolygon", "boundary"):
            rules = self.finder.find(relation.tags.get)
            if rules:
                self.rules[relation.id] = rules
                self.tracker.add_references(relation)
        return False


class _Pass:
    """One pass over a file."""

    def __init__(self, layers: tuple[str, ...], stores: dict[str, _Store]) -> None:
        self.stores = stores
        self.points = RuleFinder(layers, ("point",))
        self.ways = RuleFinder(layers, ("line", "area"))
        self.areas = RuleFinder(layers, ("area",))
        self.relations = _RelationList(self.areas)
        self.wkb = osmium.geom.WKBFactory()
        self.waiting: dict[int, tuple[Rule, ...]] = {}
        self.last: tuple[str, int] = ("", 0)

    def run(self, path: str) -> None:
        """Read the file."""
        members = self.relations.tracker.way_ids()
        keep_line, keep_area, keep_point = self._keep_line, self._keep_area, self._keep_point
        for thing in self._open(path):
            if isinstance(thing, Way):
                keep_line(thing, members)
            elif isinstance(thing, OsmArea):
                keep_area(thing)
            elif isinstance(thing, Node):
                keep_point(thing)
        self._name_missing()

    def say_where(self) -> str:
        """Say which wanted element was read last."""
        kind, number = self.last
        return f" (the last element that was read is {kind} {number})" if kind else ""

    def _open(self, path: str) -> Iterator[OSMEntity]:
        kinds = osmium.osm.WAY | osmium.osm.AREA
        processor = osmium.FileProcessor(path).with_locations()
        area_pairs = self.areas.list_pairs()
        if area_pairs:
            keys = KeyFilter(*{key for key, _ in area_pairs})
            processor = processor.with_areas(keys, TagFilter(*area_pairs), self.relations)
        if self.points.rules:
            kinds |= osmium.osm.NODE
        processor = processor.with_filter(EntityFilter(kinds))
        for finder, kind in (
            (self.points, osmium.osm.NODE),
            (self.ways, osmium.osm.WAY | osmium.osm.AREA),
        ):
            pairs = finder.list_pairs()
            if pairs:
                # Keys first: most elements have none, and few keys are compared faster than many pairs.
                for one in (KeyFilter(*dict.fromkeys(key for key, _ in pairs)), TagFilter(*pairs)):
                    one.enable_for(kind)
                    processor = processor.with_filter(one)
        return iter(processor)

    def _keep(self, rule: Rule, shape: str, element: str, tags: osmium.osm.TagList) -> None:
        store = self.stores[rule.layer]
        store.shapes.append(shape)
        store.rules.append(rule)
        store.ids.append(element)
        store.rows.append(tuple(map(tags.get, store.features.keys)))
        if len(store.shapes) == BATCH:
            store.flush()

    def _keep_point(self, node: Node) -> None:
        tags = node.tags
        for rule in self.points.find(tags.get):
            self._keep(rule, self.wkb.create_point(node), f"node {node.id}", tags)

    def _keep_line(self, way: Way, members: osmium.index.IdSet) -> None:
        tags = way.tags
        found = self.ways.find(tags.get)
        if not found:
            return
        self.last = ("way", way.id)
        closed = way.is_closed()
        waiting = tuple(
            rule for rule in found if "area" in rule.shapes and (closed or "line" not in rule.shapes)
        )
        if waiting:
            if closed:
                self.waiting[way.id] = waiting
            elif way.id not in members:
                for rule in waiting:
                    self.stores[rule.layer].features.note_problem("open", f"way {way.id}")
        lines = [rule for rule in found if rule not in waiting]
        if not lines or lines[0].layer in HELPER_LAYERS:
            return
        element = f"way {way.id}"
        for shape in self._draw_lines(way, lines[0]):
            for rule in lines:
                self._keep(rule, shape, element, tags)

    def _draw_lines(self, way: Way, rule: Rule) -> list[str]:
        """Return the line of a way; several pieces, or none, when the file lacks some of its nodes."""
        problems = self.stores[rule.layer].features
        try:
            return [self.wkb.create_linestring(way)]
        except osmium.InvalidLocationError:
            problems.note_problem("nodes", f"way {way.id}")
        except RuntimeError:
            problems.note_problem("short", f"way {way.id}")
            return []
        pieces: list[list[tuple[float, float]]] = [[]]
        for node in way.nodes:
            if node.location.valid():
                pieces[-1].append((node.lon, node.lat))
            elif pieces[-1]:
                pieces.append([])
        whole = [piece for piece in pieces if len(set(piece)) > 1]
        return [str(shapely.to_wkb(shapely.linestrings(piece), hex=True)) for piece in whole]

    def _keep_area(self, area: OsmArea) -> None:
        tags = area.tags
        number = area.orig_id()
        if area.from_way():
            rules, element = self.waiting.pop(number, ()), f"way {number}"
        else:
            rules, element = self.relations.rules.pop(number, ()), f"relation {number}"
        if not rules:
            return
        try:
            shape = self.wkb.create_multipolygon(area)
        except RuntimeError:
            for rule in rules:
                self.stores[rule.layer].features.note_problem("rings", element)
            return
        for rule in rules:
            self._keep(rule, shape, element, tags)

    def _name_missing(self) -> None:
        """Name the areas that never came because the file lacks nodes or member ways."""
        for what, kind, lost in (
            ("nodes", "way", self.waiting),
            ("members", "relation", self.relations.rules),
        ):
            for number, rules in lost.items():
                for rule in rules:
                    self.stores[rule.layer].features.note_problem(what, f"{kind} {number}")
