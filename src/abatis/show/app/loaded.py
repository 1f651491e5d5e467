"""The study in memory: read once, read again when its files change, shared by all requests."""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from abatis.barrier.network import Network, build_network
from abatis.barrier.sites import Siting, site_study
from abatis.barrier.solve import measure_times
from abatis.ground.hexgrid import build_hexgrid, find_corners
from abatis.ground.speeds import compute_edge_times
from abatis.ground.travel import EdgeTimes, compute_times
from abatis.model.errors import AbatisError, Fault, InputError
from abatis.model.mesh import Mesh
from abatis.model.plan import Plan, Problem, read_plan
from abatis.model.study import Study, check_speed_cover
from abatis.model.words import SEASONS
from abatis.people.access_ground import prepare_access
from abatis.people.access_rules import AccessJudge, list_access_rules
from abatis.show.app.refusals import FaultAnswer, describe_error
from abatis.show.app.sending import Packed, PackedCache
from abatis.show.basemap import BaseMap, locate_edge_corners, prepare_base_map
from abatis.show.results import check_same_study, find_option_rows, label_sites, time_edges
from abatis.show.workflow import load_study

Stamp = tuple[tuple[str, int, int], ...]
MOST_OF_MANY = 1024


class Turns:
    """Lets one thread at a time work on a key, while others who ask for it wait.

    In words: a key is forgotten as soon as nobody works on it or waits for it: many keys take no room.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: dict[Hashable, tuple[threading.Lock, int]] = {}

    def __len__(self) -> int:
        """Number of keys that somebody works on."""
        with self._lock:
            return len(self._asked)

    @contextmanager
    def take(self, key: Hashable) -> Iterator[None]:
        """Wait for the turn on a key and hold it."""
        with self._lock:
            turn, others = self._asked.get(key) or (threading.Lock(), 0)
            self._asked[key] = (turn, others + 1)
        try:
            with turn:
                yield
        finally:
            with self._lock:
                turn, others = self._asked.pop(key)
                if others > 1:
                    self._asked[key] = (turn, others - 1)


@dataclass
class Keeper:
    """Keeps what was computed under a key; one thread computes, others wait; errors are not kept.

    In words: a word names what there is once, and it stays. A tuple names one of many, such as the choice of
    a version of a plan: of these the newest `MOST_OF_MANY` stay.
    """

    _kept: dict[Hashable, Any] = field(default_factory=dict)
    _many: deque[Hashable] = field(default_factory=deque)
    _turns: Turns = field(default_factory=Turns)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Return what is kept under a key, made by `make` when it is not there."""
        with self._lock:
            if key in self._kept:
                return self._kept[key]
        with self._turns.take(key):
            with self._lock:
                if key in self._kept:
                    return self._kept[key]
            made = make()
            with self._lock:
                self._keep(key, made)
            return made

    def _keep(self, key: Hashable, made: Any) -> None:
        self._kept[key] = made
        if isinstance(key, tuple):
            self._many.append(key)
            if len(self._many) > MOST_OF_MANY:
                del self._kept[self._many.popleft()]

    def peek(self, key: Hashable) -> Any:
        """Return what is kept under a key, or None."""
        with self._lock:
            return self._kept.get(key)


@dataclass(frozen=True)
class KeptPlan:
    """A plan as it stands on disk in plans/`name`; `version` changes with every byte.

    `stale` says why it does not belong to the study as it is now, '' when it does.
    """

    name: str
    plan: Plan
    version: str
    stale: str


class Snapshot:
    """One state of a study's files: study and mesh at once, the rest when first asked for.

    `faults` is not empty when the files were changed into something that cannot be read: this is then the
    last state that could.
    """

    def __init__(self, study: Study, mesh: Mesh, stamp: Stamp) -> None:
        self.study, self.mesh, self.stamp = study, mesh, stamp
        self.version = hashlib.sha256(repr(stamp).encode()).hexdigest()[:16]
        self.faults: tuple[FaultAnswer, ...] = ()
        self.keeper = Keeper()

    @property
    def siting(self) -> Siting:
        """Lines, sites, options and the problem."""
        return self.keeper.get("siting", partial(site_study, self.study, self.mesh))

    @property
    def problem(self) -> Problem:
        """What the solver sees."""
        return self.siting.problem

    @property
    def network(self) -> Network:
        """The compressed network of the problem; it answers any choice exactly in about a millisecond."""
        return self.keeper.get("network", lambda: build_network(self.problem))

    @property
    def labels(self) -> dict[str, str]:
        """Label of every site."""
        return self.keeper.get("labels", lambda: label_sites(self.siting))

    @property
    def base_map(self) -> BaseMap:
        """Projection and background layers."""
        return self.keeper.get("base_map", partial(prepare_base_map, self.study, self.mesh))

    @property
    def edge_lonlat(self) -> np.ndarray:
        """Both ends of every edge, float64[E, 2, 2] degrees."""

        def locate() -> np.ndarray:
            grid = build_hexgrid(np.asarray(self.mesh.cells))
            lonlat, corners = find_corners(grid, np.asarray(self.mesh.neighbor))
            return np.asarray(lonlat[locate_edge_corners(self.mesh, corners)])

        return self.keeper.get("edge_lonlat", locate)

    @property
    def option_row(self) -> dict[tuple[str, str], int]:
        """Row of each (site, option)."""

        def number() -> dict[tuple[str, str], int]:
            return {(one.site, one.option): row for row, one in enumerate(self.siting.options)}

        return self.keeper.get("option_row", number)

    @property
    def judge(self) -> AccessJudge | None:
        """Who says which rules of access a choice breaks; None where the study has none."""
        return self.keeper.get("judge", self._make_judge)

    def _make_judge(self) -> AccessJudge | None:
        rules = list_access_rules(self.study)
        if not rules:
            return None
        return AccessJudge(self.study, self.mesh, self.siting, rules, prepare_access(self.study, self.mesh))

    def edge_times(self, vehicle: str, season: str) -> EdgeTimes:
        """Hours to cross each edge in the open and by road."""
        make = partial(compute_edge_times, self.study, self.mesh, vehicle, season)
        return self.keeper.get(("edge_times", vehicle, season), make)

    def list_pairs(self) -> tuple[tuple[str, str], ...]:
        """Return the pairs of vehicle and season for which the study gives every speed."""
        return self.keeper.get("pairs", self._find_pairs)

    def _find_pairs(self) -> tuple[tuple[str, str], ...]:
        tables = self.study.tables
        found = []
        for vehicle in tables["vehicles"]["vehicle"]:
            for season in SEASONS:
                row = tables["approaches"].iloc[:1].assign(vehicle=vehicle, season=season)
                if not check_speed_cover({**tables, "approaches": row}):
                    found.append((str(vehicle), str(season)))
        return tuple(found)

    def find_rows(self, plan: Plan) -> tuple[int, ...]:
        """Return the rows of a plan's options, in the order of the sites."""
        return find_option_rows(self.siting, plan)

    def measure(self, rows: tuple[int, ...]) -> np.ndarray:
        """Return float64[K], arrival times when some options (rows) are built.

        In words: on the compressed network once it is there, on the whole mesh before; both are exact.
        """
        network = self.keeper.peek("network")
        if network is None:
            return self.measure_fully(rows)
        choice = np.zeros(self.problem.option_count)
        choice[list(rows)] = 1.0
        return measure_times(network, choice)

    def measure_fully(self, rows: tuple[int, ...]) -> np.ndarray:
        """Return the same as `measure` by one search over the whole mesh for each approach."""
        problem, found = self.problem, []
        for index in range(problem.approach_count):
            group = int(problem.approach_group[index])
            time_h = time_edges(problem, problem.open_h[group], problem.road_h[group], rows)
            targets = np.asarray(problem.approach_targets[index], dtype=np.int32)
            times = compute_times(self.mesh, time_h, targets)
            found.append(float(times[np.asarray(problem.approach_sources[index])].min()))
        return np.array(found)

    def weigh(self, arrival_h: np.ndarray) -> float:
        """Return the value of arrival times float64[K]: their weighted sum, or the least of them."""
        if self.problem.objective == "minimum":
            return float(arrival_h.min())
        return float(self.problem.approach_weight @ arrival_h)


class LoadedStudy:
    """The study of one folder, always in its newest state.

    `study`, `mesh`, `siting` and `labels` are those of the present snapshot; who needs several that fit
    together takes `snapshot()` once and asks that.

    Parameters
    ----------
    folder : study folder with a mesh.

    Raises
    ------
    AbatisError : the study cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.cache = PackedCache()
        self._lock = threading.Lock()
        self._tried: Stamp = ()
        self._plans: dict[str, tuple[tuple[object, ...], KeptPlan]] = {}
        self._now = self._read()

    def snapshot(self) -> Snapshot:
        """Return the newest state; files that changed are read again."""
        stamp = stamp_files(self.folder)
        if stamp == self._tried:
            return self._now
        with self._lock:
            if stamp != self._tried:
                try:
                    self._now = self._read()
                    self.warm()
                except AbatisError as error:
                    self._tried = stamp
                    self._now.faults = tuple(describe_error(error))
            return self._now

    def _read(self) -> Snapshot:
        stamp = stamp_files(self.folder)
        found = Snapshot(*load_study(self.folder), stamp)
        self._tried = stamp
        return found

    def warm(self) -> None:
        """Prepare base map, sites and network in a thread, so that the first map and switch need not wait."""
        now = self._now

        def prepare() -> None:
            try:
                _ = now.base_map, now.network, now.judge
            except AbatisError:
                # Whoever asks for the sites is told.
                return

        threading.Thread(target=prepare, name="prepare sites", daemon=True).start()

    @property
    def study(self) -> Study:
        """The study."""
        return self.snapshot().study

    @property
    def mesh(self) -> Mesh:
        """Its mesh."""
        return self.snapshot().mesh

    @property
    def siting(self) -> Siting:
        """Its lines, sites, options and problem."""
        return self.snapshot().siting

    @property
    def labels(self) -> dict[str, str]:
        """Label of every site."""
        return self.snapshot().labels

    @property
    def version(self) -> str:
        """Changes whenever a file of the study changes."""
        return self.snapshot().version

    def list_plans(self) -> list[str]:
        """Return the names of the plans, the one called base first."""
        found = [path.parent.name for path in (self.folder / "plans").glob("*/plan.json")]
        return sorted((name for name in found if not name.startswith(".")), key=lambda n: (n != "base", n))

    def stamp_plans(self) -> Stamp:
        """Return name, time of change and size of every plan: another stamp, another list of plans."""
        found = []
        for path in sorted((self.folder / "plans").glob("*/plan.json")):
            try:
                state = path.stat()
            except OSError:
                continue
            found.append((path.parent.name, state.st_mtime_ns, state.st_size))
        return tuple(found)

    def read_plan(self, name: str) -> KeptPlan:
        """Return a plan as it stands on disk.

        Raises
        ------
        InputError : there is none, or it is damaged.
        """
        folder = self.folder / "plans" / name
        now, path = self.snapshot(), folder / "plan.json"
        if Path(name).name != name or not path.is_file():
            remedy = f"known plans: {', '.join(self.list_plans()) or 'none'}"
            raise InputError([Fault(f"there is no plan '{name}'", column="plan", remedy=remedy)])
        seen = path.stat()
        watch = self.folder / "watch" / "seen.parquet"
        key = (seen.st_mtime_ns, seen.st_size, seen.st_ino, now.version, watch.is_file())
        with self._lock:
            held = self._plans.get(name)
        if held is not None and held[0] == key:
            return held[1]
        kept = _read_kept(now.study, folder)
        with self._lock:
            self._plans[name] = (key, kept)
        return kept

    def require_plan(self, name: str) -> KeptPlan:
        """Return a plan that belongs to the study as it is now.

        Raises
        ------
        InputError : it was made from another state of the study.
        """
        kept = self.read_plan(name)
        if kept.stale:
            remedy = f"solve again with: abatis solve {self.folder.name} --name {name}"
            raise InputError([Fault(kept.stale, f"plans/{name}/plan.json", remedy=remedy)])
        return kept

    def pack(
        self, now: Snapshot, key: tuple[Hashable, ...], make: Callable[[], bytes], media_type: str
    ) -> Packed:
        """Return the packed answer of a key, made from one snapshot of the study."""
        return self.cache.get((now.version, *key), make, media_type)

    def count_bytes(self) -> dict[str, int]:
        """Return the bytes held: mesh, problem, network, times of edges, answers ready to be sent."""
        now = self._now
        keeper, held = now.keeper, {"mesh": _count_arrays(now.mesh)}
        siting = keeper.peek("siting")
        held["problem"] = _count_arrays(siting.problem) if siting is not None else 0
        network = keeper.peek("network")
        held["network"] = sum(_count_arrays(one) for one in network.graphs) if network is not None else 0
        pairs = [keeper.peek(("edge_times", *pair)) for pair in keeper.peek("pairs") or ()]
        held["edge_times"] = sum(_count_arrays(one) for one in pairs if one is not None)
        held["answers"] = self.cache.held_bytes
        return held


def open_study(folder: Path) -> LoadedStudy:
    """Read a study into memory and begin to prepare its sites.

    Raises
    ------
    AbatisError : the study cannot be read, or has no mesh.
    """
    loaded = LoadedStudy(folder)
    loaded.warm()
    return loaded


def stamp_files(folder: Path) -> Stamp:
    """Return name, time of change and size of every file that a study is read from."""
    found = []
    paths = [folder / "study.toml", folder / "watch" / "seen.parquet"]
    for part in ("tables", "sources", "mesh"):
        inside = folder / part
        paths += sorted(inside.iterdir()) if inside.is_dir() else []
    for path in paths:
        try:
            state = path.stat()
        except OSError:
            continue
        found.append((str(path.relative_to(folder)), state.st_mtime_ns, state.st_size))
    return tuple(found)


def hash_file(path: Path) -> str:
    """Return the version of a file: the first 16 letters of its SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _read_kept(study: Study, folder: Path) -> KeptPlan:
    """Read a plan whose file may be replaced at any moment."""
    while True:
        version = hash_file(folder / "plan.json")
        plan = read_plan(folder)
        if hash_file(folder / "plan.json") == version:
            break
    try:
        check_same_study(study, plan)
    except InputError as error:
        return KeptPlan(folder.name, plan, version, "; ".join(fault.problem for fault in error.faults))
    return KeptPlan(folder.name, plan, version, "")


def _count_arrays(holder: object) -> int:
    return sum(value.nbytes for value in vars(holder).values() if isinstance(value, np.ndarray))
