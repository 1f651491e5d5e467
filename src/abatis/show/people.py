"""The command `abatis people`: the civil account of a plan as tables and as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from abatis.barrier.sites import site_study
from abatis.model.plan import Plan, read_plan
from abatis.people.access import (
    list_corridors,
    list_cut_off,
    list_evacuation,
    list_evacuation_states,
    list_longer,
)
from abatis.people.access_terms import PEACE
from abatis.people.land import describe_land
from abatis.people.shelter import describe_shelter
from abatis.show.civil import (
    CivilAccount,
    compute_account,
    list_causes,
    tabulate_causes,
    tabulate_closing,
    tabulate_corridors,
    tabulate_cut_off,
    tabulate_duties,
    tabulate_evacuation,
    tabulate_figures,
    tabulate_land,
    tabulate_shelter,
)
from abatis.show.civil_figures import AMBULANCE
from abatis.show.results import Progress, check_same_study
from abatis.show.tables import Table
from abatis.show.workflow import load_study


@dataclass(frozen=True)
class People:
    """What `abatis people` shows: the plan and its civil account."""

    plan: Plan
    account: CivilAccount


def compute_people(folder: Path, plan_name: str, progress: Progress) -> People:
    """Compute the civil account of a plan of a study folder.

    Parameters
    ----------
    folder : study folder with a mesh. plan_name : its plan. progress : called with stage and share.

    Raises
    ------
    InputError : every fault of study, mesh, plan, register or terms.
    """
    study, mesh = load_study(folder)
    plan = read_plan(folder / "plans" / plan_name)
    check_same_study(study, plan)
    siting = site_study(study, mesh, progress)
    progress("civil account", 0.0)
    account = compute_account(study, mesh, siting, plan)
    progress("civil account", 1.0)
    return People(plan, account)


def describe_people(people: People) -> dict[str, Any]:
    """Return the civil account as JSON carries it."""
    plan, account = people.plan, people.account
    access, liability = account.access, account.clearance.liability
    return {
        "plan": plan.name,
        "hours_won": plan.value_h - plan.before_h,
        "cost_eur": plan.cost_eur,
        "cut_off": list_cut_off(access),
        "cut_off_in_peace": list_cut_off(access, PEACE),
        "longer_to_hospital": list_longer(access, AMBULANCE),
        "causes": list_causes(account),
        "closing_order": [asdict(one) for one in account.closing.steps],
        "evacuation": list_evacuation(access),
        "evacuation_states": list_evacuation_states(access),
        "corridors": list_corridors(access),
        "land_ha": account.land.land_ha,
        "households_500m": account.land.households_500m,
        "protected_ha": account.land.protected_ha,
        "land": describe_land(account.land),
        "shelter": describe_shelter(account.shelter),
        "liability_eur": asdict(liability.cost),
        "liability_discounted_eur": asdict(liability.present),
        "duties": [asdict(one) for one in account.duties],
        "figures": [asdict(one) for one in account.figures.values()],
    }


def tabulate_people(people: People) -> dict[str, Table]:
    """Lay the civil account out as tables: numbers first, then places, ways out, land, duties."""
    account = people.account
    return {
        "figures": tabulate_figures(account),
        "cut_off": tabulate_cut_off(account),
        "causes": tabulate_causes(account),
        "evacuation": tabulate_evacuation(account),
        "closing": tabulate_closing(account),
        "corridors": tabulate_corridors(account),
        "land": tabulate_land(account),
        "shelter": tabulate_shelter(account),
        "duties": tabulate_duties(account),
    }
