"""Lets the tests of the ground share `ground_cases`, and makes a tiny study on flat synthetic ground.

The study: home H from 24.0 to 24.2 E, hostile X from 24.2 to 24.4 E, both from 55.0 to 55.1 N.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import geopandas as gpd
import pytest
import shapely

from abatis.model.study import Study, read_study

sys.path.insert(0, str(Path(__file__).parent))

from fetch_cases import fetch, no_proxy, server, study_folder  # noqa: F401

HEADER = "layer,file,sublayer,class_column,name_column,value_column,licence,source,tag"
COVER = (
    "cropland 0.6 grass 0.7 shrub 0.5 open_forest 0.25 dense_forest 0 wetland 0 built_up 0.4 bare 0.8 water 0"
)
TABLES = {
    "vehicles": "vehicle,name,source,tag\ntracked,Tracked,s,G\n",
    "fronts": "front,name,countries,source,tag\neast,East,X,s,G\n",
    "approaches": (
        "approach,name,front,objective,vehicle,season,weight,source,tag\na,A,east,town,tracked,dry,1,s,G\n"
    ),
    "measures": (
        "measure,name,unit,unit_cost_low_eur,unit_cost_eur,unit_cost_high_eur,delay_low_h,delay_h,"
        "delay_high_h,lead_months,life_years,land_take_m2,removal_cost_eur,reversibility,source,tag\n"
        "ditch,Ditch,km,1,2,3,1,2,3,1,1,1,1,low,s,G\n"
    ),
    "options": "option,name,open_measure,source,tag\nditch,Ditch,ditch,s,G\n",
    "budget": "line,name,amount_eur,planned,source,tag\nall,All,100,true,s,G\n",
    "crossings": (
        "vehicle,season,from_m,to_m,crossing_h,source,tag\n"
        "any,any,10,50,0.5,s,G\nany,any,50,10000,,s,G\ntracked,any,10,30,0.25,s,G\n"
    ),
}
PLACES = "place,name,lon,lat,population,kind,country,source,tag\ntown,Town,24.1,55.05,1000,town,H,s,G\n"


def write_speeds() -> str:
    words = COVER.split()
    rows = ["vehicle,season,factor,word,low,mode,high,source,tag", "any,any,base,open,20,30,40,s,G"]
    rows += [f"any,any,cover,{w},{f},{f},{f},s,G" for w, f in zip(words[::2], words[1::2], strict=True)]
    rows += [f"any,any,slope,{w},1,1,1,s,G" for w in ("0-10", "10-20", "20-30", "30-45")]
    rows += ["any,any,slope,over-45,0,0,0,s,G"]
    rows += [f"any,any,soil,{w},1,1,1,s,G" for w in ("mineral", "sand", "clay", "peat")]
    speed = {"motorway": 80, "main": 60, "regional": 50, "local": 40, "track": 20}
    rows += [f"any,any,road,{w},{v},{v},{v},s,G" for w, v in speed.items()]
    rows += ["tracked,any,road,main,30,36,40,s,G", "any,mud,road,main,10,20,30,s,G"]
    return "\n".join(rows) + "\n"


@pytest.fixture
def make_study(tmp_path: Path) -> Callable[..., Study]:
    """Write and read a tiny study; `layers` maps a layer to (frame, {column: value}) or to a file's name."""

    def make(
        layers: Mapping[str, Any] | None = None,
        settings: str = "",
        places: str = PLACES,
        classes: str = "",
        resolution: int = 8,
        borders: gpd.GeoDataFrame | None = None,
    ) -> Study:
        folder = tmp_path / "study"
        for part in ("tables", "sources"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        for name, text in {**TABLES, "places": places, "speeds": write_speeds()}.items():
            (folder / "tables" / f"{name}.csv").write_text(text)
        if classes:
            (folder / "tables" / "classes.csv").write_text("layer,code,word\n" + classes)
        if borders is None:
            ground = [shapely.box(24.0, 55.0, 24.2, 55.1), shapely.box(24.2, 55.0, 24.4, 55.1)]
            borders = gpd.GeoDataFrame({"country": ["H", "X"]}, geometry=ground, crs="EPSG:4326")
        rows = [HEADER]
        all_layers = {"borders": (borders, {"class_column": "country"}), **(layers or {})}
        if not set(all_layers) & {"roads", "landcover", "landcover_areas"}:
            field = gpd.GeoDataFrame(
                {"class": ["cropland"]}, geometry=[shapely.box(23.9, 54.9, 24.5, 55.2)], crs="EPSG:4326"
            )
            all_layers["landcover_areas"] = (field, {"class_column": "class"})
        for layer, (frame, columns) in all_layers.items():
            file = frame
            if isinstance(frame, gpd.GeoDataFrame):
                file = f"{layer}.gpkg"
                (folder / "sources" / file).unlink(missing_ok=True)
                frame.to_file(folder / "sources" / file)
            named = [columns.get(name, "") for name in HEADER.split(",")[2:6]]
            rows.append(",".join([layer, str(file), *named, "own", "s", "G"]))
        (folder / "sources" / "sources.csv").write_text("\n".join(rows) + "\n")
        (folder / "study.toml").write_text(
            f'name = "t"\ntitle = "T"\nhome = ["H"]\nhostile = ["X"]\nresolution = {resolution}\n'
            f"strip_km = 4\npixel_m = 50\n{settings}"
        )
        return read_study(folder)

    return make
