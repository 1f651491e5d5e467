"""The civil account of a plan: who and what it touches, what is owed, and how each number is made."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import date

from abatis.barrier.sites import Siting
from abatis.model.law_kinds import MINE_RESERVE
from abatis.model.mesh import Mesh
from abatis.model.plan import Plan
from abatis.model.study import Study
from abatis.people.access import (
    Access,
    Cause,
    compute_access,
    find_causes,
    list_corridors,
    list_cut_off,
    list_evacuation_states,
)
from abatis.people.access_ground import AccessGround, prepare_access
from abatis.people.access_terms import read_access_terms
from abatis.people.clearance import Liability
from abatis.people.closing_order import ClosingOrder, order_closing
from abatis.people.impact import Impact, assess_impact
from abatis.people.land import LandAccount, account_land, list_land
from abatis.people.law import (
    HAZARD,
    MeasureLaw,
    Norm,
    assess_measures,
    list_duties,
    list_norms,
    list_standings,
)
from abatis.people.shelter import Shelter, account_shelter, list_shelter
from abatis.people.treaties import Standing, read_instruments, read_register
from abatis.show.civil_figures import STATE_WORDS, CivilFigure, count_quantities, list_figures
from abatis.show.clearance import Clearance, assess_clearance
from abatis.show.tables import Column, Table, format_value

AIM_WORDS = {"ambulance": "hospital", "school": "school", "safe": "safe ground"}
DUTY_WORDS = {
    "own": "answer for it",
    "record": "record",
    "mark": "mark",
    "monitor": "monitor",
    "warn": "warn",
    "clear": "clear",
    "report": "report",
    "spare": "spare",
}
KIND_WORDS = {
    "any": "every measure",
    "obstacle": "obstacles",
    "ditch": "ditches",
    "water": "water works",
    "wetland": "rewetting",
    "forest": "planting",
    "fence": "fences",
    "bridge_fixture": "fixtures in bridges",
    "depot": "depots",
    "mine_reserve": "reserve belts, once laid",
    "hazard": "ground with finds of past wars or laid belts",
}


@dataclass(frozen=True)
class OwedDuty:
    """One duty of a state that goes with the plan or with ground it must clear, and what the study shows."""

    state: str
    duty: str
    about: str
    who: str
    basis: str
    since: str
    certain: bool
    wording: str
    shown_by: str
    tag: str
    source: str


@dataclass(frozen=True)
class CivilAccount:
    """All that a plan takes from civilians and nature, and what its state owes them."""

    impact: Impact
    access: Access
    causes: tuple[Cause, ...]
    closing: ClosingOrder
    land: LandAccount
    shelter: Shelter
    clearance: Clearance
    standings: tuple[Standing, ...]
    duties: tuple[OwedDuty, ...]
    day: date
    unknown_states: tuple[str, ...]
    measures: tuple[MeasureLaw, ...]
    norms: tuple[Norm, ...]
    figures: dict[str, CivilFigure]


def prepare_civil_access(study: Study, mesh: Mesh) -> AccessGround:
    """Collect roads, places and aims for the account of a plan.

    In words: where no ground of the study lies as far from hostile ground as the safe distance asks, half the
    farthest distance is taken instead, and every figure names the kilometres used. So a small study has an
    account, too.

    Raises
    ------
    InputError : see `prepare_access`.
    """
    terms = read_access_terms(study)
    farthest_km = float(mesh.border_km[~mesh.mask_countries(study.hostile)].max(initial=0.0))
    if 0.0 < farthest_km <= terms.safe_km:
        terms = replace(terms, safe_km=round(0.5 * farthest_km, 1))
    return prepare_access(study, mesh, terms)


def compute_account(
    study: Study, mesh: Mesh, siting: Siting, plan: Plan, impact: Impact | None = None
) -> CivilAccount:
    """Compute the civil account of a plan.

    Parameters
    ----------
    study, mesh, siting, plan : the chain up to the plan.
    impact : of the plan, when it is at hand.

    Raises
    ------
    InputError : every fault of register, terms or own rows.
    """
    impact = impact or assess_impact(study, mesh, siting, plan)
    ground = prepare_civil_access(study, mesh)
    access = compute_access(study, mesh, siting, plan, ground)
    land = account_land(study, mesh, siting, plan)
    clearance = assess_clearance(study, mesh, siting, plan)
    liability = clearance.liability
    day = date(study.first_year, 1, 1)
    kinds = _find_kinds(study, siting, plan, liability)
    used = {key for key, _ in count_quantities(siting, plan)}
    known = set(read_register(study)["state"])
    duties = _list_owed(study, kinds, day)
    figures = list_figures(study, siting, plan, impact, access, land, liability)
    return CivilAccount(
        impact=impact,
        access=access,
        causes=find_causes(study, mesh, siting, plan, ground=ground),
        closing=order_closing(study, mesh, siting, plan, ground=ground),
        land=land,
        shelter=account_shelter(study, mesh),
        clearance=clearance,
        standings=list_standings(study, day, _known(study)) if _known(study) else (),
        duties=duties,
        day=day,
        unknown_states=tuple(state for state in study.home if state not in known),
        measures=tuple(one for one in assess_measures(study, day) if one.measure in {*used, "-"}),
        norms=list_norms(study),
        figures={one.key: one for one in figures},
    )


def _find_kinds(study: Study, siting: Siting, plan: Plan, liability: Liability) -> tuple[str, ...]:
    """Kinds of measures that the plan builds or the study keeps in reserve, and affected ground."""
    kind_of = study.tables["measures"].set_index("measure")["law_kind"]
    kinds = {str(kind_of[key]) for key, _ in count_quantities(siting, plan)}
    if any(job.duty.measure for job in liability.jobs):
        kinds.add(MINE_RESERVE)
    return (*sorted(kinds), HAZARD)


def _list_owed(study: Study, kinds: tuple[str, ...], day: date) -> tuple[OwedDuty, ...]:
    sure = {(one.state, one.instrument): one.certain for one in list_standings(study, day, _known(study))}
    shown = {one.norm: one for one in list_norms(study)}
    owed: dict[tuple[str, str], OwedDuty] = {}
    about: dict[tuple[str, str], list[str]] = {}
    for state in _known(study):
        for kind in kinds:
            for one in list_duties(study, state, (kind,), day):
                key = state, one.rule
                about.setdefault(key, []).append(KIND_WORDS.get(kind, kind))
                owed[key] = OwedDuty(
                    state=state,
                    duty=one.duty,
                    about="; ".join(about[key]),
                    who=f"state {state}",
                    basis=f"{one.instrument}, art. {one.article}" if one.article else one.instrument,
                    since=one.since,
                    certain=one.certain and sure.get((state, one.instrument), True),
                    wording=one.wording,
                    shown_by=_say_shown(study, one.duty, kind, shown),
                    tag=one.tag,
                    source=one.source,
                )
    order = list(DUTY_WORDS)
    return tuple(
        sorted(owed.values(), key=lambda one: (one.state, _place(one.duty, order), one.about, one.basis))
    )


def _known(study: Study) -> tuple[str, ...]:
    known = set(read_register(study)["state"])
    return tuple(state for state in study.home if state in known)


def _place(word: str, order: list[str]) -> int:
    return order.index(word) if word in order else len(order)


def _say_shown(study: Study, duty: str, kind: str, norms: dict[str, Norm]) -> str:
    """Say what this study shows of a duty; what it does not show is for the state to show."""
    hazards = study.tables["hazards"]
    if kind == HAZARD and hazards.empty:
        return "no ground in the hazard register of this study: to be shown by the state"
    if duty == "clear" and kind in (HAZARD, MINE_RESERVE):
        return "cost, order, teams and years below (abatis clearance)"
    if duty == "spare":
        return "dams and power stations are never sites"
    norm = {"record": "keep_records", "mark": "mark_and_watch", "monitor": "mark_and_watch"}.get(duty, "")
    kept = norms[norm].kept if norm in norms else "to be shown"
    if kept == "to be shown":
        return "to be shown by the state"
    return f"{kept}: hazard register of this study"


def tabulate_figures(account: CivilAccount) -> Table:
    """Tabulate every number with its formula, source and tag."""
    rows = tuple(
        {**asdict(one), "shown": f"{format_value(one.value, one.style)} {one.unit}".rstrip()}
        for one in account.figures.values()
    )
    columns = (
        Column("name", "figure"),
        Column("shown", "value"),
        Column("formula", "how it is made"),
        Column("source", "from"),
        Column("tag", "tag"),
    )
    note = "The tag is that of the weakest input: F found, D derived, F- weak, G placeholder."
    return Table("The civil account, number by number", columns, rows, note)


def tabulate_cut_off(account: CivilAccount) -> Table:
    """Tabulate the places that lose a hospital, a school or safe ground, with their people."""
    rows = tuple(
        {**row, "loses": ", ".join(AIM_WORDS[one] for one in row["lost"])}
        for row in list_cut_off(account.access)
    )  # type: ignore[arg-type]
    columns = (
        Column("name", "place"),
        Column("persons", "people", ",.0f"),
        Column("border_km", "from hostile ground [km]", ",.0f"),
        Column("loses", "loses the way to"),
        Column("also_in_peace", "also in peace"),
    )
    return Table("Places cut off with all sites closed", columns, rows)


def list_causes(account: CivilAccount) -> list[dict[str, object]]:
    """List the sites that matter for a way by themselves, by people: who is cut off or has one again."""
    rows: dict[tuple[str, str], dict[str, object]] = {}
    for one in account.causes:
        key = one.site, one.aim
        row = rows.setdefault(
            key,
            {
                "site": one.site,
                "name": one.name,
                "aim": one.aim,
                "alone": 0.0,
                "restores": 0.0,
                "shorter": 0.0,
            },
        )
        for word, counts in (
            ("alone", one.alone),
            ("restores", one.restores),
            ("shorter", not one.restores and one.gain_h > 0),
        ):
            row[word] = float(str(row[word])) + (one.persons if counts else 0.0)
    return sorted(
        rows.values(),
        key=lambda row: (-float(str(row["restores"])), -float(str(row["alone"])), row["site"], row["aim"]),
    )


def tabulate_causes(account: CivilAccount) -> Table:
    """Tabulate which sites cut people off, and what opening one of them gives back."""
    rows = tuple({**row, "way": AIM_WORDS[str(row["aim"])]} for row in list_causes(account))
    columns = (
        Column("name", "site"),
        Column("way", "way to"),
        Column("alone", "people it cuts off alone", ",.0f"),
        Column("restores", "people with a way again when it alone opens", ",.0f"),
        Column("shorter", "people with a shorter way then", ",.0f"),
    )
    note = "Where two sites stand on the only road, neither gives a way back alone."
    return Table("Sites that cause it, with all sites closed", columns, rows, note)


def tabulate_closing(account: CivilAccount) -> Table:
    """Tabulate the order of closing that lets people out first: the sites that somebody's last way needs."""
    free = set(account.closing.first)
    rows = tuple(asdict(one) for one in account.closing.steps if one.site not in free)
    columns = (
        Column("step", "step", ".0f"),
        Column("name", "site"),
        Column("passed_h", "last to leave has passed after [h]", ",.1f"),
        Column("persons", "people who lose their last way then", ",.0f"),
    )
    word = "no order is better" if account.closing.method == "exact" else "a good order, not proven best"
    note = f"{len(free)} other sites may close first: nobody's last way needs them. {word.capitalize()}."
    return Table("Order of closing that lets people out first", columns, rows, note)


def tabulate_evacuation(account: CivilAccount) -> Table:
    """Tabulate for each state how many have to leave, who cannot, and how long it takes."""
    rows = tuple(
        {**row, "words": STATE_WORDS[str(row["state"])]} for row in list_evacuation_states(account.access)
    )
    columns = (
        Column("words", "state"),
        Column("persons", "people to leave", ",.0f"),
        Column("stranded", "without a way", ",.0f"),
        Column("clear_h", "all out on the fastest ways after [h]", ",.1f"),
        Column("spread_h", "spread over several ways [h]", ",.1f"),
        Column("bound_h", "no spread is quicker than [h]", ",.1f"),
    )
    safe_km = account.access.safe_km
    return Table(f"Leaving the ground nearer than {safe_km:g} km to hostile ground", columns, rows)


def tabulate_corridors(account: CivilAccount) -> Table:
    """Tabulate trade routes and mobility corridors in each state."""
    columns = (
        Column("name", "corridor"),
        Column("kind", "kind"),
        Column("before_h", "before [h]", ",.2f"),
        Column("peace_h", "with the plan in peace [h]", ",.2f"),
        Column("closed_h", "with all sites closed [h]", ",.2f"),
    )
    return Table("Trade routes and mobility corridors", columns, tuple(list_corridors(account.access)))


def tabulate_land(account: CivilAccount) -> Table:
    """Tabulate land, owners, farms, water and nature with ranges and tags."""
    rows = tuple(list_land(account.land))
    return Table("Land, owners, water and nature", _RANGE_COLUMNS, rows)


def tabulate_shelter(account: CivilAccount) -> Table:
    """Tabulate how much of the key roads near the border is under trees."""
    return Table("Shelter on key roads", _RANGE_COLUMNS, tuple(list_shelter(account.shelter)))


def tabulate_standings(account: CivilAccount) -> Table:
    """Tabulate by which treaties each home state is bound on the first day of the programme."""
    names = read_instruments()
    rows = tuple({**asdict(one), "title": names[one.instrument].name} for one in account.standings)
    columns = (
        Column("state", "state"),
        Column("instrument", "treaty"),
        Column("title", "name"),
        Column("status", "status"),
        Column("since", "since"),
        Column("tag", "tag"),
        Column("source", "source"),
    )
    return Table(f"Treaties on {account.day.isoformat()}", columns, rows, _UNSURE)


_UNSURE = "A date with a question mark is not verified."
_RANGE_COLUMNS = (
    Column("figure", "figure"),
    Column("low", "low", ",.1f"),
    Column("mode", "likely", ",.1f"),
    Column("high", "high", ",.1f"),
    Column("unit", "unit"),
    Column("tag", "tag"),
    Column("note", "note"),
)


def tabulate_duties(account: CivilAccount) -> Table:
    """Tabulate the duties: what is owed, for what, by whom, on which basis, and what the study shows."""
    rows = tuple(
        {
            **asdict(one),
            "asked": DUTY_WORDS.get(one.duty, one.duty),
            "bound": one.since or "date not known",
        }
        for one in account.duties
    )
    columns = (
        Column("asked", "duty"),
        Column("about", "for"),
        Column("who", "owed by"),
        Column("wording", "in plain words"),
        Column("basis", "treaty, article"),
        Column("bound", "bound since"),
        Column("shown_by", "what this study shows"),
        Column("tag", "tag"),
    )
    note = f"As of {account.day.isoformat()}, the first day of the programme. {_UNSURE}"
    note += " This helps to find the questions; it is no legal advice."
    if account.unknown_states:
        note += f" The register does not know {', '.join(account.unknown_states)}: its duties are not shown."
    return Table("Duties that come with the plan", columns, rows, note)
