"""Name and password with every request (HTTP Basic), for map programs that know no login page."""

from __future__ import annotations

import base64
import binascii
import hashlib
import threading
import time
from collections.abc import Callable

from abatis.show.app.context import Visitor
from abatis.show.app.security.users import Users

KNOWN_S = 600.0
MOST_KNOWN = 1000
PATHS = ("/ogc",)


class BasicLogins:
    """Checks names and passwords; one that was right is known for ten minutes, since argon2 is slow.

    Parameters
    ----------
    users : who may log in.
    clock : a growing number of seconds; another one in tests.
    """

    def __init__(self, users: Users, clock: Callable[[], float] = time.monotonic) -> None:
        self._users = users
        self._clock = clock
        self._known: dict[str, float] = {}
        self._lock = threading.Lock()

    def is_known(self, name: str, password: str) -> Visitor | None:
        """Return the user when this password was right within the last minutes and is still the user's."""
        found = self._users.find(name)
        if found is None:
            return None
        role, kept = found
        with self._lock:
            ends = self._known.get(_hash(kept, password), 0.0)
        return Visitor(name, role) if ends > self._clock() else None

    def check(self, name: str, password: str) -> Visitor | None:
        """Return the user when the password is right; slow."""
        if not self._users.check(name, password):
            return None
        found = self._users.find(name)
        if found is None:
            return None
        role, kept = found
        with self._lock:
            while len(self._known) >= MOST_KNOWN:
                del self._known[next(iter(self._known))]
            self._known[_hash(kept, password)] = self._clock() + KNOWN_S
        return Visitor(name, role)


def read_basic(header: str) -> tuple[str, str] | None:
    """Read name and password out of an Authorization header.

    Examples
    --------
    >>> read_basic("Basic b25hOmEgd29yZA=="), read_basic("Bearer x"), read_basic("Basic ?")
    (('ona', 'a word'), None, None)
    """
    kind, _, coded = header.partition(" ")
    if kind.lower() != "basic" or len(coded) > 1000:
        return None
    try:
        name, colon, password = base64.b64decode(coded, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    return (name, password) if colon else None


def _hash(kept: str, password: str) -> str:
    """Hash a password together with what is kept of it: with another password kept, it is not known."""
    return hashlib.sha256(f"{kept}\0{password}".encode("utf-8", "surrogatepass")).hexdigest()
