"""One file over HTTP: resumed where it stopped, tried again with patience, at a bounded speed."""

from __future__ import annotations

import email.utils
import errno
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

import abatis
from abatis.model.errors import AbatisError, Fault, InputError

BUSY = (408, 425, 429, 500, 502, 503, 504)
FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
BLOCK_BYTES = 1 << 14  # a cut connection loses less than this
REPORT_BYTES = 1 << 18
TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
HEADERS = {"User-Agent": f"abatis/{abatis.__version__}", "Accept-Encoding": "identity"}
Report = Callable[[int, int | None], None]


class NotThereError(AbatisError):
    """The publisher has no file at this address."""


class UnreachableError(AbatisError):
    """A host did not give a file after all tries."""


class _CutError(Exception):
    """A try failed in a way that may pass; `wait_s` is what the server asked for, if it asked."""

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        self.wait_s = wait_s
        super().__init__(reason)


@dataclass(frozen=True)
class Manners:
    """How politely files are got: tries without progress, waits and speed.

    Parameters
    ----------
    tries : failed tries in a row, without a single new byte, after which a file is given up.
    connect_s, read_s : seconds to wait for a connection and for the next bytes.
    probe_s : seconds of the connection test.
    first_wait_s : wait after the first failure; doubled after each further one, at most `longest_wait_s`.
    longest_wait_s : a server that asks for a longer wait is taken at its word: the file is given up.
    between_s : pause between two files of one host, which are got one after the other.
    speed_mb_s : most MB per second; 0 for no limit.
    wait : sleeps; another one in tests.
    """

    tries: int = 6
    connect_s: float = 10.0
    read_s: float = 60.0
    probe_s: float = 5.0
    first_wait_s: float = 1.0
    longest_wait_s: float = 300.0
    between_s: float = 0.5
    speed_mb_s: float = 0.0
    wait: Callable[[float], None] = time.sleep


def check_format(path: Path, format: str) -> str:
    """Say what is wrong with the first and last bytes of a file; empty when it looks like its format.

    Parameters
    ----------
    path : a complete file.
    format : pbf, tif, zip or geojson.

    In words: a proxy or a login page often answers with a web page instead of the data, and a map service
    with an error or a part of what was asked, all with the status of success.
    """
    with path.open("rb") as file:
        head = file.read(4096)
        file.seek(max(0, path.stat().st_size - 4096))
        tail = file.read(4096)
    if head.lstrip()[:1] == b"<":
        return "is a web page or an XML message instead of data"
    if format == "tif":
        return "" if head[:4] in TIFF_STARTS else "is not a GeoTIFF"
    if format == "zip":
        return "" if head[:4] == b"PK\3\4" else "is not a ZIP archive"
    if format == "pbf":
        return "" if b"OSMHeader" in head[:64] else "is not an OSM PBF file"
    if not (head.lstrip()[:1] == b"{" and tail.rstrip()[-1:] == b"}"):
        return "is not GeoJSON"
    short = (head + tail).replace(b" ", b"")
    if short.startswith(b'{"error"'):
        return "is an error message of the server instead of data"
    return "holds only a part of the features" if b'"exceededTransferLimit":true' in short else ""


class ResumingDownloader:
    """A downloader for pooch that goes on where an earlier try or an earlier run stopped.

    The bytes go to `NAME.part`; the server's mark of the version (ETag or date) stands beside it in
    `NAME.part-mark`, so that a file that changed meanwhile is begun again instead of being glued together.
    Only a complete file of the right format is handed on.

    Parameters
    ----------
    session : keeps one connection per host; takes proxies from the environment.
    path : where the file will stand.
    format : pbf, tif, zip or geojson.
    manners : tries, waits, speed.
    report : called with bytes so far and all bytes (None when the server does not say).
    """

    def __init__(
        self, session: requests.Session, path: Path, format: str, manners: Manners, report: Report
    ) -> None:
        self._session = session
        self._path = path
        self._format = format
        self._manners = manners
        self._report = report
        self._part = path.with_name(path.name + ".part")
        self._mark = path.with_name(path.name + ".part-mark")
        self.got_bytes = 0

    def __call__(self, url: str, output_file: Any, pooch: Any, check_only: bool = False) -> None:
        """Get `url` into `output_file`, as pooch asks.

        Raises
        ------
        NotThereError : the address does not exist.
        UnreachableError : no progress after all tries.
        InputError : the server refuses, the answer is not the format, or the disk is full.
        """
        del pooch, check_only  # pooch hands them to every downloader
        failures, most = 0, self._count_part()
        while True:
            try:
                self._get(url)
                break
            except (requests.exceptions.SSLError, requests.exceptions.TooManyRedirects) as error:
                raise UnreachableError(f"{url}: {_shorten(error)}") from error
            except (requests.exceptions.RequestException, _CutError) as error:
                now = self._count_part()
                failures, most = (1, now) if now > most else (failures + 1, most)
                self._wait(url, failures, error)
        problem = check_format(self._part, self._format)
        if problem:
            self._drop_part()
            raise InputError(
                [Fault(f"what {url} gave {problem}", self._path.name, remedy="try later, or open it by hand")]
            )
        self._mark.unlink(missing_ok=True)
        self._part.replace(output_file)

    def _count_part(self) -> int:
        return self._part.stat().st_size if self._part.exists() else 0

    def _drop_part(self) -> None:
        self._part.unlink(missing_ok=True)
        self._mark.unlink(missing_ok=True)

    def _wait(self, url: str, failures: int, error: Exception) -> None:
        asked_s = error.wait_s if isinstance(error, _CutError) else None
        longest_s = self._manners.longest_wait_s
        if asked_s is not None and asked_s > longest_s:
            raise UnreachableError(f"{url}: the server asks to wait {asked_s:.0f} s") from error
        if failures >= self._manners.tries:
            raise UnreachableError(f"{url}: {_shorten(error)} ({failures} tries without progress)") from error
        backed_s = min(self._manners.first_wait_s * 2.0 ** (failures - 1), longest_s)
        self._manners.wait(backed_s if asked_s is None else asked_s)

    def _get(self, url: str) -> None:
        mark = self._mark.read_text(encoding="utf-8") if self._mark.exists() else ""
        start = self._count_part() if mark else 0
        headers = {"Range": f"bytes={start}-", "If-Range": mark} if start else {}
        timeout = (self._manners.connect_s, self._manners.read_s)
        with self._session.get(url, headers=HEADERS | headers, stream=True, timeout=timeout) as answer:
            self._judge(url, answer)
            if answer.status_code == 416:
                if _read_total(answer) == start:
                    return
                self._drop_part()
                raise _CutError("the part got earlier is longer than the file")
            if answer.status_code == 206 and not _starts_at(answer, start):
                self._drop_part()
                raise _CutError("the server gave another range than was asked")
            self._store(answer, start if answer.status_code == 206 else 0)

    def _judge(self, url: str, answer: requests.Response) -> None:
        status = answer.status_code
        if status in (200, 206, 416):
            return
        if status in (404, 410):
            raise NotThereError(f"{url}: not there (status {status})")
        if status in BUSY:
            raise _CutError(f"the server is busy (status {status})", _read_wait(answer))
        what = "needs a login" if status in (401, 403, 407) else "is refused"
        raise InputError(
            [
                Fault(
                    f"{url} {what} (status {status})",
                    self._path.name,
                    remedy="get the file by hand, or name a mirror with --mirror",
                )
            ]
        )

    def _store(self, answer: requests.Response, start: int) -> None:
        length = answer.headers.get("Content-Length", "")
        total = start + int(length) if length.isdigit() else None
        mark = answer.headers.get("ETag", "")
        if not mark or mark.startswith("W/"):
            mark = answer.headers.get("Last-Modified", "")
        began_s, got = time.monotonic(), 0
        self._report(start, total)
        try:
            if start == 0:
                self._part.write_bytes(b"")
                self._mark.write_text(mark, encoding="utf-8")
            with self._part.open("ab") as file:
                for block in answer.iter_content(BLOCK_BYTES):
                    file.write(block)
                    got += len(block)
                    self.got_bytes += len(block)
                    if got // REPORT_BYTES != (got - len(block)) // REPORT_BYTES:
                        self._report(start + got, total)
                        self._slow_down(got, time.monotonic() - began_s)
        except requests.exceptions.RequestException:
            raise
        except OSError as error:
            raise InputError([describe_write_fault(self._path, error)]) from error
        if total is not None and start + got < total:
            raise _CutError(f"the connection ended after {start + got} of {total} bytes")

    def _slow_down(self, got: int, passed_s: float) -> None:
        if self._manners.speed_mb_s > 0:
            early_s = got / (self._manners.speed_mb_s * 1e6) - passed_s
            if early_s > 0:
                self._manners.wait(early_s)


def _read_wait(answer: requests.Response) -> float | None:
    """Seconds of a Retry-After header, which holds seconds or a date."""
    text = answer.headers.get("Retry-After", "").strip()
    if text.isdigit():
        return float(text)
    try:
        then = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, then.timestamp() - time.time())


def _starts_at(answer: requests.Response, start: int) -> bool:
    return answer.headers.get("Content-Range", "").startswith(f"bytes {start}-")


def _read_total(answer: requests.Response) -> int | None:
    total = answer.headers.get("Content-Range", "").rpartition("/")[2]
    return int(total) if total.isdigit() else None


def _shorten(error: Exception) -> str:
    """Say in a few words what a library says in many."""
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy does not answer"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not trusted"
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return "no answer to the connection"
    if isinstance(error, requests.exceptions.Timeout):
        return "no bytes for too long"
    if isinstance(error, requests.exceptions.TooManyRedirects):
        return "it sends from one address to the next without end"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection was cut"
    if isinstance(error, requests.exceptions.ConnectionError):
        return "no connection"
    return str(error) or type(error).__name__


def describe_write_fault(path: Path, error: OSError) -> Fault:
    """Say that a file cannot be written, and that what was got is kept."""
    full = error.errno in FULL_DISK
    reason = "the disk is full" if full else f"cannot be written: {(error.strerror or str(error)).lower()}"
    remedy = "free some space" if full else "check the rights of the folder"
    return Fault(reason, str(path), remedy=f"{remedy} and run the same command: it goes on where it stopped")


def get_text(session: requests.Session, url: str, manners: Manners) -> str:
    """Get a short text such as a published checksum; empty when there is none.

    Raises
    ------
    UnreachableError : the host does not answer.
    """
    timeout = (manners.connect_s, manners.read_s)
    for attempt in range(manners.tries):
        try:
            answer = session.get(url, headers=HEADERS, timeout=timeout)
        except requests.exceptions.RequestException as error:
            reason: str | None = _shorten(error)
        else:
            if answer.status_code not in BUSY:
                return answer.text[:4096] if answer.status_code == 200 else ""
            reason = f"the server is busy (status {answer.status_code})"
        if attempt < manners.tries - 1:
            manners.wait(min(manners.first_wait_s * 2.0**attempt, manners.longest_wait_s))
    raise UnreachableError(f"{url}: {reason}")


def check_hosts(addresses: dict[str, str], manners: Manners) -> None:
    """Ask every host once whether it is there, all at the same time.

    Parameters
    ----------
    addresses : host -> an address on it.
    manners : `probe_s` is the time each host has.

    Raises
    ------
    InputError : names every host that does not answer; when none does, says that there is no connection.
    """

    def probe(address: str) -> str:
        try:
            timeout = manners.probe_s
            requests.head(address, headers=HEADERS, timeout=timeout, allow_redirects=False).close()
        except requests.exceptions.RequestException as error:
            return _shorten(error)
        return ""

    if not addresses:
        return
    with ThreadPoolExecutor(max_workers=min(8, len(addresses))) as pool:
        answers = dict(zip(addresses, pool.map(probe, addresses.values()), strict=True))
    silent = {host: reason for host, reason in answers.items() if reason}
    if not silent:
        return
    if len(silent) == len(answers):
        remedy = "check the network, HTTPS_PROXY and NO_PROXY, or name a mirror with --mirror"
        first = next(iter(silent))
        raise InputError(
            [
                Fault(
                    f"no connection: none of {len(silent)} hosts answers ({first}: {silent[first]})",
                    remedy=remedy,
                )
            ]
        )
    raise InputError(
        [
            Fault(
                f"{host} cannot be reached: {reason}", remedy="try later, or choose other layers with --layer"
            )
            for host, reason in silent.items()
        ]
    )
