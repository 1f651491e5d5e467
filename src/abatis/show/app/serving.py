"""Starting a server: checks before it listens, the socket, the lock, the loop."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import socket
import ssl
import sys
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from abatis.model.errors import Fault, InputError
from abatis.show.app.application import create_app
from abatis.show.app.security.database import Database
from abatis.show.app.security.users import Users
from abatis.show.app.settings import Settings

MOST_CONNECTIONS = 500
LONGEST_HEAD = 32 * 1024


def serve(settings: Settings, certificate: Path | None, key: Path | None, open_page: bool) -> None:
    """Serve a study until Ctrl-C.

    Parameters
    ----------
    settings : the study and where it listens.
    certificate, key : PEM files; with both the server speaks TLS.
    open_page : open the page in the browser of this machine.

    Raises
    ------
    InputError : no study, no users where users are needed, an address that cannot be had, another server on
        the same study, a certificate that cannot be read.
    """
    check_start(settings, certificate, key)
    with lock_study(settings), closing(listen(settings)) as listener:
        settings = replace(settings, port=int(listener.getsockname()[1]))
        app = create_app(settings)
        address = describe_address(settings, certificate is not None)
        sys.stdout.write(f"abatis serves {settings.study} at {address} (Ctrl-C ends it)\n")
        sys.stdout.flush()
        if open_page and has_screen():
            threading.Timer(1.0, webbrowser.open, [address]).start()
        # Threads that compute hand over after 1 ms instead of 5: who asks little waits less.
        sys.setswitchinterval(0.001)
        server = uvicorn.Server(_configure(app, settings, certificate, key))
        server.run(sockets=[listener])


def _configure(app: Any, settings: Settings, certificate: Path | None, key: Path | None) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=_make_protocol(settings.limits.head_wait_s),
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=settings.behind_proxy,
        forwarded_allow_ips="127.0.0.1,::1",
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=5,
        h11_max_incomplete_event_size=LONGEST_HEAD,
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )


def _make_protocol(head_wait_s: float) -> type[H11Protocol]:
    """Make a protocol that hangs up on visitors who connect and do not ask."""

    class Impatient(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self.hang_up = self.loop.call_later(head_wait_s, self._hang_up)

        def _hang_up(self) -> None:
            # No request has been read whole yet.
            silent: bool = getattr(self, "cycle", None) is None
            if silent and not self.transport.is_closing():
                self.transport.abort()

        def connection_lost(self, exc: Exception | None) -> None:
            self.hang_up.cancel()
            super().connection_lost(exc)

    return Impatient


def check_start(settings: Settings, certificate: Path | None = None, key: Path | None = None) -> None:
    """Say everything that stands in the way of a start.

    Raises
    ------
    InputError : all faults.
    """
    if not (settings.study / "study.toml").is_file():
        raise InputError(
            [
                Fault(
                    "is no study",
                    str(settings.study),
                    remedy="abatis new makes one, abatis demo a whole case",
                )
            ]
        )
    faults = []
    if not settings.is_open and not _has_users(settings):
        why = f"the address {settings.host} can be reached from outside"
        why = "a public view needs somebody who looks after it" if settings.public else why
        why = "a proxy brings visitors from outside" if settings.behind_proxy else why
        remedy = f"abatis users add {settings.study} NAME --role admin"
        faults.append(Fault(f"there are no users, and {why}", column="--host", remedy=remedy))
    faults += check_certificate(certificate, key)
    if settings.tiles and not settings.tiles.startswith(("https://", "http://")):
        faults.append(
            Fault(f"'{settings.tiles}' is no address", column="--tiles", remedy="begin with https://")
        )
    if faults:
        raise InputError(faults)


def check_certificate(certificate: Path | None, key: Path | None) -> list[Fault]:
    """Say what is wrong with a certificate and its key; nothing when both are left out."""
    if certificate is None and key is None:
        return []
    remedy = "give a PEM file with --certificate and one with --key"
    if certificate is None or key is None:
        return [Fault("a certificate and its key belong together", column="--certificate", remedy=remedy)]
    given = ((certificate, "--certificate"), (key, "--key"))
    missing = [(file, name) for file, name in given if not file.is_file()]
    if missing:
        return [Fault("is no file", str(file), column=name, remedy=remedy) for file, name in missing]
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except (ssl.SSLError, OSError) as error:
        reason = getattr(error, "reason", None) or error
        words = f"cannot be used with its key: {reason}"
        return [Fault(words, str(certificate), column="--certificate", remedy=remedy)]
    return []


def _has_users(settings: Settings) -> bool:
    if not settings.database_file.is_file():
        return False
    with closing(Database(settings.database_file)) as database:
        return Users(database).count() > 0


@contextmanager
def lock_study(settings: Settings) -> Iterator[None]:
    """Hold the study for one server: two would run the same jobs twice.

    Raises
    ------
    InputError : another server has it.
    """
    path = settings.study / "server.lock"
    try:
        handle = path.open("a+")
    except OSError as error:
        fault = Fault(f"cannot be written: {error.strerror}", str(path), remedy="check the folder's rights")
        raise InputError([fault]) from error
    with closing(handle):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            handle.seek(0)
            holder = handle.read(100).strip() or "another process"
            fault = Fault(
                f"is served already by {holder}", str(settings.study), remedy="end that server first"
            )
            raise InputError([fault]) from error
        handle.truncate(0)
        handle.write(f"process {os.getpid()}")
        handle.flush()
        yield


def listen(settings: Settings) -> socket.socket:
    """Open the socket.

    Raises
    ------
    InputError : the port is taken or not allowed, or the address is not one of this machine.
    """
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        remedy = "127.0.0.1 for this machine, 0.0.0.0 for all of its networks"
        fault = Fault(f"'{settings.host}' is no address", column="--host", remedy=remedy)
        raise InputError([fault]) from error
    family, _, _, _, address = found[0]
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise InputError([_describe_listening(settings, error)]) from error
    listener.setblocking(False)
    return listener


def _describe_listening(settings: Settings, error: OSError) -> Fault:
    if error.errno == errno.EADDRINUSE:
        remedy = "end the other program, choose another --port, or --port 0 for any free one"
        return Fault(f"port {settings.port} is taken", column="--port", remedy=remedy)
    if error.errno in (errno.EACCES, errno.EPERM):
        remedy = "choose a --port of 1024 or more"
        return Fault(f"port {settings.port} is not allowed", column="--port", remedy=remedy)
    remedy = "127.0.0.1 for this machine, 0.0.0.0 for all of its networks"
    words = f"{settings.host} cannot be listened on: {(error.strerror or str(error)).lower()}"
    return Fault(words, column="--host", remedy=remedy)


def describe_address(settings: Settings, https: bool) -> str:
    """Write the address a browser opens.

    Examples
    --------
    >>> describe_address(Settings(Path("x"), host="::1", port=80), False)
    'http://[::1]:80/'
    """
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{'https' if https else 'http'}://{host}:{settings.port}/"


def has_screen() -> bool:
    """Say whether a browser window can be opened here."""
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
