"""The view of people: the civil account of a plan by place and by area, kept beside the plan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from abatis.barrier.sites import Siting, site_study
from abatis.model.mesh import Mesh
from abatis.model.plan import Plan, read_plan
from abatis.model.study import Study
from abatis.people.access import PlaceWays, list_evacuation_states, list_longer
from abatis.people.access_terms import CLOSED, PEACE
from abatis.show.app.answers.tables import answer_table
from abatis.show.app.answers.trace import trace_id
from abatis.show.app.answers.views import (
    AxisAnswer,
    ChartAnswer,
    FeaturesAnswer,
    SeriesAnswer,
    ViewAnswer,
    tell_missing,
)
from abatis.show.app.saved import hash_plan, lock_plan
from abatis.show.app.views.areas import count_areas, draw_areas, read_areas
from abatis.show.app.views.kept import hash_inputs, keep_view, read_view
from abatis.show.app.views.shapes import collect, make_point
from abatis.show.civil import (
    AIM_WORDS,
    CivilAccount,
    compute_account,
    tabulate_causes,
    tabulate_closing,
    tabulate_cut_off,
    tabulate_duties,
    tabulate_evacuation,
    tabulate_figures,
    tabulate_land,
    tabulate_shelter,
)
from abatis.show.civil_figures import AMBULANCE, STATE_WORDS
from abatis.show.clearance import tabulate_clearance
from abatis.show.report.people import tabulate_changed_corridors, tabulate_exits
from abatis.show.results import Progress, check_same_study
from abatis.show.tables import Column, Table
from abatis.show.workflow import load_study

FILE = "people_view.json"


def write_people_view(folder: Path, plan_name: str, progress: Progress) -> Path:
    """Compute the civil account of a plan and keep its view beside the plan; returns the file.

    Parameters
    ----------
    folder : study folder with a mesh. plan_name : its plan. progress : called with stage and share.

    Raises
    ------
    InputError : every fault of study, mesh, plan, register or terms; or the plan was replaced meanwhile.
    """
    place = folder / "plans" / plan_name
    # Before anything is read: what changes meanwhile makes another mark.
    mark, read_hash = hash_inputs(folder, plan_name), hash_plan(place)
    study, mesh = load_study(folder)
    plan = read_plan(place)
    check_same_study(study, plan)
    siting = site_study(study, mesh, progress)
    answer = make_people_view(study, mesh, siting, plan, progress)
    with lock_plan(folder, place, read_hash):
        keep_view(place / FILE, mark, answer)
    return place / FILE


def read_people(folder: Path, plan_name: str) -> ViewAnswer:
    """Read the view kept beside a plan; says which job makes it where there is none that fits."""
    place = folder / "plans" / plan_name
    found = read_view(place / FILE, hash_inputs(folder, plan_name))
    if found is not None:
        return found
    if (place / FILE).is_file():
        return tell_missing("people", "The civil account was made from another state of the study.")
    return tell_missing("people", f"The civil account of plan {plan_name} was not computed yet.")


def make_people_view(study: Study, mesh: Mesh, siting: Siting, plan: Plan, progress: Progress) -> ViewAnswer:
    """Make the view of a plan's civil account.

    Parameters
    ----------
    study, mesh, siting, plan : the chain up to the plan.
    progress : called with stage and share.

    Raises
    ------
    InputError : see `compute_account`.
    """
    progress("civil account", 0.0)
    account = compute_account(study, mesh, siting, plan)
    progress("civil account", 0.8)
    areas = read_areas(study, mesh)
    by_area = count_areas(study, areas, siting, plan, account)
    figures = [
        dict.fromkeys(("name", "shown"), trace_id("people", plan.name, "figure", key))
        for key in account.figures
    ]
    clearing = tabulate_clearance(account.clearance)
    tables = {
        "areas": by_area,
        "places": tabulate_places(account),
        "cut_off": tabulate_cut_off(account),
        "longer": _tabulate_longer(account),
        "causes": tabulate_causes(account),
        "evacuation": tabulate_evacuation(account),
        "exits": tabulate_exits(account),
        "closing": tabulate_closing(account),
        "corridors": tabulate_changed_corridors(account),
        "land": tabulate_land(account),
        "shelter": tabulate_shelter(account),
        "clearing": clearing["totals"],
        "duties": tabulate_duties(account),
    }
    answer = ViewAnswer(
        made=True,
        job="people",
        notes=list(account.access.limits),
        tables={"figures": answer_table(tabulate_figures(account), traces=figures)},
        features={
            "places": draw_places(study, account.access.places),
            "areas": draw_areas(areas, by_area),
            "people_near": _draw_near(siting, account),
        },
        charts={"evacuation": chart_evacuation(account), "cut_off": chart_cut_off(account)},
    )
    answer.tables |= {key: answer_table(table) for key, table in tables.items()}
    progress("civil account", 1.0)
    return answer


def tabulate_places(account: CivilAccount) -> Table:
    """Tabulate every home place: its people and the hours of its ways before, in peace and closed."""
    rows = tuple(
        {
            "place": one.place,
            "name": one.name,
            "persons": one.persons,
            "border_km": one.border_km,
            **_list_hours(one),
        }
        for one in sorted(account.access.places, key=lambda one: (-one.persons, one.place))
    )
    columns = [
        Column("name", "place"),
        Column("persons", "people", ",.0f"),
        Column("border_km", "from hostile ground [km]", ",.0f"),
    ]
    columns += [
        Column(f"{aim}_{state}_h", f"{words}, {told} [h]", ",.2f")
        for aim, words in AIM_WORDS.items()
        if rows and f"{aim}_before_h" in rows[0]
        for state, told in STATE_WORDS.items()
    ]
    return Table("Ways of every place", tuple(columns), rows, "Hours are free-flow driving; never: no way.")


def _tabulate_longer(account: CivilAccount) -> Table:
    columns = (
        Column("name", "place"),
        Column("persons", "people", ",.0f"),
        Column("before_h", "before [h]", ",.2f"),
        Column("after_h", "with all sites closed [h]", ",.2f"),
    )
    rows = tuple(list_longer(account.access, AMBULANCE))
    return Table("Places with a longer way to a hospital, all sites closed", columns, rows)


def draw_places(study: Study, ways: tuple[PlaceWays, ...]) -> FeaturesAnswer:
    """Draw home places as points with their people, what they lose, and their hours."""
    where = study.tables["places"].set_index("place")[["lon", "lat"]]
    lonlat = where.loc[[one.place for one in ways]].to_numpy(np.float64)
    return collect(
        make_point(
            float(lonlat[row, 0]),
            float(lonlat[row, 1]),
            {
                "place": one.place,
                "name": one.name,
                "persons": one.persons,
                "border_km": round(one.border_km, 2),
                "zone": one.zone,
                "lost": [AIM_WORDS[aim] for aim in one.list_lost(CLOSED)],
                "lost_in_peace": [AIM_WORDS[aim] for aim in one.list_lost(PEACE)],
                **_list_hours(one),
            },
        )
        for row, one in enumerate(ways)
    )


def _list_hours(ways: PlaceWays) -> dict[str, float]:
    """Hours of each way in each state, by aim and state."""
    return {
        f"{aim}_{state}_h": round(hours.pick(state), 3)
        for aim, hours in ways.hours.items()
        for state in STATE_WORDS
    }


def _draw_near(siting: Siting, account: CivilAccount) -> FeaturesAnswer:
    """Chosen sites as points with the people beside them and the land they take."""
    sites = {one.key: one for one in siting.sites}
    return collect(
        make_point(sites[one.site].lon, sites[one.site].lat, {**vars(one), "name": sites[one.site].name})
        for one in account.impact.sites
    )


def chart_evacuation(account: CivilAccount) -> ChartAnswer:
    """Chart the hours until everyone is on safe ground, in each state of the roads."""
    rows = list_evacuation_states(account.access)
    series = (
        ("clear_h", "on the fastest ways"),
        ("spread_h", "spread over several ways"),
        ("bound_h", "at best"),
    )

    def pick(row: dict[str, Any], key: str) -> float | str:
        return float(row[key]) if np.isfinite(row[key]) else "never"

    return ChartAnswer(
        title="Hours until everyone who has a way is on safe ground",
        x=AxisAnswer(caption="state of the roads", values=[STATE_WORDS[str(row["state"])] for row in rows]),
        y=AxisAnswer(caption="time", unit="h"),
        series=[
            SeriesAnswer(key=key, name=name, kind="bar", values=[pick(row, key) for row in rows])
            for key, name in series
        ],
    )


def chart_cut_off(account: CivilAccount) -> ChartAnswer:
    """Chart how many people lose the way to a hospital, a school, safe ground, in peace and closed."""
    aims = [aim for aim in AIM_WORDS if any(aim in one.hours for one in account.access.places)]
    return ChartAnswer(
        title="People who lose a way",
        x=AxisAnswer(caption="way to", values=[AIM_WORDS[aim] for aim in aims]),
        y=AxisAnswer(caption="people", unit="persons"),
        series=[
            SeriesAnswer(
                key=state,
                name=STATE_WORDS[state],
                kind="bar",
                values=[
                    sum(one.persons for one in account.access.places if aim in one.list_lost(state))
                    for aim in aims
                ],
            )
            for state in (PEACE, CLOSED)
        ],
    )
