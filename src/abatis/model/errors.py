"""Errors of abatis: few kinds, every fault listed at once, each with its remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with an input, where it stands and how to mend it.

    Parameters
    ----------
    problem : what is wrong, in words.
    file : file the fault is in, as the user knows it.
    row : line number in the file (the header is line 1), or None.
    column : column or key, or an empty string.
    remedy : how to mend it.

    Examples
    --------
    >>> print(Fault("is -3 but must be at least 0", "tables/places.csv", 7, "population", "give persons"))
    tables/places.csv, row 7, population: is -3 but must be at least 0 (give persons)
    """

    problem: str
    file: str = ""
    row: int | None = None
    column: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        place = ", ".join(
            part for part in (self.file, f"row {self.row}" if self.row else "", self.column) if part
        )
        return (f"{place}: " if place else "") + self.problem + (f" ({self.remedy})" if self.remedy else "")


def is_interrupt(error: BaseException | None) -> bool:
    """Say whether an error is Ctrl-C, also where compiled code turned it into a SystemError.

    Examples
    --------
    >>> is_interrupt(KeyboardInterrupt()), is_interrupt(SystemError())
    (True, False)
    """
    while isinstance(error, SystemError):
        error = error.__cause__ or error.__context__
    return isinstance(error, KeyboardInterrupt)


class AbatisError(ValueError):
    """Anything abatis refuses to do; `exit_code` is what the command line returns."""

    exit_code: ClassVar[int] = 1


class InputError(AbatisError):
    """Bad input: `faults` holds every fault that was found, not only the first.

    Examples
    --------
    >>> str(InputError([Fault("is missing", "study.toml", column="name")]))
    'study.toml, name: is missing'
    """

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


class UnitError(InputError):
    """A number is in the wrong unit: degrees where metres belong, x and y swapped."""


class InfeasibleError(AbatisError):
    """No plan keeps all rules; `rules` names a smallest set of rules that conflict.

    `proven` is false when none was found in the time given but one may exist.
    """

    exit_code: ClassVar[int] = 2

    def __init__(self, message: str, rules: Sequence[str] = (), proven: bool = True) -> None:
        self.rules = tuple(rules)
        self.proven = proven
        super().__init__(message)


class SizeError(AbatisError):
    """The work would not fit: the message says what was asked, the limit, and what to lower."""

    exit_code: ClassVar[int] = 3


def nearest_word(word: str, words: Iterable[str]) -> str:
    """Say which known word an unknown word is closest to, ready to end a message.

    Examples
    --------
    >>> nearest_word("trackd", ["tracked", "wheeled"])
    "did you mean 'tracked'?"
    >>> nearest_word("zzz", ["a1", "b1"])
    'use one of: a1, b1'
    """
    known = [str(one) for one in words]
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{close[0]}'?"
    shown = ", ".join(known[:12]) + (" ..." if len(known) > 12 else "")
    return f"use one of: {shown}" if known else "none is defined"
