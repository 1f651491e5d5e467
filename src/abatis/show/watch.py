"""What `abatis watch` does: look from all places, choose posts, and say what is seen and how early."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree

from abatis.barrier.observed import see_edges, weaken_unseen
from abatis.barrier.sites import build_problem, site_study
from abatis.ground.fronts import find_front_cells
from abatis.model.errors import Fault, InputError, nearest_word
from abatis.model.fields import empty_table
from abatis.model.mesh import Mesh
from abatis.model.plan import read_plan
from abatis.model.study import Study
from abatis.model.watched import LEAST_DETECTION, Watched
from abatis.show.results import check_same_tables, find_option_rows
from abatis.watch.border import BorderPieces, cut_border
from abatis.watch.candidates import Places, list_candidates
from abatis.watch.catalogue import TARGETS, Catalogue, read_catalogue
from abatis.watch.demand import Demand, weigh_places
from abatis.watch.ground_raster import WatchGround, lay_ground, read_watch_sources
from abatis.watch.masts import read_tall_points
from abatis.watch.posts import PostOptions, PostPlan, Sight, choose_posts, list_post_options
from abatis.watch.seen import SeenCells, find_seen
from abatis.watch.warning import ApproachWarning, find_warning

BUDGET_LINE = "surveillance"
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class WatchSettings:
    """What is asked for: a target class, money (that of the budget line when None), seen by 1 or 2, a plan.

    `plan` names the barrier plan whose delays the warning counts, '' for none.
    """

    target: str = "vehicle"
    budget_eur: float | None = None
    times: int = 1
    plan: str = ""


@dataclass(frozen=True)
class WatchResults:
    """Everything that was computed about the posts of a study.

    `cell_weight` float64[N], `border_weight` float64[B] sum to 1 together; `notes` say what was assumed.
    """

    study: Study
    mesh: Mesh
    settings: WatchSettings
    catalogue: Catalogue
    ground: WatchGround
    pieces: BorderPieces
    demand: Demand
    places: Places
    options: PostOptions
    seen: SeenCells
    cell_weight: np.ndarray
    border_weight: np.ndarray
    plan: PostPlan
    warning: tuple[ApproachWarning, ...]
    notes: tuple[str, ...]

    @property
    def last_year(self) -> int:
        """Last year of the programme."""
        return self.study.first_year + self.study.programme_years - 1


def compute_watch(study: Study, mesh: Mesh, settings: WatchSettings, progress: Progress) -> WatchResults:
    """Choose posts for a study and find what they see and how much warning they give.

    Parameters
    ----------
    study, mesh : the study and its mesh.
    settings : what is asked for.
    progress : callback (stage, share done).

    Raises
    ------
    InputError : all faults of the tables of the watch and of the settings at once; posts outside the study.
    """
    catalogue, budget_eur = read_watch_input(study, settings)
    terms = catalogue.terms
    sources = read_watch_sources(study, progress)
    ground = lay_ground(study, mesh, sources, terms, progress)
    pieces = cut_border(study, sources.ground, ground.grid)
    demand = weigh_places(study, mesh, pieces, terms["route_tolerance"].value, progress)
    progress("places for posts", 0.0)
    roads = sources.layers.vectors["roads"].geometry
    tall = read_tall_points(study, sources.ground.area)
    places = list_candidates(study, mesh, ground, catalogue.posts, roads, tall, terms)
    notes = list(ground.notes)
    if len(roads) + len(tall.power_lines) == 0:
        notes.append("no roads and no power lines: new posts may stand anywhere")
    if not tall.files:
        notes.append("no OpenStreetMap file: masts, towers and power lines are not known")
    last_year = study.first_year + study.programme_years - 1
    options = list_post_options(catalogue, places, settings.target, last_year)
    seen = find_seen(ground, pieces, options.outlooks, settings.target, terms, progress)
    cell_weight, border_weight = share_weight(demand, terms["border_share"].value)
    progress("choosing posts", 0.0)
    plan = choose_posts(
        options, seen, cell_weight, border_weight, budget_eur, times=settings.times, gap=study.gap,
        time_limit_s=study.time_limit_s, seed=study.seed,
    )  # fmt: skip
    warning = warn_approaches(study, mesh, settings.plan, plan, progress)
    return WatchResults(
        study, mesh, settings, catalogue, ground, pieces, demand, places, options, seen, cell_weight,
        border_weight, plan, warning, tuple(notes),
    )  # fmt: skip


def read_watch_input(study: Study, settings: WatchSettings) -> tuple[Catalogue, float]:
    """Read the tables of the watch and check the settings; returns the money too.

    Raises
    ------
    InputError : all faults at once.
    """
    faults: list[Fault] = []
    if settings.target not in TARGETS:
        remedy = nearest_word(settings.target, TARGETS)
        faults.append(Fault(f"'{settings.target}' is no target", column="--target", remedy=remedy))
    if settings.budget_eur is not None and not (
        math.isfinite(settings.budget_eur) and settings.budget_eur >= 0
    ):
        text = f"is {settings.budget_eur:g} but must be at least 0"
        faults.append(Fault(text, column="--budget", remedy="give EUR"))
    budget_eur = find_watch_budget(study) if settings.budget_eur is None else settings.budget_eur
    if budget_eur is None:
        remedy = f"give --budget, or add the line '{BUDGET_LINE}'"
        faults.append(
            Fault(f"has no line '{BUDGET_LINE}'", "tables/budget.csv", column="line", remedy=remedy)
        )
    try:
        catalogue = read_catalogue(study)
    except InputError as error:
        raise InputError([*faults, *error.faults]) from error
    if faults or budget_eur is None:
        raise InputError(faults)
    return catalogue, budget_eur


def find_watch_budget(study: Study) -> float | None:
    """Money of the line `surveillance`: of the named budget when there is one; None without such a line."""
    named = study.tables["budgets"]
    rows = named[(named["budget"] == (study.named_budget or "")) & (named["line"] == BUDGET_LINE)]
    if rows.empty:
        lines = study.tables["budget"]
        rows = lines[lines["line"] == BUDGET_LINE]
    return None if rows.empty else float(rows["amount_eur"].iloc[0])


def share_weight(demand: Demand, border_share: float) -> tuple[np.ndarray, np.ndarray]:
    """Weights of cells and of pieces of border, which sum to 1 together.

    Formula: cell = (1 - b) sum_a cell_a / sum, border = b sum_a border_a / sum; b = border_share, 0 without a
    border and 1 without cells.
    """
    cell, border = demand.cell.sum(axis=0), demand.border.sum(axis=0)
    if border.sum() <= 0:
        border_share = 0.0
    elif cell.sum() <= 0:
        border_share = 1.0
    whole_cell, whole_border = max(float(cell.sum()), 1e-300), max(float(border.sum()), 1e-300)
    return (1.0 - border_share) * cell / whole_cell, border_share * border / whole_border


def warn_approaches(
    study: Study, mesh: Mesh, plan_name: str, posts: PostPlan, progress: Progress
) -> tuple[ApproachWarning, ...]:
    """Warning of every approach today, with the posts of the plan, and with a barrier plan's delays too.

    Parameters
    ----------
    study, mesh : the study and its mesh.
    plan_name : a barrier plan, '' for none.
    posts : posts chosen.
    progress : callback (stage, share done).

    In words: a cell is seen where at least one post detects a mover with a probability of one half or more.
    Barriers that the posts do not watch keep only a share of their delay.
    """
    today, posted = (mark_cells(sight) for sight in (posts.today, posts.planned))
    if not plan_name:
        # Without a plan no site matters, and rules about sites say nothing.
        bare = replace(study, tables={**study.tables, "rules": empty_table("rules")})
        return find_warning(mesh, build_problem(bare, mesh, (), ()), (), today, posted, progress)
    plan = read_plan(study.folder / "plans" / plan_name)
    check_same_tables(study, plan)
    siting = site_study(study, mesh, progress)
    chosen = find_option_rows(siting, plan)
    whole = build_problem(study, mesh, siting.sites, siting.options)
    problem = weaken_unseen(whole, see_edges(mesh, posted))
    return find_warning(mesh, problem, chosen, today, posted, progress)


def mark_cells(sight: Sight) -> np.ndarray:
    """Cells in which a mover counts as seen, bool[N]."""
    return Watched(sight.seen_by, sight.detection).mark_cells(LEAST_DETECTION)


def assign_fronts(study: Study, mesh: Mesh, pieces: BorderPieces) -> list[str]:
    """Key of the front that each piece of border belongs to: that of the nearest front cell [B]."""
    fronts = list(study.tables["fronts"]["front"])
    cells = [find_front_cells(study, mesh, front) for front in fronts]
    owner = np.repeat(np.arange(len(fronts)), [len(one) for one in cells])
    rows = np.concatenate(cells)
    east = math.cos(math.radians(float(np.mean(mesh.lat[rows]))))
    tree = cKDTree(np.column_stack([mesh.lon[rows] * east, mesh.lat[rows]]))
    if pieces.count == 0:
        return []
    _, nearest = tree.query(np.column_stack([pieces.lon * east, pieces.lat]))
    return [fronts[owner[one]] for one in nearest]
