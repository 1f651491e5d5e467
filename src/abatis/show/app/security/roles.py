"""Which role may call which address: the table access.csv, read once and obeyed by the guard."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from re import Pattern

from starlette.routing import compile_path

TABLE = Path(__file__).parents[1] / "access.csv"
USER_ROLES = ("viewer", "planner", "auditor", "admin")
# What a role may do beside its own: every right of the roles named.
RIGHTS = {
    "anyone": frozenset({"anyone"}),
    "public": frozenset({"anyone", "public"}),
    "viewer": frozenset({"anyone", "public", "viewer"}),
    "planner": frozenset({"anyone", "public", "viewer", "planner"}),
    "auditor": frozenset({"anyone", "public", "viewer", "auditor"}),
    "admin": frozenset({"anyone", "public", "viewer", "planner", "auditor", "admin"}),
}
COSTS = ("small", "middle", "heavy", "job")


@dataclass(frozen=True)
class Access:
    """One row of the table: an address, who may call it, what it costs, how large a body may be."""

    method: str
    path: str
    roles: frozenset[str]
    cost: str
    body_kib: int
    audited: bool
    pattern: Pattern[str]

    def allows(self, role: str) -> bool:
        """Say whether a role may call this address."""
        return not RIGHTS[role].isdisjoint(self.roles)


@cache
def read_access() -> tuple[Access, ...]:
    """Read access.csv; fixed addresses stand before those with parts left open.

    Raises
    ------
    ValueError : a row with an unknown role, cost or method, or an address given twice.
    """
    rows = []
    with TABLE.open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            roles = frozenset(line["roles"].split())
            if not roles or roles - set(RIGHTS) or line["cost"] not in COSTS:
                raise ValueError(f"access.csv: a role or cost is unknown in {line}")
            pattern, _, _ = compile_path(line["path"])
            size, audited = int(line["body_kib"] or 0), line["audit"] == "yes"
            rows.append(Access(line["method"], line["path"], roles, line["cost"], size, audited, pattern))
    keys = [(row.method, row.path) for row in rows]
    twice = {key for key in keys if keys.count(key) > 1}
    if twice:
        raise ValueError(f"access.csv: given twice: {sorted(twice)}")
    return tuple(sorted(rows, key=lambda row: (":path}" in row.path, row.path.count("{"), row.path)))


def find_access(method: str, path: str) -> Access | list[str]:
    """Find the row of an address; the methods it has when the method is another, none when unknown.

    Examples
    --------
    >>> find_access("GET", "/api/health").path
    '/api/health'
    >>> find_access("PUT", "/api/health"), find_access("GET", "/api/nothing")
    (['GET'], [])
    """
    asked = "GET" if method == "HEAD" else method
    methods = []
    for row in read_access():
        if row.pattern.match(path):
            if row.method == asked:
                return row
            methods.append(row.method)
    return methods
