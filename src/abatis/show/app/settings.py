"""What a server is started with, and the limits it keeps."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

LOOPBACK = ("127.0.0.1", "::1", "localhost")
KIB = 1024


@dataclass(frozen=True)
class Rate:
    """At most `burst` calls at once and `per_second` in the long run."""

    burst: float
    per_second: float


@dataclass(frozen=True)
class Limits:
    """Sizes, times and rates that no visitor may exceed.

    Rates are counted for each visitor (login or address) and each cost of `access.csv`; logins for each
    address and for each name.
    """

    head_wait_s: float = 15.0
    body_wait_s: float = 20.0
    answer_s: float = 120.0
    login_idle_s: float = 8 * 3600.0
    login_longest_s: float = 7 * 24 * 3600.0
    logins_per_address: Rate = Rate(20, 20 / 60)
    logins_per_name: Rate = Rate(6, 3 / 60)
    calls: dict[str, Rate] = field(
        default_factory=lambda: {"middle": Rate(200, 50), "heavy": Rate(30, 2), "job": Rate(20, 0.5)}
    )
    job_longest_s: float = 3 * 3600.0
    job_grace_s: float = 20.0
    jobs_at_once: int = 1
    jobs_waiting: int = 20


@dataclass(frozen=True)
class Settings:
    """How `abatis serve` was called.

    Parameters
    ----------
    study : study folder.
    host, port : where it listens; port 0 lets the system choose.
    public : visitors without a login see the public view.
    https : browsers reach the server over TLS.
    behind_proxy : a reverse proxy on this machine passes requests on.
    tiles : address of map tiles outside this server that the page may ask; empty: nothing outside.
    names : further names of this server that a browser may use (Host header).
    limits : sizes, times and rates.
    database : where users and jobs are kept; server.sqlite in the study folder when left out.

    Examples
    --------
    >>> Settings(Path("study")).is_loopback, Settings(Path("study"), host="0.0.0.0").is_loopback
    (True, False)
    """

    study: Path
    host: str = "127.0.0.1"
    port: int = 8000
    public: bool = False
    https: bool = False
    behind_proxy: bool = False
    tiles: str = ""
    names: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    database: Path | None = None

    @property
    def is_loopback(self) -> bool:
        """True when only this machine can reach the server."""
        return self.host in LOOPBACK

    @property
    def is_open(self) -> bool:
        """True when nobody has to log in as long as there are no users."""
        return self.is_loopback and not self.public and not self.behind_proxy

    @property
    def database_file(self) -> Path:
        """The file with users, logins, jobs and the audit log."""
        return self.database or self.study / "server.sqlite"
