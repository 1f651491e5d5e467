"""Fetching: plan, ask, get each file through pooch, check it and list it in sources.csv."""

from __future__ import annotations

import datetime
import fcntl
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from abatis.ground.fetching.download import (
    Manners,
    NotThereError,
    ResumingDownloader,
    UnreachableError,
    check_format,
    check_hosts,
    describe_write_fault,
    get_text,
)
from abatis.ground.fetching.listing import put_source_row
from abatis.ground.fetching.planning import FetchFile, FetchPlan, choose_layers, find_borders, plan_fetch
from abatis.model.errors import Fault, InputError
from abatis.model.study import Study, read_study_to_fetch

Progress = Callable[[str, float], None]
Note = Callable[[str], None]
Confirm = Callable[["FetchWork"], bool]
MB = 1e6


@dataclass(frozen=True)
class FetchWork:
    """What one step will do: the plan, the files still to get, and what of them is there in part."""

    plan: FetchPlan
    missing: tuple[FetchFile, ...]
    part_mb: float

    @property
    def size_mb(self) -> float:
        """MB still to come, from the usual sizes."""
        return max(0.0, sum(file.size_mb for file in self.missing) - self.part_mb)


@dataclass
class FetchResult:
    """What happened: names of files got, found in place, and not there at the publisher; notes."""

    fetched: list[str] = field(default_factory=list)
    present: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    by_hand: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    bytes: int = 0


def list_work(folder: Path, layers: tuple[str, ...], mirror: str | None = None) -> FetchWork:
    """Say what a fetch would get, without any connection.

    Parameters
    ----------
    folder : study folder.
    layers : names of open layers; the usual ones when empty.
    mirror : address of a mirror; that of the study's settings when None.

    Raises
    ------
    InputError : faults of the study or the arguments; a file in sources/ that is not the one listed.
    """
    study = read_study_to_fetch(folder)
    return _find_work(study, _plan(study, layers, mirror))


def fetch_study(
    folder: Path,
    layers: tuple[str, ...],
    confirm: Confirm,
    progress: Progress,
    note: Note,
    mirror: str | None = None,
    manners: Manners | None = None,
) -> FetchResult:
    """Get the open data of a study's ground into its sources/.

    Parameters
    ----------
    folder : study folder.
    layers : names of open layers; the usual ones when empty.
    confirm : is shown the work and its size before anything is got; False ends without a fault.
    progress : called with a stage and the share (0..1) of the bytes.
    note : called with the name of the present file.
    mirror : address of a mirror; that of the study's settings when None.
    manners : tries, waits and speed; the study's speed when None.

    Returns
    -------
    What was got, found and not there.

    Raises
    ------
    InputError : all files that failed, once the others are there; no connection; a full disk.

    In words: without borders these come first, since they say where the ground is. Each file is listed as
    soon as it is complete; run again, the command goes on where it stopped.
    """
    result = FetchResult()
    with _lock_sources(folder):
        study = read_study_to_fetch(folder)
        manners = manners or Manners(speed_mb_s=study.fetch_speed_mb_s)
        chosen = choose_layers(layers, find_borders(study))
        if not find_borders(study) and any(layer.kind == "borders" for layer in chosen):
            first = tuple(layer.layer for layer in chosen if layer.kind == "borders")
            if not _do_step(study, first, mirror, confirm, progress, note, manners, result):
                return result
            study = read_study_to_fetch(folder)
            layers = tuple(layer.layer for layer in chosen if layer.kind != "borders")
            if not layers:
                return result
        _do_step(study, layers, mirror, confirm, progress, note, manners, result)
    return result


def _plan(study: Study, layers: tuple[str, ...], mirror: str | None) -> FetchPlan:
    chosen = choose_layers(layers, find_borders(study))
    return plan_fetch(study, chosen, (study.mirror or "") if mirror is None else mirror)


def _find_work(study: Study, plan: FetchPlan) -> FetchWork:
    """Divide the plan into files that are there, checked, and files to get."""
    faults, missing = [], []
    part_mb = 0.0
    listed = _list_checksums(study)
    for file in plan.files:
        path = study.folder / "sources" / file.name
        if not path.is_file():
            missing.append(file)
            part = path.with_name(path.name + ".part")
            part_mb += min(part.stat().st_size / MB, file.size_mb) if part.exists() else 0.0
            continue
        known = listed.get((file.layer.kind, file.name), "")
        if known and _hash_file(path) != known:
            faults.append(
                Fault(
                    "is not the file that was listed: its checksum differs",
                    f"sources/{file.name}",
                    remedy="delete it to fetch it again, or correct sha256 in sources/sources.csv",
                )
            )
    if faults:
        raise InputError(faults)
    return FetchWork(plan, tuple(missing), part_mb)


def _do_step(
    study: Study,
    layers: tuple[str, ...],
    mirror: str | None,
    confirm: Confirm,
    progress: Progress,
    note: Note,
    manners: Manners,
    result: FetchResult,
) -> bool:
    plan = _plan(study, layers, mirror)
    work = _find_work(study, plan)
    result.notes += [text for text in plan.notes if text not in result.notes]
    result.by_hand += [f"{layer.title}: {layer.address} (needs a login)" for layer in plan.by_hand]
    _adopt_unlisted(study, work, result)
    if not work.missing:
        return True
    _check_space(study, work)
    if not confirm(work):
        return False
    check_hosts({file.host: file.address for file in reversed(work.missing)}, manners)
    _get_files(study, work, progress, note, manners, result)
    return True


def _get_files(
    study: Study, work: FetchWork, progress: Progress, note: Note, manners: Manners, result: FetchResult
) -> None:
    import requests

    faults: list[Fault] = []
    silent: set[str] = set()
    meter = _Meter([file.size_mb for file in work.missing], progress)
    with requests.Session() as session:
        for number, file in enumerate(work.missing):
            meter.start(number, f"fetching {file.layer.layer}")
            note(f"{file.name}, {number + 1} of {len(work.missing)}")
            if file.host in silent:
                continue
            try:
                result.bytes += _get_file(study, file, session, manners, meter)
            except NotThereError as error:
                if file.layer.sparse:
                    result.absent.append(file.name)
                else:
                    faults.append(Fault(str(error), file.name, remedy="the publisher may have moved it"))
            except UnreachableError as error:
                silent.add(file.host)
                faults.append(Fault(str(error), file.name, remedy="run the same command later: it goes on"))
            except InputError as error:
                if "disk is full" in str(error):
                    raise
                faults += error.faults
            else:
                result.fetched.append(file.name)
            meter.finish(number)
    faults += _find_empty_layers(work, result)
    if faults:
        raise InputError(faults)


def _get_file(study: Study, file: FetchFile, session: Any, manners: Manners, meter: _Meter) -> int:
    """Get one file with pooch, check it against what is known of it, list it; return the bytes that came."""
    import pooch

    pooch.get_logger().setLevel("ERROR")
    folder = study.folder / "sources"
    path = folder / file.name
    known = _list_checksums(study).get((file.layer.kind, file.name), "")
    expected = "" if file.layer.changes else known
    published = _read_published(session, file, manners)
    downloader = ResumingDownloader(session, path, file.layer.format, manners, meter.report)
    try:
        pooch.retrieve(
            file.address,
            known_hash=published or expected or None,
            fname=file.name,
            path=folder,
            downloader=downloader,
        )
    except (InputError, NotThereError, UnreachableError):
        raise
    except ValueError as error:
        told = "the publisher's" if published else "the one listed in sources.csv"
        raise InputError(
            [
                Fault(
                    f"the checksum of what was got is not {told}; it was deleted",
                    file.name,
                    remedy="run the same command again; if it stays so, the file was changed at its address",
                )
            ]
        ) from error
    except OSError as error:
        raise InputError([describe_write_fault(path, error)]) from error
    _list_file(study, file)
    return downloader.got_bytes


def _list_file(study: Study, file: FetchFile) -> None:
    layer = file.layer
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    put_source_row(
        study.folder / "sources" / "sources.csv",
        {
            "layer": layer.kind,
            "file": file.name,
            "class_column": layer.class_column,
            "name_column": layer.name_column,
            "value_column": layer.value_column,
            "sha256": _hash_file(study.folder / "sources" / file.name),
            "licence": layer.licence,
            "date": layer.date or today,
            "address": file.address,
            "source": layer.source,
            "tag": layer.tag,
            "fetched": today,
            "attribution": layer.attribution,
        },
    )


def _adopt_unlisted(study: Study, work: FetchWork, result: FetchResult) -> None:
    """List files that are complete but were not listed, as after a stop between the two."""
    rows = {(row["layer"], row["file"]) for _, row in study.sources.iterrows()}
    for file in work.plan.files:
        if file in work.missing:
            continue
        result.present.append(file.name)
        if (file.layer.kind, file.name) not in rows:
            problem = check_format(study.folder / "sources" / file.name, file.layer.format)
            if problem:
                raise InputError(
                    [Fault(problem, f"sources/{file.name}", remedy="delete it to fetch it again")]
                )
            _list_file(study, file)


def _list_checksums(study: Study) -> dict[tuple[str, str], str]:
    return {(row["layer"], row["file"]): row["sha256"] for _, row in study.sources.iterrows()}


def _read_published(session: Any, file: FetchFile, manners: Manners) -> str:
    """Checksum as pooch writes it, from a text like `md5sum` makes; empty when none is published."""
    if not file.checksum_address:
        return ""
    found = re.match(
        r"\s*([0-9a-fA-F]{64}|[0-9a-fA-F]{32})\b", get_text(session, file.checksum_address, manners)
    )
    if found is None:
        return ""
    return ("md5:" if len(found[1]) == 32 else "sha256:") + found[1].lower()


def _hash_file(path: Path) -> str:
    import pooch

    return str(pooch.file_hash(str(path), alg="sha256"))


def _find_empty_layers(work: FetchWork, result: FetchResult) -> list[Fault]:
    """A layer of which not one file is there: the address or the mirror is wrong, not the sea."""
    faults = []
    for layer in dict.fromkeys(file.layer for file in work.plan.files):
        names = {file.name for file in work.plan.files if file.layer == layer}
        if names <= set(result.absent):
            faults.append(
                Fault(
                    f"none of the {len(names)} files of layer {layer.layer} is there",
                    remedy="check the mirror, and the study's borders or places",
                )
            )
    return faults


def _check_space(study: Study, work: FetchWork) -> None:
    free_mb = shutil.disk_usage(study.folder).free / MB
    if free_mb < work.size_mb:
        raise InputError(
            [
                Fault(
                    f"about {work.size_mb:,.0f} MB will come but only {free_mb:,.0f} MB are free",
                    str(study.folder / "sources"),
                    remedy="free some space, or choose fewer layers with --layer; nothing was fetched",
                )
            ]
        )


@contextmanager
def _lock_sources(folder: Path) -> Iterator[None]:
    """Keep a second fetch out of the same folder; the system frees the lock when the process ends."""
    sources = folder / "sources"
    if not (folder / "study.toml").is_file():
        read_study_to_fetch(folder)
    path = sources / ".fetch-lock"
    try:
        sources.mkdir(exist_ok=True)
        handle = path.open("w")
    except OSError as error:
        raise InputError([describe_write_fault(path, error)]) from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(
                [Fault("another fetch is at work here", str(sources), remedy="wait until it ends")]
            ) from error
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


class _Meter:
    """Share of the bytes got, with each file's true size as soon as the server says it."""

    def __init__(self, sizes_mb: list[float], progress: Progress) -> None:
        self._sizes = [size * MB for size in sizes_mb]
        self._done = [0.0] * len(sizes_mb)
        self._progress = progress
        self._number, self._stage, self._share = 0, "", 0.0

    def start(self, number: int, stage: str) -> None:
        """Begin a file."""
        self._number, self._stage = number, stage
        self._tell()

    def report(self, done: int, total: int | None) -> None:
        """Note the bytes of the present file."""
        self._sizes[self._number] = float(total or max(self._sizes[self._number], done))
        self._done[self._number] = float(done)
        self._tell()

    def finish(self, number: int) -> None:
        """End a file, got or not."""
        self._done[number] = self._sizes[number]
        self._tell()

    def _tell(self) -> None:
        whole = sum(self._sizes)
        self._share = max(self._share, sum(self._done) / whole if whole > 0 else 1.0)
        self._progress(self._stage, min(1.0, self._share))
