"""What the ground bears: bearing or soil strength of a season against what a vehicle needs."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from abatis.model.study import Study
from abatis.model.words import COVER_WORDS, SOIL_WORDS

Level = Literal["low", "mode", "high"]
WETLAND = COVER_WORDS.index("wetland")
_BEARING = {"low": "bearing_low_kpa", "mode": "bearing_kpa", "high": "bearing_high_kpa"}
# Wetter ground is weaker: the pessimistic value is the wettest state.
_MOISTURE = {"low": "moisture_high_percent", "mode": "moisture_percent", "high": "moisture_low_percent"}
_WEAKEST_LAST = ("F", "D", "F-", "G")
LARGE_MOBILITY_INDEX = 115.0


def compute_soil_strength(moisture_percent: float, clay_percent: np.ndarray) -> np.ndarray:
    """Return the rating cone index of fine soil, f8[N].

    Parameters
    ----------
    moisture_percent : water by weight of dry soil, above 0.
    clay_percent : clay content [N], 0 to 100.

    Formula: ln RCI = 4.605 + (2.123 + 0.008 C - 0.693 ln M) / (0.149 + 0.002 C).
    In words: soil loses strength as it gets wetter, sandy soil abruptly, clay slowly. Source: Anderson 1983,
    Applied Geography 3, after Collins 1971 (F). It says nothing about peat, frost or layers below.

    Examples
    --------
    Clay 20 %: (2.283 - 0.693 ln 25) / 0.189 = 0.277; 100 x e^0.277 = 132. At 45 % water it bears a ninth.

    >>> [round(float(compute_soil_strength(m, np.array([20.0]))[0])) for m in (25, 35, 45)]
    [132, 38, 15]
    """
    logarithm = 4.605 + (2.123 + 0.008 * clay_percent - 0.693 * np.log(moisture_percent)) / (
        0.149 + 0.002 * clay_percent
    )
    return np.asarray(np.exp(logarithm))


def compute_cone_index(mobility_index: float, tyre_deflection_share: float) -> float:
    """Return the vehicle cone index for one pass (VCI1) of an all-wheel-drive vehicle on fine soil.

    Parameters
    ----------
    mobility_index : MI, above 0.
    tyre_deflection_share : deflection over section height of the tyre, d / h.

    Formula: DCF = (0.15 / (d/h))^0.25; VCI1 = (11.48 + 0.2 MI - 39.2 / (MI + 3.74)) DCF up to MI 115, then
    4.1 MI^0.446 DCF.
    In words: the least soil strength on which the vehicle passes once; softer tyres need less. Source: Priddy
    and Willoughby 2004 (F; the sign of the third term from general knowledge).

    Examples
    --------
    >>> round(compute_cone_index(60, 0.15), 1), round(compute_cone_index(60, 0.35), 1)
    (22.9, 18.5)
    """
    softness = (0.15 / tyre_deflection_share) ** 0.25
    if mobility_index > LARGE_MOBILITY_INDEX:
        return float(4.1 * mobility_index**0.446 * softness)
    return float((11.48 + 0.2 * mobility_index - 39.2 / (mobility_index + 3.74)) * softness)


def compute_slowdown(strength: np.ndarray, need: float, full_ratio: float) -> np.ndarray:
    """Return the speed factor of ground, 0 (no-go) to 1 (as fast as on firm ground), f8[N].

    Parameters
    ----------
    strength : bearing or soil strength [N].
    need : what the vehicle asks in the same unit.
    full_ratio : strength over need from which the ground no longer slows.

    Formula: factor = (strength / need - 1) / (full_ratio - 1), held between 0 and 1.
    In words: no-go where the ground bears less than the vehicle asks; from there the spare strength gives
    speed, in a straight line. The straight line is a choice of this planner (G).

    Examples
    --------
    A tank that presses 87 kPa on drained bog (98 kPa) creeps; on wet peat (25 kPa) it sinks.

    >>> [round(float(one), 2) for one in compute_slowdown(np.array([98.0, 24.5, 200.0]), 87.0, 2.0)]
    [0.13, 0.0, 1.0]
    """
    return np.asarray(np.clip((strength / need - 1.0) / (full_ratio - 1.0), 0.0, 1.0))


def find_soil_row(study: Study, ground: str, season: str) -> pd.Series | None:
    """Return the row of tables/soils.csv for a ground and season, else that for any season, else None."""
    table = study.tables["soils"]
    for one in (season, "any"):
        rows = table[(table["ground"] == ground) & (table["season"] == one)]
        if not rows.empty:
            return rows.iloc[0]
    return None


def find_need(study: Study, vehicle: str, row: pd.Series) -> float | None:
    """Return what a vehicle asks of a ground: kPa where the row gives a bearing, RCI where moisture, or None.

    In words: ground_pressure_kpa, or cone_index, or the cone index by formula from mobility_index.
    """
    vehicles = study.tables["vehicles"]
    own = vehicles[vehicles["vehicle"] == vehicle]
    if own.empty:
        return None
    asked = own.iloc[0]
    if row["bearing_kpa"] >= 0:
        return float(asked["ground_pressure_kpa"]) if asked["ground_pressure_kpa"] > 0 else None
    if asked["cone_index"] > 0:
        return float(asked["cone_index"])
    if asked["mobility_index"] > 0:
        return compute_cone_index(float(asked["mobility_index"]), float(asked["tyre_deflection_share"]))
    return None


def find_ground_factor(
    study: Study,
    vehicle: str,
    season: str,
    ground: str,
    clay_percent: np.ndarray,
    level: Level = "mode",
) -> np.ndarray | None:
    """Return the speed factor of a ground by its bearing or strength, f8[N], or None where nothing is given.

    Parameters
    ----------
    study : the study; tables soils and vehicles.
    vehicle, season : whose factor.
    ground : soil word, or wetland.
    clay_percent : clay content of the cells [N], NaN unknown.
    level : low is the weakest ground of the range given, high the strongest.

    In words: a row with a bearing is held against the ground pressure, a row with moisture becomes soil
    strength by its clay and is held against the cone index. Without a row, or without the vehicle's number,
    the factor of tables/speeds.csv stands.
    """
    row = find_soil_row(study, ground, season)
    need = None if row is None else find_need(study, vehicle, row)
    if row is None or need is None:
        return None
    if row["bearing_kpa"] >= 0:
        strength = np.full(len(clay_percent), float(row[_BEARING[level]]))
    else:
        clay = np.where(np.isnan(clay_percent), float(row["clay_percent"]), clay_percent)
        strength = compute_soil_strength(float(row[_MOISTURE[level]]), clay.astype(np.float64))
    return compute_slowdown(strength, need, float(row["full_ratio"]))


def note_bearing(study: Study, cover: np.ndarray, soil: np.ndarray, clay_percent: np.ndarray) -> list[str]:
    """Say in words on what bearing the results rest, with its tag, for grounds that occur in the mesh.

    Parameters
    ----------
    study : the study.
    cover, soil : shares of the cells [N, 9], [N, 4].
    clay_percent : clay content [N], NaN unknown.
    """
    present = {word: float(soil[:, index].sum()) > 0 for index, word in enumerate(SOIL_WORDS)}
    present["wetland"] = float(cover[:, WETLAND].sum()) > 0
    table = study.tables["approaches"]
    uses = sorted(set(zip(table["vehicle"], table["season"], strict=True)))
    notes = []
    moist = False
    for ground in (word for word, there in present.items() if there):
        for vehicle, season in uses:
            row = find_soil_row(study, ground, season)
            if row is None:
                continue
            moist |= not row["bearing_kpa"] >= 0
            notes.append(_describe_use(study, vehicle, season, ground, row))
    known = ~np.isnan(clay_percent)
    if moist and not known.all():
        notes.append(
            f"clay content of {100 * float(np.mean(~known)):.1f} % of the cells is unknown: taken from "
            "tables/soils.csv"
        )
    if known.any() and not moist:
        notes.append("the layer clay is not used: tables/soils.csv gives no moisture for soils of the mesh")
    return notes


def _describe_use(study: Study, vehicle: str, season: str, ground: str, row: pd.Series) -> str:
    need = find_need(study, vehicle, row)
    bears = row["bearing_kpa"] >= 0
    if need is None:
        missing = "ground_pressure_kpa" if bears else "cone_index"
        return (
            f"{vehicle} has no {missing} in tables/vehicles.csv: on {ground} ({season}) its factor of "
            "tables/speeds.csv stands"
        )
    vehicles = study.tables["vehicles"]
    tags = (row["tag"], vehicles[vehicles["vehicle"] == vehicle].iloc[0]["tag"])
    weakest = max(tags, key=_WEAKEST_LAST.index)
    ranges = [
        find_ground_factor(study, vehicle, season, ground, np.array([np.nan]), level)
        for level in ("low", "mode", "high")
    ]
    low, mode, high = (float(one[0]) for one in ranges if one is not None)
    columns, unit = (_BEARING, "kPa") if bears else (_MOISTURE, "% moisture")
    spread = sorted((float(row[columns["low"]]), float(row[columns["high"]])))
    told = f"{float(row[columns['mode']]):g} ({spread[0]:g} to {spread[1]:g}) {unit}"
    if not bears:
        told += f" and {float(row['clay_percent']):g} % clay"
    verdict = "no-go" if mode == 0 else f"factor {mode:.2f}"
    asked = f"{need:.0f} kPa" if bears else f"a soil strength of {need:.0f} (RCI)"
    return (
        f"{ground} ({season}) with {told} against {asked} of {vehicle}: {verdict}, {low:.2f} to {high:.2f} "
        f"over the range ({weakest})"
    )
