"""Emission notices as tables: what civil life each touches, what is in it by name, which overlap."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from abatis.ground.speeds import compute_edge_times
from abatis.model.errors import Fault, InputError, nearest_word
from abatis.model.mesh import Mesh
from abatis.model.study import Study
from abatis.people.impact import choose_civil_vehicle
from abatis.show.progress import ShowProgress
from abatis.show.tables import Column, Table
from abatis.show.workflow import load_study
from abatis.watch.notice_effects import NEAR_KM, NoticeEffect, assess_notice, describe_effect
from abatis.watch.notices import TABLE, Notice, find_overlaps, read_notices

SEASON = "dry"
NOTE = (
    "A notice says where and when something may be emitted, never what. People and cropland are spread "
    "evenly over a cell. Cropland is where farm machines steer by satellite positions. Ways to hospital are "
    "those of places whose fastest road to the nearest hospital leads through a cell that the area touches."
)


def describe_notices(
    folder: Path, progress: ShowProgress, file: Path | None = None, key: str = "", near_km: float = NEAR_KM
) -> dict[str, Table]:
    """Lay out the notices of a study, or of a file, with what they touch.

    Parameters
    ----------
    folder : study folder with a mesh.
    progress : shown while ways to hospitals are computed.
    file : .csv or .geojson with notices; the study's register when None.
    key : show this notice only.
    near_km : facilities this near to an outline are listed too.

    Raises
    ------
    InputError : every fault of the notices; no notice at all; an unknown key.
    """
    study, mesh = load_study(folder)
    notices = read_notices(study, file)
    if not notices:
        remedy = "write the table (see: abatis fields notices) or give --file"
        raise InputError([Fault("holds no emission notice", str(file or TABLE), remedy=remedy)])
    chosen = [one for one in notices if not key or one.key == key]
    if not chosen:
        remedy = nearest_word(key, [one.key for one in notices])
        raise InputError([Fault(f"there is no notice '{key}'", column="--notice", remedy=remedy)])
    progress("ways to hospitals", 0.0)
    effects = assess_notices(study, mesh, chosen, near_km)
    return {**tabulate_effects(effects), "overlaps": lay_out_overlaps(notices, key)}


def assess_notices(
    study: Study, mesh: Mesh, notices: Sequence[Notice], near_km: float = NEAR_KM
) -> tuple[NoticeEffect, ...]:
    """Assess some notices on the roads of a study, with the vehicle that stands for ambulances."""
    times = compute_edge_times(study, mesh, choose_civil_vehicle(study), SEASON)
    road_h = np.asarray(times.road_h)
    places = study.tables["places"]
    return tuple(assess_notice(mesh, mesh.facilities, places, one, road_h, near_km) for one in notices)


def tabulate_effects(effects: Sequence[NoticeEffect]) -> dict[str, Table]:
    """Lay out what notices touch: sums, facilities by name, countries, ways to hospital."""
    touched = [
        {
            "notice": effect.notice.key, "kind": one.kind, "name": one.name, "inside": one.inside,
            "distance_km": one.distance_km, "lon": one.lon, "lat": one.lat, "source": one.source,
        }
        for effect in effects
        for one in effect.touched
    ]  # fmt: skip
    countries = [
        {
            "notice": effect.notice.key, "country": one.country, "area_km2": one.area_km2,
            "people": one.people, "cropland_ha": one.cropland_ha,
        }
        for effect in effects
        for one in effect.countries
    ]  # fmt: skip
    ways = [
        {
            "notice": effect.notice.key, "place": one.place, "name": one.name,
            "population": one.population, "hours": one.hours,
        }
        for effect in effects
        for one in effect.ways or ()
    ]  # fmt: skip
    return {
        "notices": Table(
            "Emission notices", _SUMS, tuple(describe_effect(one) for one in effects), _note(effects)
        ),
        "touched": Table("Airports, ports and hospitals in the area or near it", _TOUCHED, tuple(touched)),
        "countries": Table("People and farms by country", _COUNTRIES, tuple(countries)),
        "ways": Table("Places whose way to hospital leads through the area", _WAYS, tuple(ways)),
    }


def _note(effects: Sequence[NoticeEffect]) -> str:
    told = [f"{one.notice.key}: {note}." for one in effects for note in one.notes]
    return "\n".join([NOTE, *told])


def lay_out_overlaps(notices: Sequence[Notice], key: str = "") -> Table:
    """Lay out the pairs of notices that share ground and time; those of one notice when `key` is given."""
    rows = tuple(
        {
            "first": one.first, "second": one.second, "area_km2": one.area_km2,
            "starts": one.starts.isoformat(timespec="minutes"),
            "ends": one.ends.isoformat(timespec="minutes"),
        }
        for one in find_overlaps(notices)
        if not key or key in (one.first, one.second)
    )  # fmt: skip
    return Table("Notices that share ground and time", _OVERLAPS, rows)


_SUMS = (
    Column("notice", "notice"),
    Column("kind", "kind"),
    Column("author", "by"),
    Column("starts", "starts"),
    Column("ends", "ends"),
    Column("area_km2", "area [km2]", ",.1f"),
    Column("people", "people", ",.0f"),
    Column("cropland_ha", "cropland [ha]", ",.0f"),
    Column("airports", "airports", ",.0f"),
    Column("ports", "ports", ",.0f"),
    Column("hospitals", "hospitals", ",.0f"),
    Column("people_on_ways", "people whose way to hospital crosses it", ",.0f"),
)
_TOUCHED = (
    Column("notice", "notice"),
    Column("kind", "kind"),
    Column("name", "name"),
    Column("inside", "inside"),
    Column("distance_km", "away [km]", ".1f"),
)
_COUNTRIES = (
    Column("notice", "notice"),
    Column("country", "country"),
    Column("area_km2", "area [km2]", ",.1f"),
    Column("people", "people", ",.0f"),
    Column("cropland_ha", "cropland [ha]", ",.0f"),
)
_WAYS = (
    Column("notice", "notice"),
    Column("name", "place"),
    Column("population", "people", ",.0f"),
    Column("hours", "time to hospital [h]", ".2f"),
)
_OVERLAPS = (
    Column("first", "notice"),
    Column("second", "overlaps"),
    Column("area_km2", "shared ground [km2]", ",.1f"),
    Column("starts", "from"),
    Column("ends", "until"),
)
