"""A plan changed by hand is kept: whole or not at all, and never over what somebody else has saved."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import abatis
from abatis.barrier.planning import list_arrivals, list_chosen
from abatis.model.errors import Fault, InputError
from abatis.model.plan import BY_HAND, Plan, write_plan
from abatis.model.storage import write_folder_whole
from abatis.model.study import hash_study
from abatis.model.watched import hash_watched
from abatis.people.law import require_lawful
from abatis.show.app.answers.plans import SaveQuestion
from abatis.show.app.describing import tell_time
from abatis.show.app.loaded import KeptPlan, LoadedStudy, Snapshot
from abatis.show.app.refusals import Refusal
from abatis.show.app.saved import Saved, lock_plans, read_saved, write_saved
from abatis.show.app.switching import Choice, assess_choice, assess_nothing, change_rows
from abatis.show.beside import RESULTS


def save_plan(loaded: LoadedStudy, name: str, asked: SaveQuestion, author: str) -> KeptPlan:
    """Keep a plan made by hand.

    Parameters
    ----------
    loaded : the study.
    name : of the plan; it is made new, or replaced when it was made by hand itself.
    asked : changes, title, and the version of the plan as the author read it.
    author : who saves.

    Raises
    ------
    Refusal : 409 when somebody saved in the meantime (it says who and when), when a new plan exists already,
        or when the plan is the solver's and holds a certificate.
    InputError : unknown sites or options, measures that are unlawful, a plan of another state of the study.
    """
    now = loaded.snapshot()
    if now.faults:
        fault = Fault("the study's files cannot be read just now", remedy="mend them first; GET /api/study")
        raise InputError([fault])
    require_lawful(now.study)
    folder = loaded.folder / "plans" / name
    with lock_plans(loaded.folder):
        _check_version(loaded, name, asked.version)
        origin = loaded.require_plan(asked.against or name) if (asked.against or asked.version) else None
        if origin is None:
            remedy = "name the plan that the changes are against"
            raise InputError([Fault(f"there is no plan '{name}' yet", column="against", remedy=remedy)])
        rows = change_rows(now, now.find_rows(origin.plan), asked.choices)
        choice = assess_choice(now, rows, origin.plan.budget_eur)
        plan = make_hand_plan(now, name, choice, origin.plan.budget_eur)
        at = datetime.now(UTC).isoformat(timespec="seconds")
        title = asked.title.strip() or now.study.title
        # First: stopped in between, the earlier plan only lacks results that can be made again.
        for result in RESULTS:
            (folder / result).unlink(missing_ok=True)
        with write_folder_whole(folder) as temporary:
            write_plan(plan, temporary, {})
            # Only the solver can write a certificate.
            (temporary / "certificate.json").unlink()
            write_saved(temporary, Saved(author, at, title, origin.name, origin.version))
    return loaded.read_plan(name)


def _check_version(loaded: LoadedStudy, name: str, version: str) -> None:
    """Refuse to write over what the author has not seen."""
    folder = loaded.folder / "plans" / name
    if not (folder / "plan.json").is_file():
        if version:
            text = f"The plan '{name}' is gone: somebody deleted it."
            raise Refusal(409, text, "version", "save it as a new plan, with an empty version")
        if folder.exists():
            raise Refusal(409, f"There is a folder '{name}' that is no plan.", "name", "choose another name")
        return
    kept = loaded.read_plan(name)
    saved = read_saved(folder)
    who = saved.by if saved else "the solver"
    when = saved.at if saved else tell_time(folder / "plan.json")
    if not version:
        raise Refusal(409, f"There is a plan '{name}' already, saved by {who}, {when}.", "name",
                      "choose another name, or read that plan and change it")  # fmt: skip
    if version != kept.version:
        raise Refusal(409, f"{who} saved '{name}' in the meantime, {when}.", "version",
                      "read the plan again, or save under another name")  # fmt: skip
    if kept.plan.status != BY_HAND:
        raise Refusal(409, f"'{name}' is the solver's plan; its certificate would no longer hold.", "name",
                      "save the changed plan under another name")  # fmt: skip


def make_hand_plan(now: Snapshot, name: str, choice: Choice, budget_eur: float) -> Plan:
    """Write a choice down as a plan made by hand: without a bound, since nothing is proven of it."""
    problem = now.problem
    before = assess_nothing(now)
    approaches = list_arrivals(problem, before.arrival_h, choice.arrival_h)
    chosen = list_chosen(problem, now.siting, choice.rows)
    return Plan(
        name=name,
        title=now.study.title,
        objective=problem.objective,
        status=BY_HAND,
        value_h=choice.value_h,
        before_h=before.value_h,
        bound_h=math.inf,
        gap=math.inf,
        cost_eur=choice.cost_eur,
        budget_eur=budget_eur,
        approaches=approaches,
        options=chosen,
        study_hash=hash_study(now.study),
        seed=now.study.seed,
        seconds=0.0,
        version=abatis.__version__,
        watch_hash=hash_watched(now.study.folder),
    )
