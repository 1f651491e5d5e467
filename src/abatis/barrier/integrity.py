"""Does a line close? Every leak with its gap, place and hours that it gives, and the price to mend."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely

from abatis.barrier.closures import Closures, Progress, choose_closures, delay_times, list_runs
from abatis.barrier.drawn import bring_shapes, cover_cells, list_crossed, read_frame
from abatis.barrier.line_graph import Line
from abatis.barrier.lines import find_closing_line
from abatis.barrier.options import find_protected_works
from abatis.barrier.works import locate_edges, name_modes
from abatis.ground.travel import compute_times
from abatis.model.errors import Fault, InputError
from abatis.model.mesh import Mesh
from abatis.model.study import Study

DEAREST_EUR = 1e9


@dataclass(frozen=True)
class Drawn:
    """A line laid on the mesh: its edges bool[E], and bool[N] of what it rings (nothing if not a ring)."""

    edges: np.ndarray
    ringed: np.ndarray


@dataclass(frozen=True)
class Leak:
    """One edge through which a line can be passed.

    `mode` is open, road or bridge; `hours` that `approach` gains when only this edge stays open (inf: it has
    no other way); `cost_eur` to close it (inf: no option can); `hole` numbers leaks that lie side by side.
    """

    edge: int
    hole: int
    mode: str
    gap_m: float
    lon: float
    lat: float
    hours: float
    approach: str
    cost_eur: float


@dataclass(frozen=True)
class Integrity:
    """Whether a line closes: its leaks (worst first), what mending costs, and how fine the check sees."""

    closed: bool
    leaks: tuple[Leak, ...]
    mending_eur: float
    drawn_edges: int
    tolerance_m: float


def read_drawn_line(mesh: Mesh, path: Path, layer: str = "") -> Drawn:
    """Read a drawn line and lay it on the mesh.

    Parameters
    ----------
    mesh : the mesh.
    path, layer : a vector file in any CRS, and which of its layers; see `drawn.read_shapes`.

    In words: an edge is on the line when the way between the centres of its two cells meets the line. So a
    line without holes closes all ways it cuts, and a hole narrower than the ways are apart (about one cell,
    `Integrity.tolerance_m`) is not seen. Lines that all end where they begin are rings round what they hold.

    Raises
    ------
    InputError : all at once: shapes that are no lines, a line outside the mesh, one that is doubled back or
        crosses itself; each with its place.
    """
    frame = read_frame(path, layer)
    shapes = bring_shapes(frame)
    faults = _check_folds(frame, path.name)
    edges = np.zeros(mesh.edge_count, bool)
    lines = []
    for number, shape in enumerate(shapes, start=1):
        if shapely.get_dimensions(shape) != 1:
            faults.append(
                Fault(f"shape {number} is a {shape.geom_type}", path.name, remedy="draw lines only")
            )
            continue
        for part in shapely.get_parts(shape):
            lines.append(part)
            crossed = list_crossed(mesh, part)
            edges[crossed] = True
            faults += _check_part(part, len(crossed), number, path.name)
    if faults:
        raise InputError(faults)
    rings = bool(lines) and all(shapely.is_closed(line) for line in lines)
    areas = np.array([shapely.Polygon(line) for line in lines], object) if rings else np.empty(0, object)
    return Drawn(edges, cover_cells(mesh, areas))


def _check_part(part: shapely.Geometry, crossed: int, number: int, shown: str) -> list[Fault]:
    if crossed:
        return []
    first = shapely.get_coordinates(part)[0]
    return [
        Fault(
            f"line {number} from {first[0]:.4f} E, {first[1]:.4f} N lies outside the mesh or within one "
            "cell: it crosses no edge",
            shown,
            remedy="check its CRS and the order of x and y, or draw it across the study's ground",
        )
    ]


def _check_folds(frame: gpd.GeoDataFrame, shown: str) -> list[Fault]:
    """Folds are looked for where the line was drawn: a change of CRS would tear both ways apart."""
    faults = []
    for number, shape in enumerate(frame.geometry, start=1):
        for part in shapely.get_parts(shape) if shapely.get_dimensions(shape) == 1 else ():
            fold = find_fold(part)
            if fold is None:
                continue
            place = gpd.GeoSeries([shapely.Point(fold)], crs=frame.crs).to_crs("EPSG:4326").iloc[0]
            faults.append(
                Fault(
                    f"line {number} is doubled back or crosses itself at {place.x:.4f} E, {place.y:.4f} N",
                    shown,
                    remedy="draw it without loops, or split it there",
                )
            )
    return faults


def find_fold(line: shapely.Geometry) -> tuple[float, float] | None:
    """Return a place where a line runs over or across itself, or None.

    Examples
    --------
    >>> find_fold(shapely.LineString([(0, 0), (2, 0), (1, 0)]))
    (1.0, 0.0)
    >>> find_fold(shapely.LineString([(0, 0), (2, 0), (2, 1)])) is None
    True
    """
    if shapely.is_simple(line):
        return None
    corners = shapely.get_coordinates(line)
    steps = np.asarray(shapely.linestrings(np.stack([corners[:-1], corners[1:]], axis=1)), object)
    first, second = shapely.STRtree(steps).query(steps, predicate="intersects")
    ahead = first < second
    for one, two in sorted(zip(first[ahead].tolist(), second[ahead].tolist(), strict=True)):
        common = shapely.intersection(steps[one], steps[two])
        if two > one + 1 or shapely.get_dimensions(common) == 1:
            x, y = shapely.get_coordinates(common)[0]
            if two == len(steps) - 1 and one == 0 and (x, y) == tuple(corners[0]):
                continue
            return float(x), float(y)
    return float(corners[0][0]), float(corners[0][1])


def check_line(study: Study, mesh: Mesh, drawn: Drawn, progress: Progress | None = None) -> Integrity:
    """Say whether a line closes, where it leaks, what each leak is worth and what mending costs.

    Parameters
    ----------
    study, mesh : the study and its mesh.
    drawn : the line; all its edges count as closed.
    progress : callback (stage, share done).

    Formula: leaks = edges with a gap or road in the cheapest closing line when drawn edges are free, and not
    drawn; hours(leak) = max over approaches of A - min(A, F(a) + t + T(b), F(b) + t + T(a)), with A the
    arrival time when line and mending are closed, F and T the times from the front and to the objective then,
    and t the time over the leak (a, b) left open.
    In words: the line must hold between hostile ground and the home ground farther from the border than any
    of its cells; a ring must hold between hostile ground and what it rings. The cheapest way to mend it shows
    where it leaks. Closed edges cost the delay of the cheapest option that closes them.

    Raises
    ------
    InputError : no home ground lies behind the line, or none of it is ringed.
    InfeasibleError : the leaks cannot be closed on home ground; names the place.
    """
    report = progress or (lambda _words, _share: None)
    report("looking for leaks", 0.0)
    source, target = _find_sides(study, mesh, drawn)
    home = mesh.mask_countries(study.home)
    closures = choose_closures(study, mesh)
    natural = (mesh.gap_m == 0) & (mesh.road_class < 0)
    works = find_protected_works(study, mesh)
    barred = works[mesh.edge_a] | works[mesh.edge_b]
    mending = np.where(barred & ~natural, np.inf, closures.cost_eur)
    price = np.where(drawn.edges, 0.0, np.minimum(mending, DEAREST_EUR))
    both_home = home[mesh.edge_a] & home[mesh.edge_b]
    price = np.where(both_home | drawn.edges, price, np.inf)
    line = find_closing_line(mesh, price, source, target, home | source, "check", "Checked line")
    leaks = line.edges[~drawn.edges[line.edges] & ~natural[line.edges]]
    report("hours gained through leaks", 0.5)
    closed = drawn.edges.copy()
    closed[line.edges] = True
    hours, approach = _time_leaks(study, mesh, closures, closed, leaks)
    order = np.lexsort((leaks, -mesh.gap_m[leaks], -hours))
    holes = _number_holes(line, leaks)
    lon, lat = locate_edges(mesh, leaks)
    modes = name_modes(mesh, leaks)
    found = tuple(
        Leak(
            int(leaks[one]),
            holes[int(leaks[one])],
            modes[one],
            float(mesh.gap_m[leaks[one]]),
            float(lon[one]),
            float(lat[one]),
            float(hours[one]),
            approach[one],
            float(mending[leaks[one]]),
        )
        for one in order
    )
    report("hours gained through leaks", 1.0)
    return Integrity(
        not found,
        found,
        float(mending[leaks].sum()),
        int(drawn.edges.sum()),
        float(np.mean(mesh.distance_m, dtype=np.float64)),
    )


def _find_sides(study: Study, mesh: Mesh, drawn: Drawn) -> tuple[np.ndarray, np.ndarray]:
    home, source = mesh.mask_countries(study.home), mesh.mask_countries(study.hostile)
    faults = []
    if not source.any():
        faults.append(Fault("no hostile ground lies in the mesh", "study.toml", column="hostile"))
    if drawn.ringed.any():
        target = home & drawn.ringed
    else:
        cells = np.concatenate([mesh.edge_a[drawn.edges], mesh.edge_b[drawn.edges]])
        own = cells[home[cells]]
        deepest_km = float(mesh.border_km[own].max()) if len(own) else 0.0
        target = home & (mesh.border_km > deepest_km)
    if not target.any():
        faults.append(
            Fault(
                "no home ground lies behind the line",
                column="--check",
                remedy="draw it nearer to the border, or as a ring round what it protects",
            )
        )
    if faults:
        raise InputError(faults)
    return source, target & ~source


def _time_leaks(
    study: Study, mesh: Mesh, closures: Closures, closed: np.ndarray, leaks: np.ndarray
) -> tuple[np.ndarray, list[str]]:
    best, approach = np.zeros(len(leaks)), [""] * len(leaks)
    if not len(leaks):
        return best, approach
    a, b = mesh.edge_a[leaks], mesh.edge_b[leaks]
    for run in list_runs(study, mesh):
        hours = delay_times(run, closures, closed)
        ahead, behind = compute_times(mesh, hours, run.sources), compute_times(mesh, hours, run.targets)
        arrival = float(behind[run.sources].min())
        through = run.times.time_h[leaks] + np.minimum(ahead[a] + behind[b], ahead[b] + behind[a])
        least = np.minimum(arrival, through)
        gain = np.where(np.isinf(least), 0.0, arrival - np.where(np.isinf(least), 0.0, least))
        for one in np.flatnonzero(gain > best + 1e-9):
            best[one], approach[one] = gain[one], run.key
    return best, approach


def _number_holes(line: Line, leaks: np.ndarray) -> dict[int, int]:
    """Number the runs of leaks that follow one another along the line, from 1."""
    open_edges = set(leaks.tolist())
    holes: dict[int, int] = {}
    count = 0
    for chain in line.chains:
        inside = False
        for edge in chain.tolist():
            if edge in open_edges:
                count += not inside
                holes[edge] = count
            inside = edge in open_edges
    return holes
