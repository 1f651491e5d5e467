"""`abatis joint`: the joint line of several countries as tables, JSON, map, GeoPackage and export."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyogrio
import shapely

from abatis.barrier.joint import Joint, close_alone, join_countries, trace_walk
from abatis.barrier.joint_chains import Closing, locate_vertex
from abatis.barrier.joint_exchange import read_export, write_export
from abatis.barrier.joint_ground import Territory, prepare_ground
from abatis.barrier.joint_hours import SeamHours, measure_seams
from abatis.barrier.joint_merge import settle_borders, settle_with_exports
from abatis.model.errors import Fault, InputError
from abatis.model.mesh import Mesh
from abatis.model.storage import write_whole
from abatis.model.study import Study
from abatis.people.law import check_programme_measures, require_lawful
from abatis.show.joint_map import write_joint_map
from abatis.show.layer_styles import FIXED_TIME
from abatis.show.progress import ShowProgress
from abatis.show.results import Progress
from abatis.show.tables import Column, Table, print_json, show_tables
from abatis.show.workflow import load_study


@dataclass(frozen=True)
class JointAnswer:
    """The joint line of some countries, what its seams are worth, and what has to be said about it.

    `hours` is None per seam where a country is known by its export only.
    """

    joint: Joint
    hours: tuple[SeamHours | None, ...]
    notes: tuple[str, ...]


def join_paths(paths: Sequence[Path], depth_km: float | None, progress: Progress) -> JointAnswer:
    """Join the lines of studies (folders with a mesh) and exports (files).

    Parameters
    ----------
    paths : two or more.
    depth_km : protected ground lies at least this far from hostile ground; each study's outermost echelon
        limit when None. Exports carry their own.
    progress : callback (stage, share done).

    Raises
    ------
    InputError : see `settle_borders` and `match_sides`; a depth other than an export's; a measure that would
        be unlawful in its country (the rule is named).
    InfeasibleError : no line can be closed.
    """
    if len(paths) < 2:
        raise InputError([Fault("one country is given", remedy="give two or more studies or exports")])
    progress("reading studies", 0.0)
    loaded: dict[int, tuple[Study, Mesh]] = {}
    given: dict[int, Territory] = {}
    faults: list[Fault] = []
    for number, path in enumerate(paths):
        try:
            if path.is_file():
                given[number] = read_export(path)
            else:
                loaded[number] = load_study(path)
                faults += check_programme_measures(loaded[number][0])
        except InputError as error:
            faults += error.faults
    faults += [
        Fault(f"was written for a depth of {one.depth_km:g} km", str(paths[number]), column="--depth")
        for number, one in given.items()
        if depth_km is not None and one.depth_km != depth_km
    ]
    if faults:
        raise InputError(faults)
    meshes, notes = settle_borders([one for one, _ in loaded.values()], [one for _, one in loaded.values()])
    exports = list(given.values())
    meshes = tuple(
        settle_with_exports(study, mesh, exports, fixed=True)[0]
        for (study, _), mesh in zip(loaded.values(), meshes, strict=True)
    )
    progress("national and joint lines", 0.2)
    grounds = {
        number: prepare_ground(study, mesh, depth_km)
        for (number, (study, _)), mesh in zip(loaded.items(), meshes, strict=True)
    }
    joint = join_countries([given[one] if one in given else grounds[one] for one in range(len(paths))])
    progress("hours through the seams", 0.7)
    hours: tuple[SeamHours | None, ...] = (None,) * len(joint.seams)
    if not given:
        hours = measure_seams(joint, [one for one in joint.grounds if one is not None])
    progress("joint line", 1.0)
    return JointAnswer(joint, hours, notes + _note_depths(joint))


def _note_depths(joint: Joint) -> tuple[str, ...]:
    depths = ", ".join(f"{one.key} {one.depth_km:g} km" for one in joint.territories)
    notes = [f"protected ground lies this far from hostile ground or farther: {depths}"]
    if any(one.exported for one in joint.territories):
        notes.append("hours through seams need the studies of all countries; an export has no inner ground")
    return tuple(notes)


def export_country(paths: Sequence[Path], target: Path, depth_km: float | None, progress: Progress) -> Table:
    """Write what neighbours need of one study for the joint line, and tell what stands in the file.

    Parameters
    ----------
    paths : the study folder with a mesh, then exports of neighbours, to agree with them on whose each border
        cell is.
    target : file to write.
    depth_km : see `join_paths`.
    progress : callback (stage, share done).
    """
    path, *others = paths
    faults = [Fault("is a file", str(path), remedy="give the study folder to export first")] * path.is_file()
    faults += [
        Fault("is no file", str(one), remedy="give exports of neighbours after the study")
        for one in others
        if not one.is_file()
    ]
    if faults:
        raise InputError(faults)
    progress("national line", 0.0)
    study, mesh = load_study(path)
    require_lawful(study)
    mesh, settled = settle_with_exports(study, mesh, [read_export(one) for one in others], fixed=False)
    ground, _ = close_alone(prepare_ground(study, mesh, depth_km))
    progress("line ends and their costs", 0.2)
    write_export(ground.territory, target)
    progress("line ends and their costs", 1.0)
    sides = ground.territory.sides
    rows = (
        {"what": "border cells", "value": len(np.unique(sides.cell))},
        {"what": "border cells left to or taken from neighbours", "value": settled},
        {"what": "candidate line ends on borders", "value": len(ground.territory.vertex)},
        {"what": "size [kB]", "value": round(target.stat().st_size / 1000)},
    )
    return Table(f"{target}", (Column("what", "what"), Column("value", "value", ",.0f")), rows)


def describe_joint(answer: JointAnswer) -> dict[str, Any]:
    """Return the answer as one object for JSON."""
    joint = answer.joint
    return {
        "countries": [
            {
                "id": one.key,
                "alone_eur": one.alone_eur,
                "joint_eur": one.joint_eur,
                "joint_minus_alone_eur": one.joint_eur - one.alone_eur,
                "joint_share": one.joint_eur / joint.joint_eur if joint.joint_eur else None,
                "shapley_eur": one.shapley_eur,
                "shapley_minus_alone_eur": one.shapley_eur - one.alone_eur,
            }
            for one in joint.countries
        ],
        "joint_points": [
            {
                "between": list(one.between),
                "lon": round(one.lon, 6),
                "lat": round(one.lat, 6),
                "place": one.place,
                "place_km": one.place_km,
            }
            for one in joint.points
        ],
        "seams": [
            {
                "between": list(one.between),
                "km": round(one.km, 3),
                "open_km": round(one.open_km, 3),
                "hours": hours.hours if hours else None,
                "vehicle": hours.vehicle if hours else None,
                "season": hours.season if hours else None,
                "border_eur": one.border_eur,
                "lon": round(one.lon, 6),
                "lat": round(one.lat, 6),
                "place": one.place,
            }
            for one, hours in zip(joint.seams, answer.hours, strict=True)
        ],
        "alone_eur": sum(one.alone_eur for one in joint.countries),
        "mending_eur": joint.mending_eur,
        "joint_eur": joint.joint_eur,
        "saving_eur": joint.saving_eur,
        "coalitions": [{"countries": list(key), "eur": eur} for key, eur in joint.coalitions.items() if key],
        "notes": list(answer.notes),
    }


def tabulate_joint(answer: JointAnswer) -> dict[str, Table]:
    """Return the answer as tables for people."""
    shown = describe_joint(answer)
    for name in ("joint_points", "seams"):
        for row in shown[name]:
            row["between"] = " - ".join(row["between"])
    costs = (
        Column("id", "country"),
        Column("alone_eur", "alone [EUR]", ",.0f"),
        Column("joint_eur", "of the joint line [EUR]", ",.0f"),
        Column("joint_minus_alone_eur", "against alone [EUR]", "+,.0f"),
        Column("shapley_eur", "fair share [EUR]", ",.0f"),
        Column("shapley_minus_alone_eur", "against alone [EUR]", "+,.0f"),
    )
    points = (
        Column("between", "between"),
        Column("lon", "longitude [deg]", ".4f"),
        Column("lat", "latitude [deg]", ".4f"),
        Column("place", "nearest place"),
        Column("place_km", "away [km]", ".1f"),
    )
    seams = (
        Column("between", "between"),
        Column("place", "near"),
        Column("km", "along the border [km]", ".1f"),
        Column("open_km", "of it open [km]", ".1f"),
        Column("hours", "an approach gains [h]", ".2f"),
        Column("border_eur", "to close the border there [EUR]", ",.0f"),
    )
    totals = tuple(
        {"what": what, "eur": shown[key]}
        for what, key in (
            ("all lines alone", "alone_eur"),
            ("mending their seams, as cheaply as can be", "mending_eur"),
            ("joint line", "joint_eur"),
            ("saving", "saving_eur"),
        )
    )
    return {
        "countries": Table(
            "Cost of each country's ground", costs, tuple(shown["countries"]), "fair share: Shapley value"
        ),
        "points": Table(
            "Joint points: where the joint line crosses borders", points, tuple(shown["joint_points"])
        ),
        "seams": Table("Seams: where the lines alone miss each other", seams, tuple(shown["seams"])),
        "totals": Table("Together", (Column("what", "what"), Column("eur", "EUR", ",.0f")), totals),
        "notes": Table(
            "What this rests on", (Column("note", ""),), tuple({"note": one} for one in answer.notes)
        ),
    }


def write_joint_geopackage(path: Path, answer: JointAnswer) -> None:
    """Write `lines` (joint and alone), `seams` and `joint_points` as a GeoPackage, whole or not at all.

    Raises
    ------
    InputError : when the file cannot be written.
    """
    layers = list_joint_layers(answer)
    types = {"lines": "MultiLineString", "seams": "MultiLineString", "joint_points": "Point"}
    before = pyogrio.get_gdal_config_option("OGR_CURRENT_DATE")
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": FIXED_TIME})
    try:
        with write_whole(path) as temporary:
            temporary.unlink()
            for name, frame in layers.items():
                pyogrio.write_dataframe(
                    frame,
                    temporary,
                    layer=name,
                    driver="GPKG",
                    geometry_type=types[name],
                    append=temporary.exists(),
                )
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": before})


def list_joint_layers(answer: JointAnswer) -> dict[str, gpd.GeoDataFrame]:
    """Return the layers of the joint line by name, all EPSG:4326."""
    joint, shown = answer.joint, describe_joint(answer)
    rows: list[dict[str, Any]] = [
        {
            "line": "joint",
            "country": "",
            "cost_eur": joint.joint_eur,
            "geometry": draw_closing(joint, joint.line),
        }
    ]
    for number, (closing, share) in enumerate(zip(joint.alone, joint.countries, strict=True)):
        if closing is not None and closing.walks:
            drawn = draw_closing(joint, closing, number)
            rows.append(
                {"line": "alone", "country": share.key, "cost_eur": share.alone_eur, "geometry": drawn}
            )
    seams = [
        {
            "between": " - ".join(one["between"]),
            **{key: one[key] for key in ("km", "open_km", "hours", "place")},
            "geometry": shape,
        }
        for one, shape in zip(shown["seams"], draw_seams(joint), strict=True)
    ]
    points = [
        {
            "between": " - ".join(one["between"]),
            "place": one["place"],
            "geometry": shapely.Point(one["lon"], one["lat"]),
        }
        for one in shown["joint_points"]
    ]
    return {
        "lines": gpd.GeoDataFrame(rows, geometry="geometry", crs=4326),
        "seams": gpd.GeoDataFrame(
            seams,
            columns=["between", "km", "open_km", "hours", "place", "geometry"],
            geometry="geometry",
            crs=4326,
        ),
        "joint_points": gpd.GeoDataFrame(
            points, columns=["between", "place", "geometry"], geometry="geometry", crs=4326
        ),
    }


def draw_closing(joint: Joint, closing: Closing, number: int | None = None) -> shapely.MultiLineString:
    """Return a closing line as lines; `number` is the country a line alone belongs to."""
    parts = []
    for walk in closing.walks:
        parts += trace_walk(joint, walk, number)
    return shapely.MultiLineString([part for part in parts if len(part) > 1])


def draw_seams(joint: Joint) -> list[shapely.MultiLineString]:
    """Return every seam as the sides of hexagons it runs along."""
    keys = [one.key for one in joint.territories]
    found = []
    for seam in joint.seams:
        here = joint.territories[keys.index(seam.between[0])]
        parts = [
            [locate_vertex(int(here.vertex[end[side]])) for end in (here.sides.tail, here.sides.head)]
            for side in seam.sides
        ]
        found.append(shapely.MultiLineString(parts))
    return found


@dataclass(frozen=True)
class JointOutput:
    """Files asked for on the command line."""

    export: Path | None
    map_file: Path | None
    geopackage: Path | None


def show_joint(paths: Sequence[Path], output: JointOutput, depth_km: float | None, as_json: bool) -> None:
    """Run `abatis joint`: print the answer and write the files asked for."""
    with ShowProgress() as progress:
        if output.export is not None:
            if output.map_file or output.geopackage:
                problem = "is written without a map or a GeoPackage"
                raise InputError([Fault(problem, column="--export", remedy="ask for them without --export")])
            tables = {"export": export_country(paths, output.export, depth_km, progress)}
        else:
            answer = join_paths(paths, depth_km, progress)
            if output.geopackage is not None:
                write_joint_geopackage(output.geopackage, answer)
            if output.map_file is not None:
                progress("map", 0.0)
                write_joint_map(output.map_file, answer)
            tables = tabulate_joint(answer)
    if as_json and output.export is None:
        print_json(describe_joint(answer))
    else:
        show_tables(tables, as_json)
