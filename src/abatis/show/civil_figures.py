"""Every number of the civil account with its formula, the source of its inputs, and the weakest tag."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from abatis.barrier.sites import Siting
from abatis.model.plan import Plan
from abatis.model.study import Study
from abatis.people.access import Access
from abatis.people.access_terms import CLOSED, PEACE
from abatis.people.clearance import Liability, read_terms
from abatis.people.impact import Impact
from abatis.people.land import LandAccount

TAG_ORDER = ("F", "D", "F-", "G")
AMBULANCE, AMBULANCE_H = "ambulance", 1.0
STATE_WORDS = {"before": "before", PEACE: "with the plan in peace", CLOSED: "with all sites closed"}


@dataclass(frozen=True)
class CivilFigure:
    """One number of the civil account: how it is written, made, where its inputs come from, and their tag."""

    key: str
    name: str
    value: float
    unit: str
    style: str
    formula: str
    source: str
    tag: str


@dataclass(frozen=True)
class _Inputs:
    """Where inputs come from (`source`) and the tag of the weakest of them."""

    source: str
    tag: str

    def make(
        self, key: str, name: str, value: float, unit: str, style: str, formula: str, tag: str = ""
    ) -> CivilFigure:
        """Make a figure of these inputs, with a tag of its own where one is given."""
        return CivilFigure(key, name, float(value), unit, style, formula, self.source, tag or self.tag)


def join_tags(tags: Iterable[str]) -> str:
    """Return the weakest of some tags: a number is no surer than what it is made of.

    Examples
    --------
    >>> join_tags(["F", "G", "D"]), join_tags([])
    ('G', 'G')
    """
    return max(tags, key=TAG_ORDER.index, default="G")


def count_quantities(siting: Siting, plan: Plan) -> list[tuple[str, float]]:
    """List measure and units of every option that a plan chooses."""
    options = {(one.site, one.option): one for one in siting.options}
    return [pair for one in plan.options for pair in options[one.site, one.option].quantities]


def list_figures(
    study: Study,
    siting: Siting,
    plan: Plan,
    impact: Impact,
    access: Access,
    land: LandAccount,
    liability: Liability,
) -> list[CivilFigure]:
    """List the numbers of the civil account: access, land and nature, what must be cleared."""
    return [
        *_list_access(study, access),
        *_list_city(study, impact),
        *_list_land(study, siting, plan, impact, land),
        *_list_liability(study, liability),
    ]


def _list_access(study: Study, access: Access) -> list[CivilFigure]:
    roads = ["roads", "bridges"]
    tags = [*study.tables["places"]["tag"], *study.tables["speeds"]["tag"], *_tags_of(study, roads)]
    driving = _Inputs(f"tables/places.csv; {_name_layers(study, roads)}; tables/speeds.csv", join_tags(tags))
    leaving = _Inputs(
        f"{driving.source}; road_capacities.csv; access_terms.csv; people: {access.people_basis}",
        join_tags([driving.tag, *(["G"] if access.placeholders else [])]),
    )
    found = []
    for state in (PEACE, CLOSED):
        cut = access.list_places_cut_off(state)
        told = f"that reach a hospital, a school or safe ground by road before and not {STATE_WORDS[state]}"
        found += [
            driving.make(
                f"places_cut_off_{state}",
                f"places cut off, {STATE_WORDS[state]}",
                len(cut),
                "",
                ",.0f",
                f"count of home places {told}",
            ),
            driving.make(
                f"people_cut_off_{state}",
                f"people cut off, {STATE_WORDS[state]}",
                sum(one.persons for one in cut),
                "",
                ",.0f",
                f"sum of the people of places {told}",
            ),
        ]
    for state, words in STATE_WORDS.items():
        far = [
            one.persons
            for one in access.places
            if AMBULANCE in one.hours and one.hours[AMBULANCE].pick(state) > AMBULANCE_H
        ]
        found.append(
            driving.make(
                f"people_far_{state}",
                f"people over 60 minutes from a hospital, {words}",
                sum(far),
                "",
                ",.0f",
                f"sum of the people of places with over 60 minutes' drive or none, {words}; "
                f"hospitals: {access.hospital_basis}",
            )
        )
    for state, words in STATE_WORDS.items():
        found += _list_leaving(leaving, access, state, words)
    return found


def _list_leaving(made: _Inputs, access: Access, state: str, words: str) -> list[CivilFigure]:
    one, safe = access.evacuation[state], f"{access.safe_km:g} km"
    last = f"hours until the last of those who have a way is over {safe} from hostile ground, {words}"
    return [
        made.make(
            f"evacuation_{state}", f"time to evacuate on the fastest ways, {words}", one.clear_h, "h", ",.1f",
            f"{last}: driving plus queues at the roads' capacity when everyone takes the fastest way",
        ),
        made.make(
            f"spread_{state}", f"time to evacuate when spread over several ways, {words}", one.spread_h, "h",
            ",.1f", f"{last}: the best spread over several ways that was found; no spread is below "
            f"{one.bound_h:,.1f} h",
        ),
        made.make(
            f"stranded_{state}", f"people without a way to safe ground, {words}", one.stranded, "", ",.0f",
            f"sum of the people nearer than {safe} to hostile ground without a road out, {words}",
        ),
    ]  # fmt: skip


def _list_city(study: Study, impact: Impact) -> list[CivilFigure]:
    cut_off, longer = impact.places_cut_off, impact.places_longer
    tags = [*study.tables["places"]["tag"], *study.tables["speeds"]["tag"], *_tags_of(study, ["roads"])]
    made = _Inputs(f"tables/places.csv; {_name_layers(study, ['roads'])}; tables/speeds.csv", join_tags(tags))
    shut = "with every road at a chosen site shut"
    extra_min = 60.0 * max((one.after_h - one.before_h for one in longer), default=0.0)
    people = ["population"] if len(study.source_rows("population")) else ["built_up"]
    near = _Inputs(
        f"{_name_layers(study, people)}; tables/places.csv",
        join_tags([*study.tables["places"]["tag"], *_tags_of(study, people)]),
    )
    people_of = "sum of the people of these places"
    return [
        near.make(
            "people_near",
            "people beside the sites",
            impact.people_near,
            "",
            ",.0f",
            "sum of home people in the cells on both sides of the closed edges, each cell once",
        ),
        made.make(
            "places_cut_off",
            "places without a road to a city",
            len(cut_off),
            "",
            ",.0f",
            f"count of home places with a road to a city before and none {shut}",
        ),
        made.make(
            "people_cut_off", "people in them", sum(one.population for one in cut_off), "", ",.0f", people_of
        ),
        made.make(
            "places_longer",
            "places with a longer way to a city",
            len(longer),
            "",
            ",.0f",
            f"count of places whose drive to the nearest city takes over a minute more {shut}",
        ),
        made.make(
            "people_longer", "people in them", sum(one.population for one in longer), "", ",.0f", people_of
        ),
        made.make(
            "longest_extra",
            "longest extra way",
            extra_min,
            "min",
            ",.0f",
            f"largest drive to the nearest city {shut}, less the same with all roads",
        ),
    ]


def _list_land(
    study: Study, siting: Siting, plan: Plan, impact: Impact, land: LandAccount
) -> list[CivilFigure]:
    measures = study.tables["measures"].set_index("measure")["tag"]
    tag = join_tags(measures[key] for key, _ in count_quantities(siting, plan))
    ground = _Inputs("tables/measures.csv; lengths of the mesh", tag)
    nature = _Inputs(
        f"{_name_layers(study, ['protected'])}; tables/measures.csv",
        join_tags([tag, *_tags_of(study, ["protected"])]),
    )
    people = ["population"] if len(study.source_rows("population")) else ["built_up"]
    homes = _Inputs(
        f"{_name_layers(study, people)}; tables/places.csv; persons per household of land_terms.csv",
        join_tags([land.tags["household"], *_tags_of(study, people), *study.tables["places"]["tag"]]),
    )
    return [
        homes.make(
            "households_near",
            f"households within {land.near_m:g} m",
            land.households_500m,
            "",
            ",.0f",
            f"people of home cells x share of the cell within {land.near_m:g} m of a work / persons per "
            "household",
        ),
        ground.make(
            "land_take",
            "land taken",
            impact.land_total_ha,
            "ha",
            ",.0f",
            "sum over chosen options of units x land_take_m2 of the measure / 10,000",
        ),
        nature.make(
            "protected",
            "protected land taken",
            impact.protected_ha,
            "ha",
            ",.1f",
            "sum over sites of land taken x protected share of the cells beside the site, by boundary length",
        ),
    ]


def _list_liability(study: Study, liability: Liability) -> list[CivilFigure]:
    price = read_terms(study)["price"]
    tags = [price.tag, *(job.duty.tag for job in liability.jobs)]
    made = _Inputs(
        f"tables/belts.csv, tables/measures.csv, hazard register; price: {price.source}", join_tags(tags)
    )
    return [
        made.make(
            f"liability_{key}",
            f"clearing one day, {word}",
            getattr(liability.cost, key),
            "EUR",
            ",.0f",
            f"open area of the hazard register and of reserve belts counted as if laid x {word} price, "
            f"{getattr(price.value, key):g} EUR per m2; not discounted",
        )
        for key, word in (("low", "lowest"), ("mode", "likely"), ("high", "highest"))
    ]


def _name_layers(study: Study, layers: Sequence[str]) -> str:
    of_source: dict[str, list[str]] = {}
    for layer in layers:
        sources = "; ".join(dict.fromkeys(str(one) for one in study.source_rows(layer)["source"]))
        of_source.setdefault(sources, []).append(layer)
    found = []
    for sources, names in of_source.items():
        words = f"layer{'s' if len(names) > 1 else ''} {', '.join(names)}"
        found.append(f"{words} ({sources})" if sources else f"no {words}")
    return "; ".join(found)


def _tags_of(study: Study, layers: Sequence[str]) -> list[str]:
    return [str(tag) for layer in layers for tag in study.source_rows(layer)["tag"]]
