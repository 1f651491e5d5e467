"""Reserve belts: corridors that are closed from stock; length and delay are the author's own figures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from abatis.barrier.options import SiteOption, find_cell
from abatis.barrier.sites import Site, Siting
from abatis.model.errors import Fault, nearest_word
from abatis.model.mesh import Mesh
from abatis.model.plan import Plan
from abatis.model.study import Study

PLACE = "tables/belts.csv"


@dataclass(frozen=True)
class Belt:
    """A reserve belt: kilometres of a stock that stand at its road head within `notice_h` of the order.

    `cells` int32[] are the cells of the mesh it lies in; `site` is empty where the study gives a position;
    `row` is its row in belts.csv, None where it comes from the plan alone.
    """

    key: str
    name: str
    measure: str
    site: str
    length_km: float
    delay_h: float
    notice_h: float
    lon: float
    lat: float
    cells: np.ndarray
    row: int | None
    tag: str


def read_belts(study: Study, mesh: Mesh, siting: Siting, plan: Plan, faults: list[Fault]) -> tuple[Belt, ...]:
    """List the reserve belts: the plan's options that use a reserve measure, and the rows of belts.csv.

    Parameters
    ----------
    study : a measure is a reserve measure when stocks.csv names it; programme.notice_h is the usual notice.
    mesh, siting, plan : where the sites lie and what the plan chose there.
    faults : every fault found is added.

    In words: an option of the plan asks for as many belt-kilometres as it lays. A row of belts.csv for the
    same site and measure replaces length, delay or notice where it gives them; any other row is a belt of its
    own, which needs a length. Nothing is said or asked about what a belt is made of.
    """
    reserve = set(study.tables["stocks"]["measure"])
    sites = {site.key: site for site in siting.sites}
    table = study.tables["belts"]
    rows: dict[tuple[str, str], pd.Series] = {}
    for number, row in table.iterrows():
        if row["site"]:
            pair = (str(row["site"]), str(row["measure"]))
            if pair in rows:
                text = f"'{pair[0]}' has a belt of {pair[1]} in row {rows[pair].name} already"
                faults.append(Fault(text, PLACE, int(str(number)), "site", "delete one"))
            rows[pair] = row
    belts = list(_list_planned(study, mesh, siting, plan, reserve, rows))
    planned = {(belt.site, belt.measure) for belt in belts}
    for number, row in table.iterrows():
        if (row["site"], row["measure"]) in planned:
            continue
        belt = _read_row(study, mesh, sites, row, int(str(number)), faults)
        if belt is not None:
            belts.append(belt)
    for number, row in table.iterrows():
        if row["measure"] not in reserve:
            text = f"measure '{row['measure']}' is not held in stock"
            remedy = f"add a row to tables/stocks.csv, or {nearest_word(str(row['measure']), reserve)}"
            faults.append(Fault(text, PLACE, int(str(number)), "measure", remedy))
    return tuple(belts)


def _list_planned(
    study: Study,
    mesh: Mesh,
    siting: Siting,
    plan: Plan,
    reserve: set[str],
    rows: Mapping[tuple[str, str], pd.Series],
) -> list[Belt]:
    """Belts of the plan's own options."""
    options: dict[tuple[str, str], SiteOption] = {(one.site, one.option): one for one in siting.options}
    sites = {site.key: site for site in siting.sites}
    measures = {str(one["measure"]): one for _, one in study.tables["measures"].iterrows()}
    belts = []
    for chosen in plan.options:
        option = options.get((chosen.site, chosen.option))
        if option is None:
            continue
        for measure, units in option.quantities:
            if measure not in reserve:
                continue
            row = rows.get((chosen.site, measure))
            site = sites[chosen.site]
            belts.append(
                Belt(
                    key=chosen.site if row is None else str(row["belt"]),
                    name=site.name if row is None else str(row["name"]),
                    measure=measure,
                    site=site.key,
                    length_km=_pick(row, "length_km", units),
                    delay_h=_pick(row, "delay_h", float(measures[measure]["delay_h"])),
                    notice_h=_pick(row, "notice_h", study.notice_h),
                    lon=site.lon,
                    lat=site.lat,
                    cells=find_site_cells(study, mesh, site),
                    row=None if row is None else int(str(row.name)),
                    tag=str(measures[measure]["tag"]) if row is None else str(row["tag"]),
                )
            )
    return belts


def _read_row(
    study: Study, mesh: Mesh, sites: Mapping[str, Site], row: pd.Series, number: int, faults: list[Fault]
) -> Belt | None:
    """Read a belt that stands in belts.csv alone; None when it has a fault."""
    wrong = []
    given = not math.isnan(row["lon"]), not math.isnan(row["lat"])
    site = sites.get(str(row["site"]))
    cells = np.empty(0, np.int32)
    if row["site"] and any(given):
        wrong.append(("site", "stands beside lon and lat", "keep the site or the position"))
    elif row["site"] and site is None:
        wrong.append(("site", f"'{row['site']}' is no site of the study", nearest_word(row["site"], sites)))
    elif site is not None:
        cells = find_site_cells(study, mesh, site)
    elif not all(given):
        wrong.append(("site", "is missing, and lon and lat too", "give a site, or lon and lat"))
    else:
        cell = find_cell(mesh, float(row["lon"]), float(row["lat"]))
        cells = np.array([cell], np.int32)
        if cell < 0:
            wrong.append(("lon", "lies outside the mesh", "check lon and lat"))
        elif not mesh.mask_countries(study.home)[cell]:
            wrong.append(("lon", "lies off home ground", "move it inside " + " ".join(study.home)))
    if math.isnan(row["length_km"]):
        problem = "is missing, and the plan has no option with this measure there"
        wrong.append(("length_km", problem, "give km"))
    faults += [Fault(problem, PLACE, number, column, remedy) for column, problem, remedy in wrong]
    if wrong:
        return None
    measures = {str(one["measure"]): one for _, one in study.tables["measures"].iterrows()}
    return Belt(
        key=str(row["belt"]),
        name=str(row["name"]),
        measure=str(row["measure"]),
        site=str(row["site"]),
        length_km=float(row["length_km"]),
        delay_h=_pick(row, "delay_h", float(measures[str(row["measure"])]["delay_h"])),
        notice_h=_pick(row, "notice_h", study.notice_h),
        lon=float(row["lon"]) if site is None else site.lon,
        lat=float(row["lat"]) if site is None else site.lat,
        cells=cells,
        row=number,
        tag=str(row["tag"]),
    )


def _pick(row: pd.Series | None, column: str, otherwise: float) -> float:
    return otherwise if row is None or math.isnan(row[column]) else float(row[column])


def find_site_cells(study: Study, mesh: Mesh, site: Site) -> np.ndarray:
    """Rows of the home cells on both sides of a site's edges, int32[]."""
    cells = np.unique(np.concatenate([mesh.edge_a[site.edges], mesh.edge_b[site.edges]]))
    return np.asarray(cells[mesh.mask_countries(study.home)[cells]], np.int32)
