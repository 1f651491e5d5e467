"""The whole answer of `abatis watch`: posts, low air, trees in sight lines, notices, and a joint choice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from abatis.barrier.sites import Siting, site_study
from abatis.model.errors import Fault, InputError
from abatis.model.mesh import Mesh
from abatis.model.plan import Plan, read_plan
from abatis.model.study import Study
from abatis.model.watched import check_watch_result
from abatis.model.words import COVER_WORDS
from abatis.people.land_terms import OWNER_KINDS, read_land_terms, read_owners
from abatis.show.low_air import (
    find_forest_sites,
    list_air_candidates,
    picture_study,
    tabulate_clearing,
    tabulate_low_air,
)
from abatis.show.notices import assess_notices, lay_out_overlaps, tabulate_effects
from abatis.show.tables import Table
from abatis.show.watch import Progress, WatchResults, WatchSettings, compute_watch
from abatis.show.watch_joint import JointWatch, plan_jointly, show_joint
from abatis.show.watch_tables import tabulate_watch
from abatis.watch.catalogue import POSTS, SENSORS, TERMS, read_catalogue
from abatis.watch.clearing import WOODS, ClearingConflict, find_conflict, find_kept_cells
from abatis.watch.low_air_study import AirCandidates, AirPicture
from abatis.watch.notice_effects import NoticeEffect
from abatis.watch.notices import Notice, read_notices
from abatis.watch.seen import Outlook


@dataclass(frozen=True)
class WatchAnswer:
    """Everything that `abatis watch` found.

    `planned` posts that stand at the end of the programme, whatever they find; `candidates` what could close
    the low air, None where no sensor finds low air; `conflict` None without elevation; `joint` None when not
    asked for; `notices` with their `effects`, none without a register.
    """

    results: WatchResults
    planned: tuple[Outlook, ...]
    picture: AirPicture
    candidates: AirCandidates | None
    conflict: ClearingConflict | None
    joint: JointWatch | None
    notices: tuple[Notice, ...]
    effects: tuple[NoticeEffect, ...]


def answer_watch(
    study: Study, mesh: Mesh, settings: WatchSettings, joint_budget_eur: float | None, progress: Progress
) -> WatchAnswer:
    """Choose posts and tell all that follows from them.

    Parameters
    ----------
    study, mesh : the study and its mesh.
    settings : what is asked for.
    joint_budget_eur : money for posts and sites together; None when the joint choice is not asked for.
    progress : callback (stage, share done).

    Raises
    ------
    InputError : see `compute_watch` and `read_notices`.
    """
    if joint_budget_eur is not None and settings.target == "low_air":
        remedy = "give --target vehicle or person: barriers do not stop flights"
        raise InputError([Fault("needs a target on the ground", column="--joint-budget", remedy=remedy)])
    notices = read_notices(study)
    results = compute_watch(study, mesh, settings, progress)
    planned = list_planned(results)
    candidates = list_air_candidates(study, results.catalogue, results.places, planned)
    picture = picture_study(
        study, mesh, results.ground, results.catalogue, results.places, planned, progress=progress
    )
    siting = site_study(study, mesh, progress) if settings.plan or joint_budget_eur is not None else None
    conflict = find_watch_conflict(results, planned, siting, progress)
    joint = None
    if joint_budget_eur is not None and siting is not None:
        joint = plan_jointly(
            study, mesh, siting, results.options, results.seen, joint_budget_eur, progress=progress
        )
    effects = assess_notices(study, mesh, notices) if notices else ()
    return WatchAnswer(_note_plan(results), planned, picture, candidates, conflict, joint, notices, effects)


def list_planned(results: WatchResults) -> tuple[Outlook, ...]:
    """Posts that stand at the end of the programme: those chosen, and standing ones that find other targets.

    In words: a post for another target is no option of the choice; it counts while it is not past its life.
    """
    options, places = results.options, results.places
    chosen = [one for one, taken in zip(options.outlooks, results.plan.chosen, strict=True) if taken]
    other = [
        Outlook(int(places.row[row]), int(places.column[row]), post.sensor, post.from_deg, post.to_deg)
        for row, post in enumerate(results.catalogue.posts.items)
        if results.settings.target not in post.sensor.range_m and not post.ages_by(results.last_year)
    ]
    return (*chosen, *other)


def find_watch_conflict(
    results: WatchResults, planned: tuple[Outlook, ...], siting: Siting | None, progress: Progress
) -> ClearingConflict | None:
    """Find trees that rules keep in the sight lines of planned posts; None without elevation.

    Parameters
    ----------
    results : posts chosen.
    planned : posts that count.
    siting : sites of the study; their forest is kept where a plan is given.
    progress : callback (stage, share done).

    In words: ground that is worth seeing (cells with a weight) is looked for; trees are kept where nature is
    protected, and beside sites of the plan whose measure is forest.
    """
    if results.ground.elevation is None:
        return None
    progress("trees in sight lines", 0.0)
    study, mesh = results.study, results.mesh
    edges: Mapping[str, np.ndarray] = {}
    if siting is not None and results.settings.plan:
        edges = find_forest_sites(study, siting, read_watch_plan(results))
    found = find_conflict(
        mesh, results.ground, planned, results.settings.target, results.catalogue.terms,
        results.cell_weight > 0, find_kept_cells(mesh, edges), share_forest(study, mesh),
    )  # fmt: skip
    progress("trees in sight lines", 1.0)
    return found


def share_forest(study: Study, mesh: Mesh) -> dict[str, np.ndarray]:
    """Shares of every cell's forest by kind of owner, float64[N], as the land account reads them.

    In words: from owners.csv by region and cover, else the stated private share, the rest public.
    """
    owners = read_owners(study, mesh.lon, mesh.lat, read_land_terms(study)["private"])
    forest = owners.shares[:, [COVER_WORDS.index(word) for word in WOODS]].mean(axis=1)
    return {kind: forest[:, place] for place, kind in enumerate(OWNER_KINDS)}


def read_watch_plan(results: WatchResults) -> Plan:
    """Read the barrier plan that the results count with."""
    return read_plan(results.study.folder / "plans" / results.settings.plan)


def _note_plan(results: WatchResults) -> WatchResults:
    """Say so when the plan was made before these posts were known."""
    if not results.settings.plan:
        return results
    plan = read_watch_plan(results)
    told = check_watch_result(results.study.folder, plan.watch_hash)
    return replace(results, notes=(*results.notes, f"plan {plan.name} {told}")) if told else results


def tabulate_all(answer: WatchAnswer) -> dict[str, Table]:
    """All tables of the answer by name."""
    results = answer.results
    tables = tabulate_watch(results)
    tables |= tabulate_low_air(results.study, answer.picture, answer.candidates)
    if answer.conflict is not None:
        tables |= tabulate_clearing(results.mesh, answer.conflict)
    if answer.joint is not None:
        shown = show_joint(answer.joint)
        tables |= {"joint": shown["joint"], "splits": shown["splits"], "joint_warning": shown["warning"]}
    if answer.effects:
        tables |= tabulate_effects(answer.effects)
        tables["overlaps"] = lay_out_overlaps(answer.notices)
    return tables


def check_watch_tables(study: Study) -> None:
    """Check the tables of the watch that a study has: sensors, posts, figures, notices.

    Raises
    ------
    InputError : every fault of all of them at once.
    """
    faults: list[Fault] = []
    known = any((study.folder / name).exists() for name in (SENSORS, POSTS, TERMS))
    for read in (*((read_catalogue,) if known else ()), read_notices):
        try:
            read(study)
        except InputError as error:
            faults += error.faults
    if faults:
        raise InputError(faults)


def list_outdated_plans(study: Study) -> list[str]:
    """Names of the plans that were made before the present watch result."""
    names = []
    for file in sorted((study.folder / "plans").glob("*/plan.json")):
        try:
            plan = read_plan(file.parent)
        except InputError:
            continue
        if check_watch_result(study.folder, plan.watch_hash) is not None:
            names.append(plan.name)
    return names
