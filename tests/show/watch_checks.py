"""Figures of the watch computed again in plain ways: whole viewsheds, counted pixels, SciPy's searches."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from abatis.barrier.sites import build_problem, site_study
from abatis.ground.fronts import find_front_cells, find_objective_cell
from abatis.model.plan import read_plan
from abatis.show.results import find_option_rows, time_edges
from abatis.show.watch_answer import WatchAnswer
from abatis.watch.seen import Outlook
from abatis.watch.sight import VISIBLE, Post, View, build_relief, compute_viewshed


def view_whole(
    answer: WatchAnswer, outlook: Outlook, target: str, height_m: float | None = None
) -> np.ndarray:
    """Pixels of the whole grid that an outlook sees."""
    ground, terms, sensor = answer.results.ground, answer.results.catalogue.terms, outlook.sensor
    pixel_m, reach_m = ground.grid.pixel_m, sensor.range_m[target]
    if not sensor.needs_sight:
        y, x = np.mgrid[: ground.grid.rows, : ground.grid.columns]
        return np.hypot(y - outlook.row, x - outlook.column) * pixel_m <= reach_m
    relief = build_relief(ground.elevation, pixel_m, pixel_m, ground.canopy)
    bend = "refraction_camera" if sensor.kind == "camera_tower" else "refraction_radar"
    height_m = terms[f"height_{target}_m"].value if height_m is None else height_m
    view = View(height_m, reach_m, terms[bend].value, outlook.from_deg, outlook.to_deg)
    post = Post(outlook.row, outlook.column, sensor.mast_height_m)
    return compute_viewshed(relief, post, view) == VISIBLE


def share_cells(answer: WatchAnswer, pixels: np.ndarray) -> np.ndarray:
    """Share of each cell's land among some pixels."""
    ground = answer.results.ground
    land = np.bincount(ground.cell[ground.counted], minlength=answer.results.mesh.cell_count)
    hit = np.bincount(ground.cell[ground.counted & pixels], minlength=answer.results.mesh.cell_count)
    return hit / np.maximum(land, 1)


def count_seen(answer: WatchAnswer, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """By how many of some options each cell and each piece of border is seen, and the chance in each cell."""
    results = answer.results
    cells = np.zeros(results.mesh.cell_count, int)
    border = np.zeros(results.pieces.count, int)
    miss = np.ones(results.mesh.cell_count)
    for row in rows:
        outlook = results.options.outlooks[row]
        pixels = view_whole(answer, outlook, results.settings.target)
        seen = share_cells(answer, pixels) >= 0.5
        cells += seen
        miss[seen] *= 1 - outlook.sensor.detection_probability * outlook.sensor.weather_factor
        points = pixels[results.pieces.row, results.pieces.column] & (results.pieces.row >= 0)
        border += points.mean(axis=1) >= 0.5
    return cells, border, 1 - miss


def list_alive(answer: WatchAnswer) -> dict[str, np.ndarray]:
    """Rows of the options that count today, when nothing is done, and with the plan."""
    options, plan = answer.results.options, answer.results.plan
    posts = answer.results.catalogue.posts.items
    last = answer.results.last_year
    kept = [
        row
        for row in range(options.count)
        if options.post[row] >= 0
        and (posts[options.post[row]].renewal_year > last or posts[options.post[row]].renewal_paid)
    ]
    return {
        "today": np.flatnonzero(options.post >= 0),
        "left": np.array(kept, int),
        "plan": np.flatnonzero(plan.chosen),
    }


def price_posts(answer: WatchAnswer) -> float:
    """Cost of what is bought, from catalogue and terms."""
    results, total = answer.results, 0.0
    terms, posts = results.catalogue.terms, results.catalogue.posts.items
    for row in np.flatnonzero(results.plan.chosen):
        sensor = results.options.sensor[row]
        if results.options.post[row] < 0:
            kind = results.places.kind[int(results.options.place[row])]
            total += sensor.cost_eur * (terms["mast_cost_share"].value if kind == "mast" else 1.0)
        elif posts[results.options.post[row]].renewal_year <= results.last_year:
            total += sensor.cost_eur * terms["renewal_cost_share"].value
    return total


def join_cells(mesh, time_h: np.ndarray, closed: np.ndarray | None = None) -> csr_matrix:
    """Cells joined by hours; arcs that leave `closed` cells are left out."""
    tail = np.concatenate([mesh.edge_a, mesh.edge_b])
    head = np.concatenate([mesh.edge_b, mesh.edge_a])
    hours = np.concatenate([time_h, time_h])
    held = np.isfinite(hours)
    if closed is not None:
        held &= ~closed[tail]
    count = mesh.cell_count
    return csr_matrix((hours[held], (tail[held], head[held])), shape=(count, count))


def warn_plainly(mesh, time_h, sources, targets, seen) -> tuple[float, float]:
    """Warning of a patient mover and of one on fast ways, in hours."""
    left = dijkstra(join_cells(mesh, time_h), indices=targets, min_only=True)
    hidden = dijkstra(join_cells(mesh, time_h, seen), indices=sources, min_only=True)
    goal = np.zeros(mesh.cell_count, bool)
    goal[targets] = True
    first = np.isfinite(hidden) & (seen | goal)
    fast = first & (hidden + left <= 1.25 * left[sources].min() + 1e-9)
    return float(left[first].min()), float(left[fast].min())


def warn_again(answer: WatchAnswer) -> list[dict[str, float]]:
    """Warning of every approach today, with posts, and with posts and the plan."""
    results = answer.results
    study, mesh = results.study, results.mesh
    alive = list_alive(answer)
    seen = {}
    for state in ("today", "plan"):
        by, _, chance = count_seen(answer, alive[state])
        seen[state] = (by > 0) & (chance >= 0.5)
    siting = site_study(study, mesh)
    problem = build_problem(study, mesh, siting.sites, siting.options)
    chosen = find_option_rows(siting, read_plan(study.folder / "plans" / results.settings.plan))
    blind = ~(seen["plan"][mesh.edge_a] | seen["plan"][mesh.edge_b])[problem.option_edge]
    for hours in (problem.option_open_h, problem.option_road_h):
        hours.setflags(write=True)
        hours[blind] *= 0.3
    rows = []
    for index in range(problem.approach_count):
        group = int(problem.approach_group[index])
        sources, targets = problem.approach_sources[index], problem.approach_targets[index]
        bare, delayed = (
            time_edges(problem, problem.open_h[group], problem.road_h[group], some) for some in ((), chosen)
        )
        row = {}
        for word, time_h, mask in (
            ("today", bare, seen["today"]), ("posts", bare, seen["plan"]), ("plan", delayed, seen["plan"]),
        ):  # fmt: skip
            row[f"warning_{word}_h"], row[f"fast_{word}_h"] = warn_plainly(
                mesh, time_h, sources, targets, mask
            )
        rows.append(row)
    return rows


def detect_air(answer: WatchAnswer, outlooks, height_m: float) -> np.ndarray:
    """Chance that a flight is noticed over each cell in one look."""
    miss = np.ones(answer.results.mesh.cell_count)
    for one in outlooks:
        if "low_air" in one.sensor.range_m:
            share = share_cells(answer, view_whole(answer, one, "low_air", height_m))
            miss *= 1 - share * one.sensor.detection_probability * one.sensor.weather_factor
    return 1 - miss


def pass_air(answer: WatchAnswer, detection: np.ndarray, front: str, objective: str) -> float:
    """Chance to be noticed on the least-seen way, by SciPy's search."""
    study, mesh = answer.results.study, answer.results.mesh
    weight = -np.log1p(-np.minimum(detection, 1 - 1e-9))
    cost = mesh.distance_m / 1000.0 * (weight[mesh.edge_a] + weight[mesh.edge_b]) / 2
    hostile = mesh.mask_countries(study.hostile)
    tail = np.concatenate([mesh.edge_a, mesh.edge_b])
    head = np.concatenate([mesh.edge_b, mesh.edge_a])
    free = ~hostile[head]
    # SciPy takes a stored zero for no arc.
    hours = np.concatenate([cost, cost])[free] + 1e-15
    graph = csr_matrix((hours, (tail[free], head[free])), shape=(mesh.cell_count, mesh.cell_count))
    sources = find_front_cells(study, mesh, front)
    least = dijkstra(graph, indices=sources, min_only=True)[find_objective_cell(study, mesh, objective)]
    return float(1 - np.exp(-least))
