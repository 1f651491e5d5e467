"""Posts and sites bought with one budget: what they are, what they are worth, and the warning they leave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from abatis.barrier.observed import weaken_unseen
from abatis.barrier.sites import Siting, build_problem
from abatis.model.mesh import Mesh
from abatis.model.plan import Problem
from abatis.model.study import Study
from abatis.model.watched import LEAST_DETECTION
from abatis.programme.posts_and_sites import (
    JointChoice,
    PostChoices,
    choose_posts_and_sites,
    list_post_edges,
)
from abatis.show.tables import Column, Table
from abatis.watch.posts import PostOptions, list_rivals
from abatis.watch.seen import SeenCells, count_seen_by, join_points
from abatis.watch.warning import ApproachWarning, find_warning

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class JointWatch:
    """A joint choice on a study: the choice, the problem at full delay, posts bought, warning by approach.

    `posts` int32[] are rows of the post options, those bought only.
    """

    choice: JointChoice
    problem: Problem
    posts: np.ndarray
    warning: tuple[ApproachWarning, ...]


def list_post_choices(
    mesh: Mesh, problem: Problem, options: PostOptions, seen: SeenCells, least: float
) -> tuple[PostChoices, np.ndarray]:
    """State post options as choices of the joint search; also their rows among the options, int32[].

    Parameters
    ----------
    mesh, problem : the mesh, and the problem with every barrier at full delay.
    options, seen : n post options and what each sees.
    least : chance of detection from which a sensor alone counts as watching a barrier.

    In words: what stands at the end of the programme anyway watches at no cost; sensors that see no cell are
    left out.
    """
    counted = options.chance >= least
    standing = options.fixed | (options.cost_eur <= 0)
    today = count_seen_by(seen.cells, standing & counted, mesh.cell_count) > 0
    sees = np.diff(seen.cells.start) > 0
    rows = np.flatnonzero(~standing & counted & sees)
    place = np.full(options.count, -1)
    place[rows] = np.arange(len(rows))
    rivals = [place[group][place[group] >= 0] for group in list_rivals(options)]
    own = join_points([seen.cells.take(int(row)) for row in rows])
    choices = list_post_edges(
        mesh, problem, own.start, own.point, options.cost_eur[rows], today, [g for g in rivals if len(g) > 1]
    )
    return choices, rows.astype(np.int32)


def plan_jointly(
    study: Study,
    mesh: Mesh,
    siting: Siting,
    options: PostOptions,
    seen: SeenCells,
    budget_eur: float,
    time_limit_s: float = 120.0,
    least: float = LEAST_DETECTION,
    progress: Progress | None = None,
) -> JointWatch:
    """Choose posts and sites of a study under one budget, and say what warning they leave.

    Parameters
    ----------
    study, mesh, siting : the study, its mesh and its sites; an earlier watch result does not count.
    options, seen : post options and what each sees.
    budget_eur : money for posts and sites together.
    time_limit_s : of the search.
    least : see `list_post_choices`.
    progress : called with the stage in words and the share done.

    Raises
    ------
    InputError, InfeasibleError : see `choose_posts_and_sites`.
    """
    problem = build_problem(study, mesh, siting.sites, siting.options)
    choices, rows = list_post_choices(mesh, problem, options, seen, least)
    choice = choose_posts_and_sites(
        problem,
        choices,
        budget_eur,
        gap=study.gap,
        time_limit_s=time_limit_s,
        seed=study.seed,
        progress=progress,
    )
    bought = rows[choice.posts]
    counted = options.chance >= least
    alive = options.fixed | (options.cost_eur <= 0)
    alive[bought] = True
    today = count_seen_by(seen.cells, options.standing & counted, mesh.cell_count) > 0
    posted = count_seen_by(seen.cells, alive & counted, mesh.cell_count) > 0
    weak = weaken_unseen(problem, choices.mark_watched(choice.posts))
    warning = find_warning(mesh, weak, choice.options, today, posted, progress)
    return JointWatch(choice, problem, bought, warning)


def show_joint(joint: JointWatch) -> dict[str, Table]:
    """Return the tables `joint` (the answer), `splits` (the proof) and `warning` (by approach)."""
    choice = joint.choice
    lines = [
        ("value without barriers", _weigh(joint.problem, choice.before_h), "h"),
        ("value with sites and posts", choice.value_h, "h"),
        ("no sites and posts can give more than", choice.bound_h, "h"),
        ("gap", 100.0 * choice.gap, "%"),
        ("sites", float(len(choice.options)), ""),
        ("money for sites", choice.sites_eur / 1e6, "MEUR"),
        ("posts", float(len(choice.posts)), ""),
        ("money for posts", choice.posts_eur / 1e6, "MEUR"),
        ("budget", choice.budget_eur / 1e6, "MEUR"),
        ("share of the barriers' edges that is watched", 100.0 * choice.seen_share, "%"),
    ]
    joint_table = Table(
        "Posts and sites under one budget",
        (Column("what", "what"), Column("value", "value", ",.2f"), Column("unit", "unit")),
        tuple({"what": what, "value": value, "unit": unit} for what, value, unit in lines),
    )
    splits = Table(
        "Proof: money for posts, and what no plan in that range beats",
        (
            Column("posts_low_eur", "posts, from EUR", ",.0f"),
            Column("posts_high_eur", "to EUR", ",.0f"),
            Column("bound_h", "at most h", ".3f"),
            Column("value_h", "found h", ".3f"),
        ),
        tuple(
            {
                "posts_low_eur": one.posts_low_eur,
                "posts_high_eur": one.posts_high_eur,
                "bound_h": one.bound_h,
                "value_h": one.value_h if np.isfinite(one.value_h) else None,
            }
            for one in choice.tries
        ),
        "Ranges whose bound is below the best plan found elsewhere are not searched.",
    )
    return {"joint": joint_table, "splits": splits, "warning": tabulate_warning(joint.warning)}


def tabulate_warning(rows: tuple[ApproachWarning, ...]) -> Table:
    """Return the warning of every approach as a table, hours."""
    captions = {
        "warning_today_h": "warning today h",
        "warning_posts_h": "with posts h",
        "warning_plan_h": "with posts and plan h",
        "posts_won_h": "won by posts h",
        "plan_won_h": "won by plan h",
        "total_h": "total won h",
        "fast_today_h": "fast ways: warning today h",
        "fast_posts_h": "with posts h",
        "fast_plan_h": "with posts and plan h",
        "fast_total_h": "total won h",
        "delay_h": "delay of the fastest way h",
        "unseen_today_h": "unseen today h",
        "unseen_plan_h": "unseen with posts and plan h",
    }
    figures = [Column(key, caption, ".2f") for key, caption in captions.items()]
    return Table(
        "Warning by approach",
        (Column("approach", "approach"), Column("name", "name"), *figures),
        tuple(
            {"approach": row.key, "name": row.name} | {key: getattr(row, key) for key in captions}
            for row in rows
        ),
        "Total won = won by posts + won by plan. The delay stands beside it and is not added: what of it "
        "falls after the mover is seen is in the part of the plan already. The first warning is for a mover "
        "with all the time in the world, that on fast ways for one that takes no way much slower than the "
        "fastest.",
    )


def _weigh(problem: Problem, times_h: np.ndarray) -> float:
    """Value of arrival times as the problem counts it."""
    if problem.objective == "minimum":
        return float(times_h.min())
    return float(problem.approach_weight @ times_h)
