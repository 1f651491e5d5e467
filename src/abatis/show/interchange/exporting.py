"""`abatis export`: one folder with a plan in the formats asked for, whole or not at all."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd

import abatis
from abatis.barrier.planning import find_study_folder
from abatis.barrier.sites import site_study
from abatis.model.errors import Fault, InputError, nearest_word
from abatis.model.plan import read_plan
from abatis.model.storage import write_text_whole
from abatis.show.export import write_layers
from abatis.show.interchange.geojson import write_geojson
from abatis.show.interchange.geoparquet import write_geoparquet
from abatis.show.interchange.kml import TITLES, write_kml
from abatis.show.interchange.layers import HEXAGON_LAYERS, choose_layers, choose_styles
from abatis.show.interchange.nvg import list_graphics, write_nvg
from abatis.show.interchange.workbook import write_workbook
from abatis.show.results import Progress, Results, compute_results
from abatis.show.tables import Column, Table
from abatis.show.workflow import load_study

CONTENTS = "export.json"


@dataclass(frozen=True)
class Made:
    """One file of an export: its path in the folder, format, layer (empty: several), features or rows."""

    file: str
    format: str
    layer: str
    count: int


@dataclass(frozen=True)
class Given:
    """What the writers get: the results, their layers, and whether only the public's part is asked for."""

    results: Results
    layers: Mapping[str, gpd.GeoDataFrame]
    public: bool
    title: str
    note: str


Writer = Callable[[Path, Given], tuple[list[Made], list[str]]]


def _make_geopackage(folder: Path, given: Given) -> tuple[list[Made], list[str]]:
    name = f"{given.results.plan.name}.gpkg"
    write_layers(folder / name, given.layers, choose_styles(given.public))
    return [Made(name, "gpkg", layer, len(frame)) for layer, frame in given.layers.items()], []


def _make_geojson(folder: Path, given: Given) -> tuple[list[Made], list[str]]:
    made = []
    for layer, frame in given.layers.items():
        name = f"geojson/{layer}.geojson"
        write_geojson(folder / name, frame, f"{given.title}: {layer}")
        made.append(Made(name, "geojson", layer, len(frame)))
    return made, []


def _make_geoparquet(folder: Path, given: Given) -> tuple[list[Made], list[str]]:
    made = []
    for layer, frame in given.layers.items():
        name = f"geoparquet/{layer}.parquet"
        write_geoparquet(folder / name, frame)
        made.append(Made(name, "geoparquet", layer, len(frame)))
    return made, []


def _make_kml(folder: Path, given: Given) -> tuple[list[Made], list[str]]:
    name = f"{given.results.plan.name}.kml"
    write_kml(folder / name, given.layers, given.title, given.note)
    left = [
        f"layer {one} of hexagons is not in {name}: globes choke on it; take GeoPackage or GeoParquet"
        for one in HEXAGON_LAYERS
        if one in given.layers
    ]
    return [Made(name, "kml", one, len(frame)) for one, frame in given.layers.items() if one in TITLES], left


def _make_nvg(folder: Path, given: Given) -> tuple[list[Made], list[str]]:
    name = f"{given.results.plan.name}.nvg"
    graphics, left_out = list_graphics(given.results)
    write_nvg(folder / name, graphics, given.title)
    return [Made(name, "nvg", "", len(graphics))], [f"{one} (not in {name})" for one in left_out]


def _make_workbook(folder: Path, given: Given) -> tuple[list[Made], list[str]]:
    name = f"{given.results.plan.name}.xlsx"
    write_workbook(folder / name, given.results, given.public)
    return [Made(name, "xlsx", "", len(given.results.plan.options))], []


WRITERS: dict[str, Writer] = {
    "gpkg": _make_geopackage,
    "geoparquet": _make_geoparquet,
    "geojson": _make_geojson,
    "kml": _make_kml,
    "nvg": _make_nvg,
    "xlsx": _make_workbook,
}


def read_formats(text: str, public: bool) -> tuple[str, ...]:
    """Read the formats asked for, each once, in the order given.

    Parameters
    ----------
    text : formats with commas between them.
    public : NVG shows nothing but planned works, so the public's part has none.

    Raises
    ------
    InputError : for words that are no format, for none at all, and for NVG in the public's part.

    Examples
    --------
    >>> read_formats("kml, gpkg,kml", public=False)
    ('kml', 'gpkg')
    """
    words = list(dict.fromkeys(one.strip().lower() for one in text.split(",") if one.strip()))
    faults = [
        Fault(f"'{word}' is no format", column="--format", remedy=nearest_word(word, WRITERS))
        for word in words
        if word not in WRITERS
    ]
    if not words:
        faults.append(Fault("names no format", column="--format", remedy=nearest_word("", WRITERS)))
    if public and "nvg" in words:
        problem = "nvg holds only lines and sites, which the public does not see"
        faults.append(Fault(problem, column="--format", remedy="leave out nvg or --public"))
    if faults:
        raise InputError(faults)
    return tuple(words)


def export_plan(
    plan_folder: Path, formats: Sequence[str], folder: Path, public: bool, progress: Progress
) -> Table:
    """Write a plan in some formats into one folder, whole or not at all; returns the table of its files.

    Parameters
    ----------
    plan_folder : STUDY/plans/NAME.
    formats : from `read_formats`.
    folder : folder to write; an earlier export there is replaced, anything else there is refused.
    public : only what the public may see.
    progress : callback (stage, share done).

    Raises
    ------
    InputError : no such plan, another state of the study, or a folder that holds other things.
    """
    check_target(folder)
    plan = read_plan(plan_folder)
    study, mesh = load_study(find_study_folder(plan_folder))
    results = compute_results(study, mesh, site_study(study, mesh, progress), plan, progress)
    return export_results(results, formats, folder, public, progress)


def export_results(
    results: Results, formats: Sequence[str], folder: Path, public: bool, progress: Progress
) -> Table:
    """Write results in some formats; see `export_plan`."""
    folder = folder.resolve()
    check_target(folder)
    plan = results.plan
    schematic = (
        "Schematic: it shows how abatis works and is no survey of the ground. "
        if results.study.schematic
        else ""
    )
    note = f"{schematic}Plan {plan.name} of study {results.study.name}, state {plan.study_hash[:12]}."
    given = Given(results, choose_layers(results, public), public, f"{plan.title} ({plan.name})", note)
    made: list[Made] = []
    left_out: list[str] = []
    with _replace_folder(folder) as part:
        for number, name in enumerate(formats):
            progress(f"writing {name}", number / len(formats))
            files, left = WRITERS[name](part, given)
            made += files
            left_out += left
        contents = _describe(part, given, made, left_out)
        write_text_whole(part / CONTENTS, json.dumps(contents, indent=1, ensure_ascii=False) + "\n")
    progress("writing", 1.0)
    return _tabulate(folder, made, left_out)


def check_target(folder: Path) -> None:
    """Refuse a folder that holds anything but an earlier export: what is in it would be replaced.

    Raises
    ------
    InputError : when it is a file, or holds files that no export wrote; each is named.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise InputError([Fault("is not a folder", str(folder), remedy="give a new folder")])
    own = {CONTENTS}
    try:
        known = json.loads((folder / CONTENTS).read_text("utf-8"))["files"]
        own |= {str(one["file"]) for one in known}
    except (OSError, ValueError, KeyError, TypeError):
        pass
    found = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())
    others = [one for one in found if one not in own]
    if others:
        more = f" and {len(others) - 5} more" if len(others) > 5 else ""
        problem = f"holds what no export wrote: {', '.join(others[:5])}{more}"
        raise InputError([Fault(problem, str(folder), remedy="give a new or empty folder")])


@contextmanager
def _replace_folder(folder: Path) -> Iterator[Path]:
    """Give an empty folder that takes the place of `folder` on success; nothing of the old one stays.

    Files of an earlier export for the planners must not remain beside a later one for the public.
    """
    place: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(prefix=".part-", dir=folder.parent))
        part, old = place / "new", place / "old"
        part.mkdir()
        yield part
        if folder.exists():
            folder.replace(old)
        try:
            part.replace(folder)
        except OSError:
            if old.exists():
                old.replace(folder)
            raise
    except OSError as error:
        problem = f"cannot be written: {(error.strerror or str(error)).lower()}"
        remedy = "check free space and the rights of the folder; an earlier export was kept"
        raise InputError([Fault(problem, str(folder), remedy=remedy)]) from error
    finally:
        if place is not None:
            shutil.rmtree(place, ignore_errors=True)


def _describe(folder: Path, given: Given, made: Sequence[Made], left_out: Sequence[str]) -> dict[str, Any]:
    files: dict[str, dict[str, Any]] = {}
    for one in made:
        entry = files.setdefault(one.file, {"file": one.file, "format": one.format, "layers": {}})
        entry["layers"][one.layer or "all"] = one.count
    for name, entry in files.items():
        data = (folder / name).read_bytes()
        entry["bytes"], entry["sha256"] = len(data), hashlib.sha256(data).hexdigest()
    plan = given.results.plan
    return {
        "made_with": f"abatis {abatis.__version__}",
        "plan": plan.name,
        "title": plan.title,
        "study": given.results.study.name,
        "study_hash": plan.study_hash,
        "schematic": given.results.study.schematic,
        "public": given.public,
        "crs": "EPSG:4326",
        "files": list(files.values()),
        "left_out": list(left_out),
    }


def _tabulate(folder: Path, made: Sequence[Made], left_out: Sequence[str]) -> Table:
    columns = (
        Column("file", "file"),
        Column("format", "format"),
        Column("layer", "layer"),
        Column("count", "features or rows", ",.0f"),
    )
    rows = tuple(
        {"file": str(folder / one.file), "format": one.format, "layer": one.layer, "count": one.count}
        for one in made
    )
    note = "Left out: " + "; ".join(left_out) + "." if left_out else ""
    return Table(f"Export in {folder}", columns, rows, note)
