"""The tables of `abatis line`: lines, their works and weak places, depth, and the check of a drawn line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyogrio
import shapely

from abatis.barrier.closures import choose_closures
from abatis.barrier.depth import PRESETS, choose_echelons, measure_depth
from abatis.barrier.integrity import Integrity, check_line, read_drawn_line
from abatis.barrier.line_graph import Line
from abatis.barrier.line_terms import find_leaning, read_terms
from abatis.barrier.lines import find_echelon_sets, join_lines
from abatis.barrier.sites import describe_place
from abatis.barrier.works import find_weak_places, list_works, name_areas
from abatis.model.errors import Fault, InputError
from abatis.model.mesh import Mesh
from abatis.model.storage import write_whole
from abatis.model.study import Study
from abatis.show.results import Progress
from abatis.show.tables import Column, Table
from abatis.show.workflow import load_study

DRIVERS = {".geojson": "GeoJSON", ".json": "GeoJSON", ".gpkg": "GPKG"}
LEANINGS = ("river", "lake", "bog", "forest")


def describe_lines(folder: Path, echelons: str, file: Path | None, progress: Progress) -> dict[str, Table]:
    """Find the lines of every echelon and tabulate all that is known about them.

    Parameters
    ----------
    folder : study folder with a mesh.
    echelons : preset or outer limits in km; empty for those of study.toml.
    file : where to write the lines (GeoJSON or GeoPackage), or None.
    progress : callback (stage, share done).

    Raises
    ------
    InputError, InfeasibleError, SizeError : see `find_echelon_sets`.
    """
    study, mesh = load_study(folder)
    if file is not None and file.suffix.lower() not in DRIVERS:
        raise InputError([Fault("is no .geojson or .gpkg", str(file), column="--write")])
    if echelons:
        study = choose_echelons(study, echelons)
    progress("closing lines", 0.0)
    sets = find_echelon_sets(study, mesh)
    progress("closing lines", 1.0)
    lines = [line for one in sets for line in one]
    tables = {"lines": tabulate_lines(mesh, lines)}
    tables |= tabulate_works(study, mesh, sets)
    tables["depth"] = tabulate_depth(study, mesh, [join_lines(one) for one in sets], progress)
    if file is not None:
        write_lines(file, lines)
    return tables


def tabulate_lines(mesh: Mesh, lines: Sequence[Line]) -> Table:
    """Tabulate length, cost, nature's share and what each line leans on."""
    leaning = {word: find_leaning(mesh, f"lean_{word}") for word in LEANINGS}
    rows = []
    for line in lines:
        length_m = mesh.length_m[line.edges].astype(np.float64)
        shares = {
            f"on_{word}": float(length_m[edges[line.edges]].sum() / max(length_m.sum(), 1.0))
            for word, edges in leaning.items()
        }
        rows.append(
            {
                "line": line.key,
                "name": line.name,
                "length_km": line.length_km,
                "closed_by_nature": line.closed_by_nature,
                "cost_eur": line.cost_eur,
                **shares,
            }
        )
    columns = (
        Column("line", "key"),
        Column("name", "line"),
        Column("length_km", "length [km]", ",.1f"),
        Column("closed_by_nature", "closed by nature [share]", ".3f"),
        Column("cost_eur", "cost [EUR]", ",.0f"),
        *(Column(f"on_{word}", f"on {word} [share]", ".2f") for word in LEANINGS),
    )
    return Table("Cheapest closing lines", columns, tuple(rows))


def tabulate_works(study: Study, mesh: Mesh, sets: Sequence[Sequence[Line]]) -> dict[str, Table]:
    """Tabulate cost by measure, works by municipality and the weakest places of every line."""
    closures = choose_closures(study, mesh)
    measures: list[dict[str, Any]] = []
    works: list[dict[str, Any]] = []
    weakest: list[dict[str, Any]] = []
    kind = "area"
    units = dict(zip(study.tables["measures"]["measure"], study.tables["measures"]["unit"], strict=True))
    for number, lines in enumerate(sets, start=1):
        terms = read_terms(study, mesh, closures.cost_eur, number)
        costs = (closures.cost_eur > 0) & np.isfinite(closures.cost_eur) & np.isfinite(terms.cost_eur)
        share = np.divide(terms.cost_eur, closures.cost_eur, out=np.ones(mesh.edge_count), where=costs)
        for line in lines:
            names, kind = name_areas(study, mesh, line.edges)
            measures += [asdict(work) for work in list_works(mesh, closures, line, share)]
            works += [asdict(work) for work in list_works(mesh, closures, line, share, names)]
            weakest += [
                {**asdict(weak), "place": describe_place(study, weak.lon, weak.lat)}
                for weak in find_weak_places(mesh, closures, line)
            ]
    for row in (*measures, *works):
        row["unit"] = units[row["measure"]]
    amount = (
        Column("measure", "measure"),
        Column("units", "units", ",.1f"),
        Column("unit", "unit"),
        Column("cost_eur", "cost [EUR]", ",.0f"),
    )
    weak_columns = (
        Column("line", "line"),
        Column("place", "place"),
        Column("mode", "passed by"),
        Column("gap_m", "gap [m]", ",.0f"),
        Column("delay_h", "holds [h]", ".1f"),
        Column("cost_eur", "cost [EUR]", ",.0f"),
        Column("lon", "longitude [deg]", ".4f"),
        Column("lat", "latitude [deg]", ".4f"),
    )
    return {
        "measures": Table("Cost by measure", (Column("line", "line"), *amount), tuple(measures)),
        "works": Table(
            f"Works by {kind}", (Column("line", "line"), Column("area", kind), *amount), tuple(works)
        ),
        "weakest": Table(
            "Places that hold the shortest time", weak_columns, tuple(weakest), "of equal ones the cheapest"
        ),
    }


def tabulate_depth(study: Study, mesh: Mesh, lines: Sequence[Line], progress: Progress) -> Table:
    """Tabulate the hours that each echelon buys and what is left if it falls."""
    rows = tuple(asdict(one) for one in measure_depth(study, mesh, lines, progress))
    columns = (
        Column("key", "line"),
        Column("name", "echelon"),
        Column("alone_h", "buys alone [h]", ".2f"),
        Column("added_h", "adds to those before [h]", ".2f"),
        Column("all_h", "all echelons buy [h]", ".2f"),
        Column("left_h", "left if it falls [h]", ".2f"),
        Column("least_left_h", "least arrival then [h]", ".2f"),
    )
    known = [preset for preset in PRESETS.values() if preset.outer_km == study.outer_km]
    note = "weighted mean over the approaches that arrive; every line closed by its cheapest options"
    if known:
        note += "; echelons: " + "; ".join(f"{one.wording} [{one.tag}] {one.source}" for one in known)
    return Table("Depth: hours bought by the echelons", columns, rows, note)


def check_drawn_line(
    folder: Path, file: Path, layer: str, progress: Progress
) -> tuple[Integrity, dict[str, Table]]:
    """Check whether the line in a file closes, and tabulate its leaks.

    Parameters
    ----------
    folder : study folder with a mesh.
    file, layer : vector file in any CRS, and which of its layers.
    progress : callback (stage, share done).

    Raises
    ------
    InputError, InfeasibleError : see `read_drawn_line` and `check_line`.
    """
    study, mesh = load_study(folder)
    found = check_line(study, mesh, read_drawn_line(mesh, file, layer), progress)
    rows = tuple({**asdict(leak), "place": describe_place(study, leak.lon, leak.lat)} for leak in found.leaks)
    columns = (
        Column("hole", "hole", ".0f"),
        Column("place", "place"),
        Column("mode", "passed by"),
        Column("gap_m", "gap [m]", ",.0f"),
        Column("hours", "gains [h]", ".2f"),
        Column("approach", "approach"),
        Column("cost_eur", "to close [EUR]", ",.0f"),
        Column("lon", "longitude [deg]", ".4f"),
        Column("lat", "latitude [deg]", ".4f"),
    )
    verdict = "closes" if found.closed else f"leaks at {len(rows)} edges"
    note = (
        f"the line lies on {found.drawn_edges} edges; holes narrower than {found.tolerance_m:.0f} m are not "
        f"seen; closing all leaks costs {found.mending_eur:,.0f} EUR"
    )
    return found, {"leaks": Table(f"{file.name} {verdict}", columns, rows, note)}


def describe_check(found: Integrity, leaks: Table) -> dict[str, Any]:
    """Return the answer of a check as one JSON object."""
    return {
        "closed": found.closed,
        "leaks": list(leaks.rows),
        "mending_eur": found.mending_eur,
        "drawn_edges": found.drawn_edges,
        "tolerance_m": found.tolerance_m,
    }


def write_lines(file: Path, lines: Sequence[Line]) -> None:
    """Write lines as GeoJSON or GeoPackage in EPSG:4326, one feature per chain, whole or not at all."""
    records = [
        {
            "line": line.key,
            "name": line.name,
            "chain": number,
            "line_length_km": line.length_km,
            "line_cost_eur": line.cost_eur,
            "geometry": shapely.LineString(corners),
        }
        for line in lines
        for number, corners in enumerate(line.polylines, start=1)
    ]
    frame = gpd.GeoDataFrame(records, geometry="geometry", crs="EPSG:4326")
    file.parent.mkdir(parents=True, exist_ok=True)
    with write_whole(file) as temporary:
        pyogrio.write_dataframe(frame, temporary, layer="lines", driver=DRIVERS[file.suffix.lower()])
