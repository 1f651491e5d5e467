"""The land account of a plan: ground by cover and owner, farms, people, water, nature, purchase, notices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from abatis.barrier.sites import Siting
from abatis.model.mesh import Mesh
from abatis.model.plan import Plan
from abatis.model.study import Study
from abatis.model.words import COVER_WORDS
from abatis.people.clearance import Range, Term
from abatis.people.drainage import WaterAccount, account_water
from abatis.people.land_terms import (
    OWNER_KINDS,
    NoticeAccount,
    OwnerShares,
    account_notices,
    find_worst_tag,
    read_land_layer,
    read_land_terms,
    read_owners,
)
from abatis.people.nature import (
    DOUBLE_COUNTING,
    Corridors,
    NatureGain,
    PeatTarget,
    account_gain,
    account_peat_target,
    find_corridors,
)
from abatis.people.nature import LIMITS as NATURE_LIMITS
from abatis.people.nearness import FARM_WORDS, Farms, People, count_farms, count_people_near, draw_works
from abatis.people.site_works import SiteWork, Taken, list_site_works, spread_ground

PRICE_OF_COVER = {
    "cropland": "price_cropland", "grass": "price_grass", "shrub": "price_other",
    "open_forest": "price_forest", "dense_forest": "price_forest", "wetland": "price_other",
    "built_up": "price_built_up", "bare": "price_other",
}  # fmt: skip
LIMITS = (
    (
        "Ground is the land take of the measures, spread over the cells beside each site: no surveyed "
        "outline. A reserve belt counts as if it were laid."
    ),
    (
        "Owners are shares of owners.csv or Latvia's 77 % private, not a land register; plots and owners "
        "are hectares over a mean size. Prices are placeholders without legal cost, easements, houses and "
        "lost harvest. Months do not grow with the number of plots."
    ),
    "People are spread evenly over their cell; a household is a mean number of persons.",
)


@dataclass(frozen=True)
class Acquisition:
    """What must be bought: private ha, plots (all and private), owners, EUR, months; low, likely and high."""

    private_ha: float
    plots: Range
    private_plots: Range
    owners: Range
    cost_eur: Range
    months: Range


@dataclass(frozen=True)
class SiteLand:
    """Land account of one site: ground taken and protected [ha], people near, farms split."""

    site: str
    name: str
    land_ha: float
    protected_ha: float
    persons_near: float
    farms_split: int


@dataclass(frozen=True)
class LandAccount:
    """Everything a plan does to land and nature; hectares, persons, EUR of the base year.

    `by_owner` by private, state, municipal and public (state or municipal, not told apart). `corridors` is
    None and `peat_targets` empty where the data cannot say. `tags` by figure used; `ground` is the least sure
    of the study's sources, `land_take` that of the measures.
    """

    plan: str
    land_ha: float
    by_cover: Mapping[str, float]
    by_owner: Mapping[str, float]
    owner_basis: str
    protected_ha: float
    farms: Farms
    persons_near: float
    near_m: float
    households_near: Range
    water: WaterAccount
    corridors: Corridors | None
    gain: NatureGain
    peat_targets: tuple[PeatTarget, ...]
    acquisition: Acquisition
    notices: NoticeAccount
    sites: tuple[SiteLand, ...]
    tags: Mapping[str, str]
    limits: tuple[str, ...]

    @property
    def farms_split(self) -> int:
        """Farms split, or cells of cropland cut: `farms.basis` says which."""
        return self.farms.count

    @property
    def households_500m(self) -> float:
        """Likely number of households within `near_m` (500 m unless the study says otherwise)."""
        return self.households_near.mode


def account_land(study: Study, mesh: Mesh, siting: Siting, plan: Plan) -> LandAccount:
    """Draw up the land account of a plan.

    Parameters
    ----------
    study, mesh : the study and its mesh; land_terms.csv, owners.csv, land_layers.csv and land_notices.csv of
        the study's tables are read when they are there.
    siting : sites and options the plan chose from.
    plan : the plan.

    In words: every option's land take is spread over the cells beside its site and told by cover and owner;
    then people, farms, water and nature beside the works are counted, and what buying the ground takes.

    Raises
    ------
    InputError : faults of those tables, or a plan that does not belong to the study.
    """
    terms = read_land_terms(study)
    home = mesh.mask_countries(study.home)
    works = list_site_works(study, mesh, siting, plan)
    taken = spread_ground(mesh, works)
    owners = read_owners(study, mesh.lon[taken.cells], mesh.lat[taken.cells], terms["private"])
    ground = draw_works(mesh, works)
    near_m = terms["near_m"].value.mode
    people = count_people_near(mesh, home, ground, near_m)
    part_ha, cropland = terms["farm_part_ha"].value.mode, terms["cropland_share"].value.mode
    parcels = read_land_layer(study, "farm_parcels")
    farms = count_farms(mesh, home, works, ground, parcels, part_ha, cropland)
    gain = account_gain(mesh, taken, terms)
    water = account_water(mesh, works, terms)
    land = taken.ha.sum(axis=(0, 1))
    by_owner = np.einsum("tc,tco->o", taken.ha.sum(axis=0), owners.shares)
    protected = _find_protected(mesh, works)
    taking = [work.site.key for work in works if sum(work.taken_ha.values()) > 0]
    return LandAccount(
        plan=plan.name,
        land_ha=float(sum(sum(work.taken_ha.values()) for work in works)),
        by_cover={word: float(ha) for word, ha in zip(COVER_WORDS, land, strict=True)},
        by_owner={kind: float(ha) for kind, ha in zip(OWNER_KINDS, by_owner, strict=True)},
        owner_basis=owners.basis,
        protected_ha=float(protected.sum()),
        farms=farms,
        persons_near=people.total,
        near_m=near_m,
        households_near=_divide(Range(people.total, people.total, people.total), terms["household"].value),
        water=water,
        corridors=find_corridors(mesh, home, works, terms),
        gain=gain,
        peat_targets=account_peat_target(mesh, home, gain, terms),
        acquisition=account_acquisition(study, taken, owners, terms),
        notices=account_notices(study, siting, taking),
        sites=_list_sites(works, protected, people, farms),
        tags=_collect_tags(study, siting, plan, terms, owners),
        limits=(*LIMITS, *water.limits, *NATURE_LIMITS, DOUBLE_COUNTING),
    )


def _collect_tags(
    study: Study, siting: Siting, plan: Plan, terms: Mapping[str, Term], owners: OwnerShares
) -> dict[str, str]:
    options = {(one.site, one.option): one for one in siting.options}
    measures = study.tables["measures"].set_index("measure")["tag"]
    used = {key for one in plan.options for key, _ in options[one.site, one.option].quantities}
    ground = find_worst_tag(study.sources["tag"])
    return {key: term.tag for key, term in terms.items()} | {
        "owners": find_worst_tag(owners.tags),
        "ground": ground,
        "land_take": find_worst_tag([ground, *(measures[key] for key in used)]),
    }


def account_acquisition(
    study: Study, taken: Taken, owners: OwnerShares, terms: Mapping[str, Term]
) -> Acquisition:
    """Say what buying the ground takes.

    Formula: cost = sum over covers of private ha x price of the cover; plots = ha / plot_ha; owners =
    private ha / owner_ha; months = land_months of the study, within low and high of the term.
    In words: public ground changes hands without a price; water is not bought. Few plots or many, the months
    stay the same: procedures of several owners run side by side.

    Source: Latvia's first phase, see land_terms.csv.
    """
    ha = taken.ha.sum(axis=0)
    private = (ha * owners.shares[:, :, 0]).sum(axis=0)
    cost = Range(0.0, 0.0, 0.0)
    for word, term in PRICE_OF_COVER.items():
        cost += terms[term].value.times(float(private[COVER_WORDS.index(word)]))
    bought = [COVER_WORDS.index(word) for word in PRICE_OF_COVER]
    total_ha, private_ha = float(ha[:, bought].sum()), float(private[bought].sum())
    months, likely = terms["land_months"].value, study.land_months
    if not total_ha > 0:
        months = Range(0.0, 0.0, 0.0)
    else:
        months = Range(min(months.low, likely), likely, max(months.high, likely))
    plot_ha, owner_ha = terms["plot_ha"].value, terms["owner_ha"].value
    return Acquisition(
        private_ha=private_ha,
        plots=_divide(Range(total_ha, total_ha, total_ha), plot_ha),
        private_plots=_divide(Range(private_ha, private_ha, private_ha), plot_ha),
        owners=_divide(Range(private_ha, private_ha, private_ha), owner_ha),
        cost_eur=cost,
        months=months,
    )


def _divide(top: Range, bottom: Range) -> Range:
    return Range(top.low / bottom.high, top.mode / bottom.mode, top.high / bottom.low)


def _find_protected(mesh: Mesh, works: tuple[SiteWork, ...]) -> np.ndarray:
    """Protected ground each site takes, ha: mean share beside its edges, weighed by boundary length."""
    found = np.zeros(len(works))
    for number, work in enumerate(works):
        edges = np.asarray(work.site.edges)
        weight = mesh.length_m[edges].astype(np.float64)
        share = (mesh.protected[mesh.edge_a[edges]] + mesh.protected[mesh.edge_b[edges]]) / 2.0
        found[number] = sum(work.taken_ha.values()) * float(weight @ share) / weight.sum()
    return found


def _list_sites(
    works: tuple[SiteWork, ...], protected: np.ndarray, people: People, farms: Farms
) -> tuple[SiteLand, ...]:
    return tuple(
        SiteLand(
            work.site.key,
            work.site.name,
            float(sum(work.taken_ha.values())),
            float(protected[number]),
            float(people.by_site[number]),
            int(farms.by_site[number]),
        )
        for number, work in enumerate(works)
    )


def list_land(account: LandAccount) -> list[dict[str, Any]]:
    """List the account as rows `figure, low, mode, high, unit, tag, note`; None where nothing is known.

    In words: the rows of the civil account on the first page come first; a row without a range repeats its
    value. No row is surer than the least sure of the figures, measures and sources it rests on.
    """
    buy, gain, farms, tags = account.acquisition, account.gain, account.farms, account.tags
    taken, ground = tags["land_take"], tags["ground"]
    owned = _worst_tag(tags, "owners", "land_take")
    prices = _worst_tag(tags, "land_take", *set(PRICE_OF_COVER.values()))
    rates = _worst_tag(tags, "land_take", "rewet_cropland", "rewet_grass", "rewet_forest", "plant_forest")
    near = f"within {account.near_m:g} m of the works"
    rows = [_row("land taken", account.land_ha, "ha", taken, "land take of the measures")]
    for word, ha in account.by_cover.items():
        if ha > 0:
            rows.append(_row(f"land taken: {word.replace('_', ' ')}", ha, "ha", taken))
    for kind, ha in account.by_owner.items():
        if ha > 0:
            rows.append(_row(f"land taken: {kind}", ha, "ha", owned, account.owner_basis))
    return [
        *rows,
        _row("protected nature taken", account.protected_ha, "ha", taken),
        _row("farms split", farms.count, _FARM_UNITS[farms.basis], ground, FARM_WORDS[farms.basis]),
        _row("work through cropland", farms.cropland_km, "km", ground),
        _row("households near", account.households_near, "households", _worst_tag(tags, "household"), near),
        _row("plots to acquire", buy.plots, "plots", _worst_tag(tags, "plot_ha", "land_take")),
        _row("private owners", buy.owners, "owners", _worst_tag(tags, "owner_ha", "land_take")),
        _row("purchase of private ground", buy.cost_eur, "EUR", prices),
        _row("time to acquire", buy.months, "months", _worst_tag(tags, "land_months")),
        *_list_water(account.water, tags),
        *_list_corridors(account.corridors, _worst_tag(tags, "corridor_km", "ground")),
        _row("ground rewetted", gain.rewetted_ha, "ha", taken),
        _row("ground planted", gain.planted_ha, "ha", taken),
        _row("emissions saved", gain.saved_t_per_year, "t CO2e/year", rates),
        _row(
            "of it not counted elsewhere", gain.additional_t_per_year, "t CO2e/year", rates, DOUBLE_COUNTING
        ),
        _row("carbon lost with cleared forest", gain.cleared_t, "t CO2e", tags["clear_forest"], "once"),
        _row("habitat gained", gain.habitat_gained_ha, "ha", taken),
        _row("habitat lost", gain.habitat_lost_ha, "ha", taken),
        *_list_targets(account.peat_targets, tags),
        *_list_notices(account.notices),
    ]


_FARM_UNITS = {"parcels": "farm parcels", "cropland_cells": "cells of cropland"}


def describe_land(account: LandAccount) -> dict[str, Any]:
    """Return the account as plain values for JSON: numbers, texts and lists; None where nothing is known."""
    values = asdict(account)
    values["farms"] = {
        "basis": account.farms.basis,
        "meaning": FARM_WORDS[account.farms.basis],
        "count": account.farms.count,
        "cropland_km": account.farms.cropland_km,
    }
    values["farms_split"] = account.farms_split
    values["households_500m"] = account.households_500m
    return _make_plain(values)


def _make_plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _make_plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_make_plain(one) for one in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def _row(
    figure: str, value: Range | float | None, unit: str, tag: str, note: str = ""
) -> dict[str, float | str | None]:
    """One row; what is not known carries no tag."""
    if not isinstance(value, Range):
        plain = np.nan if value is None else float(value)
        value = Range(plain, plain, plain)
    low, mode, high = (one if np.isfinite(one) else None for one in (value.low, value.mode, value.high))
    tag = tag if mode is not None else ""
    return {"figure": figure, "low": low, "mode": mode, "high": high, "unit": unit, "tag": tag, "note": note}


def _worst_tag(tags: Mapping[str, str], *keys: str) -> str:
    return find_worst_tag(tags[key] for key in keys)


def _list_water(water: WaterAccount, tags: Mapping[str, str]) -> list[dict[str, Any]]:
    ditches = [one for one in water.sites if one.kind == "ditch"]
    wet = [one for one in water.sites if one.kind != "ditch"]
    note = "screening from mean heights of cells" if water.known else "the mesh has no heights"
    blind = sum(bool(np.isnan(one.upstream_km2)) for one in water.sites)
    if water.known and blind:
        note += f"; {blind} of {len(water.sites)} works are left out: heights beside them are unknown"
    drained, soaked = Range(0.0, 0.0, 0.0), Range(0.0, 0.0, 0.0)
    backed = Range(0.0, 0.0, 0.0)
    for one in ditches:
        drained, soaked = drained + one.drained_ha, soaked + one.drained_wet_ha
    for one in wet:
        if not (water.known and np.isnan(one.upstream_km2)):
            backed += one.backwater_ha
    checks = sum(one.must_check for one in water.sites) if water.known else None
    upstream = water.upstream_km2 if water.known else None
    return [
        _row("ground upstream of ditches and rewetting", upstream, "km2", tags["ground"], note),
        _row("sites a hydrologist must check", checks, "sites", tags["flood_km2"], note),
        _row("ground that ditches drain", drained, "ha", tags["drain_m"]),
        _row("of it wetland or peat", soaked, "ha", tags["drain_m"]),
        _row("ground where rewetting backs up", backed, "ha", tags["rise_m"], note),
    ]


def _list_corridors(corridors: Corridors | None, tag: str) -> list[dict[str, Any]]:
    if corridors is None:
        note = "not known: the data hold no protected areas"
        return [_row("wildlife corridors crossed", None, "corridors", tag, note)]
    note = f"of {corridors.links} forest ways between {corridors.patches} protected patches"
    return [
        _row("wildlife corridors crossed", len(corridors.crossed), "corridors", tag, note),
        _row("of them cut", corridors.cut, "corridors", tag),
        _row("of them lengthened", corridors.lengthened, "corridors", tag),
        _row("protected patches entered by ditch or fence", corridors.patches_entered, "patches", tag),
    ]


def _list_targets(targets: tuple[PeatTarget, ...], tags: Mapping[str, str]) -> list[dict[str, Any]]:
    if not targets:
        note = "not known: the data hold no peat under cropland or grass"
        return [_row("share of the EU's peat target", None, "share", "F", note)]
    return [
        _row(
            f"share of the EU's peat target of {one.year}",
            one.share,
            "share",
            _worst_tag(tags, f"eu_drained_{one.year}", f"eu_rewet_{one.year}", "land_take"),
            f"{one.planned_ha:.0f} of {one.needed_ha:.0f} ha on the home ground of the mesh",
        )
        for one in targets
    ]


def _list_notices(notices: NoticeAccount) -> list[dict[str, Any]]:
    if not notices.known:
        note = "not known: the study has no land_notices.csv"
        return [_row("notices to owners", None, "notices", "D", note)]
    rows = [
        _row(f"notices {status}", count, "notices", "D", f"{notices.amount_eur[status]:,.0f} EUR")
        for status, count in notices.count.items()
    ]
    return [*rows, _row("sites without a notice", len(notices.sites_without), "sites", "D")]
