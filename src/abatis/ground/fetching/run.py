"""Fetching: plan, ask, get each file through pooch, check it and list it in sources.csv."""

from __future__ import annotations

import datetime
import fcntl
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from abatis.ground.fetching.absent import ABSENT_NAME, AbsentFile, read_absent, write_absent
from abatis.ground.fetching.download import (
    FULL_DISK,
    Manners,
    NotThereError,
    ResumingDownloader,
    UnreachableError,
    check_format,
    check_hosts,
    describe_write_fault,
    get_text,
)
from abatis.ground.fetching.finishing import Finisher
from abatis.ground.fetching.listing import put_source_row
from abatis.ground.fetching.merging import merge_classes
from abatis.ground.fetching.planning import FetchFile, FetchPlan, choose_layers, find_borders, plan_fetch
from abatis.model.errors import Fault, InputError
from abatis.model.study import Study, read_study_to_fetch

Progress = Callable[[str, float], None]
Note = Callable[[str], None]
Confirm = Callable[["FetchWork"], bool]
MB = 1e6


@dataclass(frozen=True)
class FetchWork:
    """What one step will do: the plan, the files still to get, and what of them is there in part.

    `absent` files of the plan are known not to be at the publisher.
    """

    plan: FetchPlan
    missing: tuple[FetchFile, ...]
    absent: tuple[FetchFile, ...]
    part_mb: float

    @property
    def size_mb(self) -> float:
        """MB still to come, from the usual sizes."""
        return max(0.0, sum(file.size_mb for file in self.missing) - self.part_mb)


@dataclass
class FetchResult:
    """What happened: names of files got, found in place, and not there at the publisher; notes.

    `known_absent` were not asked for again; `beside` are here but nothing of them lies on the ground.
    """

    fetched: list[str] = field(default_factory=list)
    present: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    known_absent: list[str] = field(default_factory=list)
    beside: list[str] = field(default_factory=list)
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
    soon as it is complete; run again, the command goes on where it stopped. At the end the meaning of codes
    is added to tables/classes.csv.
    """
    result = FetchResult()
    with _lock_sources(folder):
        study = read_study_to_fetch(folder)
        manners = manners or Manners(speed_mb_s=study.fetch_speed_mb_s)
        chosen = choose_layers(layers, find_borders(study))
        names = tuple(layer.layer for layer in chosen)
        if not find_borders(study) and any(layer.kind == "borders" for layer in chosen):
            first = tuple(layer.layer for layer in chosen if layer.kind == "borders")
            if not _do_step(study, first, mirror, confirm, progress, note, manners, result):
                return result
            study = read_study_to_fetch(folder)
            names = tuple(layer.layer for layer in chosen if layer.kind != "borders")
        if not names or _do_step(study, names, mirror, confirm, progress, note, manners, result):
            result.notes += merge_classes(read_study_to_fetch(folder), chosen)
    return result


def _plan(study: Study, layers: tuple[str, ...], mirror: str | None) -> FetchPlan:
    chosen = choose_layers(layers, find_borders(study))
    return plan_fetch(study, chosen, (study.mirror or "") if mirror is None else mirror)


def _find_work(study: Study, plan: FetchPlan) -> FetchWork:
    """Divide the plan into files that are there and checked, known not to be anywhere, and to be got."""
    faults, missing, absent = [], [], []
    part_mb = 0.0
    listed = _list_checksums(study)
    sources = study.folder / "sources"
    known_absent = read_absent(sources, _today())
    for file in plan.files:
        path = sources / file.name
        if not path.is_file():
            if file.address in known_absent:
                absent.append(file)
                continue
            missing.append(file)
            part = sources / (file.archive + ".part")
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
    return FetchWork(plan, tuple(missing), tuple(absent), part_mb)


def _today() -> datetime.date:
    return datetime.datetime.now(datetime.UTC).date()


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
    result.known_absent += [file.name for file in work.absent]
    finisher = Finisher(study.folder / "sources", plan)
    _adopt_unlisted(study, work, finisher, result)
    if not work.missing:
        return True
    _check_space(study, work)
    if not confirm(work):
        return False
    check_hosts({file.host: file.address for file in reversed(work.missing)}, manners)
    lost: dict[str, AbsentFile] = {}
    try:
        _get_files(study, work, finisher, progress, note, manners, result, lost)
    finally:
        _remember_absent(study, work, lost)
    return True


def _get_files(
    study: Study,
    work: FetchWork,
    finisher: Finisher,
    progress: Progress,
    note: Note,
    manners: Manners,
    result: FetchResult,
    lost: dict[str, AbsentFile],
) -> None:
    import requests

    faults: list[Fault] = []
    silent: set[str] = set()
    meter = _Meter([file.size_mb for file in work.missing], progress)
    last_host = ""
    with requests.Session() as session:
        for number, file in enumerate(work.missing):
            meter.start(number, f"fetching {file.layer.layer}")
            note(f"{file.name}, {number + 1} of {len(work.missing)}")
            if file.host in silent:
                continue
            if file.host == last_host and manners.between_s > 0:
                manners.wait(manners.between_s)
            last_host = file.host
            try:
                result.bytes += _get_file(study, file, session, manners, meter)
                reason = _finish_file(study, file, finisher, result)
                if reason:
                    lost[file.address] = _describe_absent(file, reason)
                    result.absent.append(file.name)
            except NotThereError as error:
                if file.layer.sparse:
                    lost[file.address] = _describe_absent(file, "no such file")
                    result.absent.append(file.name)
                else:
                    faults.append(Fault(str(error), file.name, remedy="the publisher may have moved it"))
            except UnreachableError as error:
                silent.add(file.host)
                faults.append(Fault(str(error), file.name, remedy="run the same command later: it goes on"))
            except InputError as error:
                if _is_disk_full(error):
                    raise
                faults += error.faults
            meter.finish(number)
    faults += _find_empty_layers(work, result)
    if faults:
        raise InputError(faults)


def _is_disk_full(error: InputError) -> bool:
    told = {os.strerror(number).lower() for number in FULL_DISK} | {"disk is full"}
    return any(text in str(error).lower() for text in told)


def _describe_absent(file: FetchFile, reason: str) -> AbsentFile:
    return AbsentFile(file.layer.layer, file.name, file.address, _today().isoformat(), reason)


def _remember_absent(study: Study, work: FetchWork, lost: dict[str, AbsentFile]) -> None:
    """Remember what is not there, but nothing of a layer without any file: its address may be wrong."""
    sources = study.folder / "sources"
    found = {file.layer for file in work.plan.files if (sources / file.name).is_file()}
    sure = {file.address for file in work.plan.files if file.layer in found}
    new = {address: one for address, one in lost.items() if address in sure}
    if new:
        write_absent(sources, {**read_absent(sources, _today()), **new})


def _get_file(study: Study, file: FetchFile, session: Any, manners: Manners, meter: _Meter) -> int:
    """Get one file with pooch and check it against what is known of it; return the bytes that came."""
    import pooch

    pooch.get_logger().setLevel("ERROR")
    folder = study.folder / "sources"
    path = folder / file.archive
    known = _list_checksums(study).get((file.layer.kind, file.name), "")
    mutable = file.layer.changes or file.layer.key or file.archive != file.name
    published = _read_published(session, file, manners)
    downloader = ResumingDownloader(session, path, file.layer.format, manners, meter.report)
    try:
        pooch.retrieve(
            file.address,
            known_hash=published or ("" if mutable else known) or None,
            fname=file.archive,
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
    return downloader.got_bytes


def _finish_file(study: Study, file: FetchFile, finisher: Finisher, result: FetchResult) -> str:
    """Unpack, clean and list a file that has come; return why it is as good as not there, or ''."""
    finisher.unpack(file)
    if finisher.drop_repeated(file) == 0:
        (study.folder / "sources" / file.name).unlink()
        return "no features of its own"
    if finisher.lies_beside(file):
        result.beside.append(file.name)
        return ""
    _list_file(study, file)
    result.fetched.append(file.name)
    return ""


def _list_file(study: Study, file: FetchFile) -> None:
    """Write one row for each layer that a file serves; only the first holds the checksum."""
    layer = file.layer
    today = _today().isoformat()
    sha256 = _hash_file(study.folder / "sources" / file.name)
    for kind in layer.kinds:
        put_source_row(
            study.folder / "sources" / "sources.csv",
            {
                "layer": kind,
                "file": file.name,
                "class_column": layer.class_column,
                "name_column": layer.name_column,
                "value_column": layer.value_column,
                "sha256": sha256 if kind == layer.kind else "",
                "licence": layer.licence,
                "date": layer.date or today,
                "address": file.address,
                "source": layer.source,
                "tag": layer.tag,
                "fetched": today,
                "attribution": layer.attribution,
            },
        )


def _adopt_unlisted(study: Study, work: FetchWork, finisher: Finisher, result: FetchResult) -> None:
    """List files that are complete but were not listed, as after a stop between the two."""
    rows = {(row["layer"], row["file"]) for _, row in study.sources.iterrows()}
    for file in work.plan.files:
        if file in work.missing or file in work.absent:
            continue
        if all((kind, file.name) in rows for kind in file.layer.kinds):
            result.present.append(file.name)
            continue
        known = "tif" if file.layer.format == "zip" else file.layer.format
        problem = check_format(study.folder / "sources" / file.name, known)
        if problem:
            raise InputError([Fault(problem, f"sources/{file.name}", remedy="delete it to fetch it again")])
        finisher.drop_repeated(file)
        if finisher.lies_beside(file):
            result.beside.append(file.name)
            continue
        result.present.append(file.name)
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
        if names <= {*result.absent, *result.known_absent}:
            faults.append(
                Fault(
                    f"none of the {len(names)} files of layer {layer.layer} is there",
                    remedy="check the mirror, and the study's borders or places; "
                    f"deleting sources/{ABSENT_NAME} asks for all files again",
                )
            )
    return faults


def _check_space(study: Study, work: FetchWork) -> None:
    free_mb = shutil.disk_usage(study.folder).free / MB
    needed_mb = work.size_mb + max(
        (file.size_mb for file in work.missing if file.archive != file.name), default=0
    )
    if free_mb < needed_mb:
        raise InputError(
            [
                Fault(
                    f"about {needed_mb:,.0f} MB will come but only {free_mb:,.0f} MB are free",
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
            # Another fetch may have ended, and deleted the file, between opening and locking it here.
            mine = path.exists() and path.stat().st_ino == os.fstat(handle.fileno()).st_ino
        except OSError:
            mine = False
        if not mine:
            raise InputError(
                [Fault("another fetch is at work here", str(sources), remedy="wait until it ends")]
            )
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
