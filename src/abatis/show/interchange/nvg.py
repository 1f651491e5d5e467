"""NATO Vector Graphics 2.0.2: the plan's lines, roadblocks, bridges and reserve belts, all as planned."""

from __future__ import annotations

import csv
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import shapely

from abatis.barrier.options import Way, measure_work, read_ways
from abatis.ground.hexgrid import build_hexgrid, find_corners
from abatis.model.errors import Fault, InputError
from abatis.model.storage import write_whole
from abatis.programme.belts import Belt, read_belts
from abatis.show.basemap import locate_edge_corners
from abatis.show.interchange.kml import write_points
from abatis.show.interchange.layers import clean_value
from abatis.show.results import ChosenSite, Results

NAMESPACE = "https://tide.act.nato.int/schemas/2012/10/nvg"
VERSION = "2.0.2"
STANDARD = "app6d"
# Version 10, own side in reality, symbol set 25 (control measures); status and entity come from the table.
HEAD, SYMBOL_SET = "1003", "25"
USE_OF_KIND = {"ditch": "ditch", "forest": "tree_rows"}
TITLES = {
    "closing_line": "Closing lines",
    "obstacle": "Planned obstacles",
    "road_block": "Planned roadblocks",
    "bridge": "Prepared bridges, planned",
    "reserve_belt": "Reserve belts, planned",
}


@dataclass(frozen=True)
class Graphic:
    """One line or point: its group, what it is used for, its key and label, and what is said about it.

    `points` float64[P, 2], longitude and latitude; one row is a point, several are a line.
    """

    group: str
    use: str
    key: str
    label: str
    note: str
    points: np.ndarray


def write_nvg(path: Path, graphics: Sequence[Graphic], title: str) -> None:
    """Write graphics as NVG, whole or not at all.

    Parameters
    ----------
    path : file to write.
    graphics : from `list_graphics`.
    title : label of the outermost group.

    In words: points and polylines in groups, each with a label, an address of its own and a symbol code of
    APP-6 with the status *planned*. The codes come from a public library's mapping (`nvg_codes.csv`) and must
    be checked against the standard before anyone relies on them.

    Raises
    ------
    InputError : when the file cannot be written.

    Source: public code and documentation of programs that read NVG; the schema itself is not public.
    """
    ElementTree.register_namespace("", NAMESPACE)
    codes = read_codes()
    root = ElementTree.Element(_tag("nvg"), {"version": VERSION})
    whole = ElementTree.SubElement(root, _tag("g"), {"label": clean_value(title), "uri": "urn:abatis:plan"})
    for group, words in TITLES.items():
        members = [one for one in graphics if one.group == group]
        if not members:
            continue
        part = ElementTree.SubElement(whole, _tag("g"), {"label": words, "uri": f"urn:abatis:{group}"})
        for graphic in members:
            _add_graphic(part, graphic, codes[graphic.use])
    ElementTree.indent(root, " ")
    with write_whole(path) as temporary:
        ElementTree.ElementTree(root).write(temporary, encoding="utf-8", xml_declaration=True)


def read_codes() -> dict[str, str]:
    """Return the symbol code, 20 digits, of each use.

    Examples
    --------
    >>> read_codes()["road_block"]
    '10032510002712010000'
    """
    text = (resources.files("abatis.show.interchange") / "nvg_codes.csv").read_text("utf-8")
    return {
        row["use"]: f"{HEAD}{SYMBOL_SET}{row['status']}000{row['entity']}0000"
        for row in csv.DictReader(text.splitlines())
    }


def list_graphics(results: Results) -> tuple[tuple[Graphic, ...], tuple[str, ...]]:
    """List the graphics of a plan, and in words what has no place on a map and was left out.

    Parameters
    ----------
    results : the plan and all that was computed about it.

    In words: closing lines; chosen sites as lines of what is laid on open ground; a point for every road they
    close and every bridge they prepare; reserve belts on their sites. A belt that has only a position and a
    length has no course, so none is drawn.

    Raises
    ------
    InputError : when belts.csv has faults.
    """
    mesh = results.mesh
    corners, cell_corner = find_corners(build_hexgrid(np.asarray(mesh.cells)), np.asarray(mesh.neighbor))
    edge_lonlat = corners[locate_edge_corners(mesh, cell_corner)]
    faults: list[Fault] = []
    belts = read_belts(results.study, mesh, results.siting, results.plan, faults)
    if faults:
        raise InputError(faults)
    ways = {way.key: way for way in read_ways(results.study)}
    on_sites = {(belt.site, belt.measure) for belt in belts if belt.site}
    found = list(_list_closing_lines(results))
    for one in results.chosen:
        found += _list_site(results, one, ways[one.option.option], edge_lonlat, on_sites)
    homeless = []
    sites = {site.key: site for site in results.siting.sites}
    for belt in belts:
        if belt.site:
            edges = np.asarray(sites[belt.site].edges)
            found += _draw_line("reserve_belt", "reserve_belt", *_tell_belt(belt), edge_lonlat[edges])
        else:
            homeless.append(belt.key)
    if not homeless:
        return tuple(found), ()
    return tuple(found), (f"reserve belts with a position but no course: {', '.join(homeless)}",)


def _list_closing_lines(results: Results) -> list[Graphic]:
    found = []
    for line in results.siting.lines:
        note = f"length_km: {line.length_km:.3f}\ncost_eur: {line.cost_eur:.2f}"
        parts = [np.asarray(part, np.float64) for part in line.polylines]
        for number, part in enumerate(parts, 1):
            key = f"line:{line.key}:{number}"
            found.append(Graphic("closing_line", "closing_line", key, line.name, note, part))
    return found


def _list_site(
    results: Results, one: ChosenSite, way: Way, edge_lonlat: np.ndarray, on_sites: set[tuple[str, str]]
) -> list[Graphic]:
    """Graphics of one chosen site; open ground that a reserve belt takes is drawn as the belt."""
    edges = np.asarray(one.site.edges)
    work = measure_work(results.mesh, edges, way)
    option = one.option
    label = f"{one.label} {one.site.name}"
    note = "\n".join(
        (
            f"site: {one.site.key}",
            f"option: {option.name}",
            f"cost_eur: {option.cost_eur:.2f}",
            f"delay_open_h: {option.delay_open_h!r}",
            f"delay_road_h: {option.delay_road_h!r}",
            f"delay_bridge_h: {option.delay_bridge_h!r}",
        )
    )
    found: list[Graphic] = []
    laid = work.open_km > 0
    if way.open is not None and laid.any() and (one.site.key, way.open.key) not in on_sites:
        kinds = results.study.tables["measures"].set_index("measure")["law_kind"]
        use = USE_OF_KIND.get(str(kinds[way.open.key]), "obstacle_line")
        key = f"site:{one.site.key}"
        found += _draw_line("obstacle", use, key, label, note, edge_lonlat[edges[laid]])
    for group, asked, measure in (
        ("road_block", work.road, way.road),
        ("bridge", work.bridge, way.bridge),
    ):
        if measure is None:
            continue
        for number, edge in enumerate(edges[asked], 1):
            middle = edge_lonlat[edge].mean(axis=0, keepdims=True)
            key = f"{group}:{one.site.key}:{number}"
            found.append(Graphic(group, group, key, label, note, middle))
    return found


def _tell_belt(belt: Belt) -> tuple[str, str, str]:
    note = "\n".join(
        (
            f"measure: {belt.measure}",
            f"length_km: {belt.length_km!r}",
            f"delay_h: {belt.delay_h!r}",
            f"notice_h: {belt.notice_h!r}",
            f"site: {belt.site}",
            f"tag: {belt.tag}",
        )
    )
    return f"belt:{belt.key}", belt.name, note


def _draw_line(group: str, use: str, key: str, label: str, note: str, segments: np.ndarray) -> list[Graphic]:
    """Join the segments float64[S, 2, 2] to as few lines as they make."""
    joined = shapely.line_merge(shapely.MultiLineString([shapely.LineString(one) for one in segments]))
    parts = shapely.get_parts(joined)
    return [
        Graphic(group, use, f"{key}:{number}", label, note, shapely.get_coordinates(part))
        for number, part in enumerate(parts, 1)
    ]


def _add_graphic(parent: ElementTree.Element, graphic: Graphic, code: str) -> None:
    shared = {
        "uri": f"urn:abatis:{clean_value(graphic.key).replace(' ', '_')}",
        "label": clean_value(graphic.label),
        "symbol": f"{STANDARD}:{code}",
    }
    if len(graphic.points) == 1:
        x, y = (repr(round(float(one), 7)) for one in graphic.points[0])
        added = ElementTree.SubElement(parent, _tag("point"), {**shared, "x": x, "y": y})
    else:
        points = write_points(graphic.points, ",", " ")
        added = ElementTree.SubElement(parent, _tag("polyline"), {**shared, "points": points})
    ElementTree.SubElement(added, _tag("textInfo")).text = clean_value(graphic.note)


def _tag(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"
