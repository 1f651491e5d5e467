"""plan.gpkg: one GeoPackage with all layers of a plan, which QGIS opens already styled."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
import shapely

from abatis.ground.hexgrid import build_hexgrid, find_corners
from abatis.model.facilities import Facilities
from abatis.model.fields import fields_of
from abatis.model.storage import write_whole
from abatis.model.words import COVER_WORDS, FACILITY_WORDS
from abatis.show.avenue_maps import list_avenue_layers
from abatis.show.basemap import locate_edge_corners
from abatis.show.layer_styles import FIXED_TIME, write_layer_styles
from abatis.show.maps import subtract_hours
from abatis.show.results import Progress, Results
from abatis.show.styles import LAYER_STYLES


def write_geopackage(path: Path, results: Results, progress: Progress | None = None) -> None:
    """Write plan.gpkg whole or not at all.

    Layers: `cells` (hexagons of the home country; cover, hours to each objective before and after), `lines`,
    `sites` (chosen or not; option, effect, cost, delays), `routes`, `places`, `facilities` (where there
    are any), `avenues`, `shared_stretches`, `chokepoints`, `needed_cells`; table
    `layer_styles` holds their QML.

    Parameters
    ----------
    path : file to write; an earlier one stays when anything goes wrong.
    results : the plan and all that was computed about it.
    progress : callback (stage, share done).

    Raises
    ------
    InputError : when the file cannot be written.

    In words: the same results give the same bytes: no time of day is stored.
    """
    write_layers(path, list_layers(results), LAYER_STYLES, progress)


def write_layers(
    path: Path,
    layers: Mapping[str, gpd.GeoDataFrame],
    styles: Mapping[str, str],
    progress: Progress | None = None,
) -> None:
    """Write some layers of a plan into a GeoPackage with their styles, whole or not at all.

    Parameters
    ----------
    path : file to write.
    layers : frames by name, of the names that `list_layers` knows, EPSG:4326.
    styles : QML by layer.
    progress : callback (stage, share done).

    Raises
    ------
    InputError : when the file cannot be written.
    """
    before = pyogrio.get_gdal_config_option("OGR_CURRENT_DATE")
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": FIXED_TIME})
    try:
        with write_whole(path) as temporary:
            temporary.unlink()
            for index, (name, frame) in enumerate(layers.items()):
                if progress is not None:
                    progress("plan.gpkg", index / len(layers))
                _write_layer(temporary, name, frame)
            write_layer_styles(temporary, styles, layers)
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": before})
    if progress is not None:
        progress("plan.gpkg", 1.0)


def list_layers(results: Results) -> dict[str, gpd.GeoDataFrame]:
    """Return the layers by name, all EPSG:4326, in drawing order from bottom to top."""
    mesh = results.mesh
    corner_lonlat, cell_corner = find_corners(
        build_hexgrid(np.asarray(mesh.cells)), np.asarray(mesh.neighbor)
    )
    edge_lonlat = corner_lonlat[locate_edge_corners(mesh, cell_corner)]
    layers = {
        "cells": _list_cells(results, corner_lonlat[cell_corner]),
        **list_avenue_layers(results, corner_lonlat[cell_corner]),
        "lines": _list_lines(results),
        "sites": _list_sites(results, edge_lonlat),
        "routes": _list_routes(results),
        "places": _list_places(results),
    }
    if mesh.facilities.count:
        layers["facilities"] = _list_facilities(mesh.facilities)
    return layers


def _list_facilities(facilities: Facilities) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame(
        {
            "kind": np.array(FACILITY_WORDS, dtype=object)[facilities.kind],
            "name": list(facilities.name),
            "protected_work": facilities.mask_protected(),
            "source": list(facilities.source),
        },
        geometry=gpd.points_from_xy(facilities.lon, facilities.lat),
        crs=4326,
    )


def _list_cells(results: Results, corner_lonlat: np.ndarray) -> gpd.GeoDataFrame:
    mesh = results.mesh
    home = np.flatnonzero(mesh.mask_countries(results.study.home))
    gained_h = subtract_hours(results.border_after_h, results.border_before_h)
    columns: dict[str, object] = {
        "h3": [f"{int(cell):x}" for cell in mesh.cells[home]],
        "country": np.array(mesh.country_codes, dtype=object)[mesh.country[home]],
        "main_cover": np.array(COVER_WORDS, dtype=object)[np.argmax(mesh.cover[home], axis=1)],
        "population": np.round(mesh.population[home].astype(np.float64), 1),
        "protected_share": np.round(mesh.protected[home].astype(np.float64), 3),
        "border_km": np.round(mesh.border_km[home].astype(np.float64), 2),
        "border_before_h": _round_hours(results.border_before_h[home]),
        "border_after_h": _round_hours(results.border_after_h[home]),
        "gained_h": _round_hours(gained_h[home]),
    }
    for approach in results.approaches:
        columns[f"{approach.key}_before_h"] = _round_hours(approach.before_h[home])
        columns[f"{approach.key}_after_h"] = _round_hours(approach.after_h[home])
    return gpd.GeoDataFrame(columns, geometry=shapely.polygons(corner_lonlat[home]), crs=4326)


def _list_lines(results: Results) -> gpd.GeoDataFrame:
    lines = results.siting.lines
    return gpd.GeoDataFrame(
        {
            "line": [line.key for line in lines],
            "name": [line.name for line in lines],
            "length_km": [round(float(line.length_km), 3) for line in lines],
            "cost_eur": [round(float(line.cost_eur), 2) for line in lines],
            "closed_by_nature_share": [round(float(line.closed_by_nature), 4) for line in lines],
        },
        geometry=[
            shapely.MultiLineString([list(map(tuple, part)) for part in line.polylines]) for line in lines
        ],
        crs=4326,
    )


def _list_sites(results: Results, edge_lonlat: np.ndarray) -> gpd.GeoDataFrame:
    chosen = {one.site.key: one for one in results.chosen}
    effects = {one.site: one.effect for one in results.avenues.effects}
    rows = []
    for site in results.siting.sites:
        option = chosen[site.key].option if site.key in chosen else None
        rows.append(
            {
                "label": results.labels[site.key],
                "site": site.key,
                "name": site.name,
                "kind": site.kind,
                "echelon": int(site.echelon),
                "gap_km": round(float(site.gap_km), 3),
                "roads": int(site.roads),
                "bridges": int(site.bridges),
                "chosen": option is not None,
                "option": option.name if option else "",
                "effect": effects.get(site.key, ""),
                "cost_eur": round(float(option.cost_eur), 2) if option else 0.0,
                "delay_open_h": float(option.delay_open_h) if option else 0.0,
                "delay_road_h": float(option.delay_road_h) if option else 0.0,
                "delay_bridge_h": float(option.delay_bridge_h) if option else 0.0,
                "land_take_m2": round(float(option.land_take_m2), 1) if option else 0.0,
                "geometry": shapely.MultiLineString(list(edge_lonlat[np.asarray(site.edges)])),
            }
        )
    columns = list(rows[0]) if rows else ["label", "site", "chosen", "geometry"]
    return gpd.GeoDataFrame(rows, columns=columns, geometry="geometry", crs=4326)


def _list_routes(results: Results) -> gpd.GeoDataFrame:
    mesh = results.mesh
    hours = {one.id: one for one in results.plan.approaches}
    rows = []
    for approach in results.approaches:
        for state, route in (("before", approach.route_before), ("after", approach.route_after)):
            if len(route) < 2:
                continue
            value = hours[approach.key]
            rows.append(
                {
                    "approach": approach.key,
                    "name": value.name,
                    "state": state,
                    "hours": round(value.before_h if state == "before" else value.after_h, 4),
                    "geometry": shapely.LineString(np.column_stack([mesh.lon[route], mesh.lat[route]])),
                }
            )
    return gpd.GeoDataFrame(
        rows, columns=["approach", "name", "state", "hours", "geometry"], geometry="geometry", crs=4326
    )


def _list_places(results: Results) -> gpd.GeoDataFrame:
    places = results.study.tables["places"].reset_index(drop=True)
    objectives = set(results.study.tables["approaches"]["objective"])
    frame = places[
        [field.column for field in fields_of("places") if field.column not in ("lon", "lat")]
    ].copy()
    frame["objective"] = [place in objectives for place in places["place"]]
    return gpd.GeoDataFrame(frame, geometry=gpd.points_from_xy(places["lon"], places["lat"]), crs=4326)


def _write_layer(path: Path, name: str, frame: gpd.GeoDataFrame) -> None:
    types = {
        "cells": "Polygon",
        "lines": "MultiLineString",
        "sites": "MultiLineString",
        "routes": "LineString",
        "places": "Point",
        "facilities": "Point",
        "needed_cells": "Polygon",
        "avenues": "LineString",
        "shared_stretches": "LineString",
        "chokepoints": "Point",
    }
    pyogrio.write_dataframe(
        frame,
        path,
        layer=name,
        driver="GPKG",
        geometry_type=types[name],
        append=path.exists(),
        use_arrow=True,
    )


def _round_hours(hours: np.ndarray) -> np.ndarray:
    """Round to 4 decimals; what is never reached becomes empty."""
    return np.where(np.isfinite(hours), np.round(hours, 4), np.nan)
