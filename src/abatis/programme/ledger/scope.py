"""What the ledger refuses to hold: banned measures, places of devices, personal data, text that runs."""

from __future__ import annotations

import re

from abatis.model.law_kinds import NEVER, speaks_of_banned

BOUGHT_KINDS = ("budget", "contract", "delivery", "work")
# In these a name or an amount says what is bought or built; a name may speak of clearing.
BOUGHT_COLUMNS = ("key", "line", "measure", "work", "contract")
PLACED_KINDS = ("hazard", "incident")
MOST_LETTERS = 4000
_CLEARING = re.compile(r"\b(?:clearance|clearing|removal|demining|destruction)\b", re.IGNORECASE)
_PERSONAL = re.compile(r"[\w.+-]+@[\w-]+\.\w+|\+\d[\d ()-]{7,}\d")
_PLACE = re.compile(
    r"\d{1,3}[.,]\d{3,}\s*°?\s*[NSEW]?\s*[,;/ ]\s*-?\d{1,3}[.,]\d{3,}"
    r"|\b\d{1,2}\s*°\s*\d{1,2}\s*['′]"
    r"|\b\d{1,2}[C-HJ-NP-X]\s?[A-HJ-NP-Z]{2}\s?\d{2,5}\s?\d{2,5}\b"
    r"|\bPOINT\s*\(|\b8[0-9a-f]{14}\b",
    re.IGNORECASE,
)
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2028\u2029\u2060-\u2069\ufeff\ud800-\udfff]"
)
# A number with words behind it is text: "-5 % against 2024"; with signs that join formulas it is none.
_FORMULA = re.compile(r"[=@\t\r＝＠]|[+\-＋－](?![\d.,]+[\w\s.,;:%]*$)")
_PERSON_COLUMN = re.compile(
    r"(?:^|_)(?:person|victim|casualty|patient|first|last|family|given)_?(?:name|id|address|phone|birth\w*)(?:$|_)"
    r"|(?:^|_)(?:e_?mail|phone|telephone|passport|birth(?:day|date)|personal_code)(?:$|_)"
)
_PLACE_COLUMN = re.compile(
    r"(?:^|_)(?:lat|lon|latitude|longitude|coord\w*|wkt|geometry|perimeter|mgrs|h3|cell)(?:$|_)"
)
Refusal = tuple[str, str]


def refuse_text(text: str) -> Refusal | None:
    """Say why a text cannot be kept, whatever it is about; None when it can.

    Returns
    -------
    What is wrong, and its remedy.

    Examples
    --------
    >>> refuse_text("=1+1")[0]
    "begins like a formula: '=1+1'"
    >>> refuse_text("Dragon's teeth, first lot") is None
    True
    """
    if len(text) > MOST_LETTERS:
        return f"has {len(text):,} letters", f"write at most {MOST_LETTERS:,}; keep the rest with the source"
    unseen = _UNSEEN.search(text)
    if unseen:
        name = f"U+{ord(unseen[0]):04X}"
        return f"holds a sign that cannot be seen ({name})", "write it on one line, in plain letters"
    if begins_formula(text):
        return f"begins like a formula: '{text[:20]}'", "give the value, or begin with a letter"
    return None


def begins_formula(text: str) -> bool:
    """True when a spreadsheet might run a text instead of showing it.

    Examples
    --------
    >>> [begins_formula(text) for text in ("=1+1", "-5 %", "-5%+cmd|' /C calc'!A0", "@SUM(A1)", "plain")]
    [True, False, True, True, False]
    """
    return bool(_FORMULA.match(text))


def show_plain(text: str) -> str:
    """Return a name with signs that cannot be seen made visible, and not too long.

    Examples
    --------
    >>> show_plain("a" + chr(27) + "[2Jb")
    'a?[2Jb'
    """
    return _UNSEEN.sub("?", text)[:60]


def refuse_scope(kind: str, column: str, text: str) -> Refusal | None:
    """Say why a text lies outside what abatis holds; None when it does not.

    In words: what is bought or built is never an anti-personnel mine; hazards and incidents name no point on
    the ground; no text but the source holds an address of mail or a telephone number.

    Examples
    --------
    >>> refuse_scope("delivery", "measure", "ap_mines")[0].split(":")[0]
    "'ap_mines' is no measure"
    >>> refuse_scope("hazard", "note", "found at 55.12345, 26.54321")[0].split(":")[0]
    "holds the place '55.12345, 26.54321'"
    """
    from abatis.people.hazards import PRIVACY, SCOPE

    bought = kind in BOUGHT_KINDS and column not in ("source", "note") and speaks_of_banned(text)
    if bought and (column in BOUGHT_COLUMNS or not _CLEARING.search(text)):
        return f"'{text[:40]}' is no measure: {NEVER}", "record their clearance as a hazard"
    if column == "source":
        return None
    personal = _PERSONAL.search(text)
    if personal:
        return f"holds '{personal[0]}': {PRIVACY}", "name an institution instead"
    place = _PLACE.search(text) if kind in PLACED_KINDS else None
    if place:
        return f"holds the place '{place[0].strip()}': {SCOPE}", "name the municipality"
    return None


def refuse_column(name: str) -> Refusal | None:
    """Say why a column can never be part of the ledger; None when it is merely unknown.

    Examples
    --------
    >>> refuse_column("device_lat")[0].split(":")[0], refuse_column("colour")
    ('column is refused', None)
    """
    from abatis.people.hazards import PRIVACY, SCOPE

    plain = re.sub(r"\W+", "_", name.lower())
    if _PERSON_COLUMN.search(plain):
        return f"column is refused: {PRIVACY}", "leave the column out"
    if _PLACE_COLUMN.search(plain):
        return f"column is refused: {SCOPE}", "leave the column out; region names the municipality"
    return None
