"""The table that turns OpenStreetMap tags into words (`osm_tags.csv`), and how tags are looked up in it."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources

LEFT_OUT = "-"
UNSURE = "?"
ANY_VALUE = "*"
HELPER_LAYERS = ("structures", "surfaces")
_NUMBER = re.compile(r"^\s*~?\s*(\d+(?:[.,]\d+)?)\s*([a-zA-Z']*)\s*$")
_METRES = {"": 1.0, "m": 1.0, "metres": 1.0, "meters": 1.0, "km": 1000.0, "ft": 0.3048, "'": 0.3048}
_TONNES = {
    "": 1.0,
    "t": 1.0,
    "to": 1.0,
    "tons": 1.0,
    "tonnes": 1.0,
    "kg": 0.001,
    "st": 0.907185,
    "lbs": 0.000453592,
}


@dataclass(frozen=True)
class Rule:
    """One line of the table: features of `shapes` with `key`=`value` belong to `layer` and mean `word`.

    `also_key`, `also_values` : a second tag that must be there too, with one of these values ('' for none).
    `unsure` : the class is a guess, named by element; `width_m` (NaN none) and `surface` ('' none)
    stand in for tags that a feature lacks.
    """

    layer: str
    shapes: tuple[str, ...]
    key: str
    value: str
    also_key: str
    also_values: tuple[str, ...]
    word: str
    unsure: bool
    width_m: float
    surface: str
    source: str
    tag: str

    def covers(self, get: Callable[[str], str | None]) -> bool:
        """Say whether a feature's tags meet the rule; `get` returns the value of a key, or None."""
        given = get(self.key)
        if given is None or (self.value not in (ANY_VALUE, given)):
            return False
        return not self.also_key or get(self.also_key) in self.also_values


@cache
def read_rules() -> tuple[Rule, ...]:
    """Read the packaged table; earlier lines go before later ones.

    Examples
    --------
    >>> [rule.word for rule in read_rules() if rule.key == "waterway" and rule.value == "dam"]
    ['dam']
    """
    text = resources.files("abatis.ground.sources").joinpath("osm_tags.csv").read_text(encoding="utf-8")
    return tuple(
        Rule(
            row["layer"],
            tuple(row["shapes"].split()),
            row["key"],
            row["value"],
            row["also_key"],
            tuple(row["also_values"].split()),
            row["word"].removeprefix(UNSURE),
            row["word"].startswith(UNSURE),
            float(row["width_m"] or "nan"),
            row["surface"],
            row["source"],
            row["tag"],
        )
        for row in csv.DictReader(text.splitlines())
    )


def list_layers() -> tuple[str, ...]:
    """Return the layers of sources.csv that OpenStreetMap can give, `bridges` among them."""
    beside = (*HELPER_LAYERS, "facilities")
    layers = dict.fromkeys(rule.layer for rule in read_rules() if rule.layer not in beside)
    return (*layers, "bridges")


class RuleFinder:
    """Finds the rule of each layer for a feature's tags; equal tag values are looked up once.

    Parameters
    ----------
    layers : layers wanted.
    shapes : `point`, or `line` and `area` together for ways.

    Examples
    --------
    >>> finder = RuleFinder(("roads", "structures"), ("line", "area"))
    >>> found = finder.find({"highway": "track", "tracktype": "grade1", "bridge": "yes"}.get)
    >>> [(rule.layer, rule.word) for rule in found]
    [('roads', 'local'), ('structures', 'bridge')]
    """

    def __init__(self, layers: Iterable[str], shapes: tuple[str, ...]) -> None:
        wanted = set(layers)
        self.rules = [
            rule for rule in read_rules() if rule.layer in wanted and set(shapes) & set(rule.shapes)
        ]
        main = [rule for rule in self.rules if _brings_in(rule)]
        self.keys = tuple(dict.fromkeys(rule.key for rule in main))
        self._further: dict[tuple[str | None, ...], tuple[str, ...]] = {}
        self._known: dict[tuple[str | None, ...], tuple[Rule, ...]] = {}

    def find(self, get: Callable[[str], str | None]) -> tuple[Rule, ...]:
        """Return the first rule of each layer that covers the tags; rules that leave out are not returned.

        In words: the keys that put a feature into a layer are looked up first; they say which others matter.
        """
        values = tuple(map(get, self.keys))
        further = self._further.get(values)
        if further is None:
            further = self._further[values] = self._list_further(dict(zip(self.keys, values, strict=True)))
        if further:
            values += tuple(map(get, further))
        found = self._known.get(values)
        if found is None:
            tags = dict(zip(self.keys + further, values, strict=True))
            found = self._known[values] = self._search(tags.get)
        return found

    def _list_further(self, main: dict[str, str | None]) -> tuple[str, ...]:
        met = [rule for rule in self.rules if rule.value in (ANY_VALUE, main.get(rule.key) or ANY_VALUE)]
        layers = {rule.layer for rule in met if main.get(rule.key)}
        if "roads" in layers:
            layers.add("structures")
        keys = [
            key
            for rule in met
            if rule.layer in layers
            for key in (rule.key, rule.also_key)
            if key and key not in main
        ]
        return tuple(dict.fromkeys(keys))

    def _search(self, get: Callable[[str], str | None]) -> tuple[Rule, ...]:
        first: dict[str, Rule] = {}
        for rule in self.rules:
            if rule.layer not in first and rule.covers(get):
                first[rule.layer] = rule
        return tuple(rule for rule in first.values() if rule.word != LEFT_OUT)

    def list_pairs(self) -> list[tuple[str, str]]:
        """Return the pairs of key and value that put a feature into a layer.

        In words: structures say more about a road and bring none in, but for points, which stand alone.
        """
        kept = [(rule.key, rule.value) for rule in self.rules if _brings_in(rule) and rule.word != LEFT_OUT]
        return list(dict.fromkeys(kept))


def _brings_in(rule: Rule) -> bool:
    return rule.layer not in HELPER_LAYERS or rule.shapes == ("point",)


@cache
def read_surfaces() -> dict[str, str]:
    """Return OpenStreetMap surface -> `paved`, `gravel` or `soft`."""
    return {rule.value: rule.word for rule in read_rules() if rule.layer == "surfaces"}


def parse_metres(text: str | None) -> float:
    """Read a length tag; NaN for nothing or for what is no length.

    Examples
    --------
    >>> parse_metres("12 m"), parse_metres("3,5"), parse_metres("10'"), parse_metres("wide")
    (12.0, 3.5, 3.048, nan)
    """
    return _parse(text, _METRES)


def parse_tonnes(text: str | None) -> float:
    """Read a weight tag in tonnes; NaN for nothing or for what is no weight.

    Examples
    --------
    >>> parse_tonnes("7.5"), parse_tonnes("3500 kg"), parse_tonnes("none")
    (7.5, 3.5, nan)
    """
    return _parse(text, _TONNES)


def _parse(text: str | None, units: dict[str, float]) -> float:
    found = _NUMBER.match(text or "")
    if found is None or found[2].lower() not in units:
        return math.nan
    return float(found[1].replace(",", ".")) * units[found[2].lower()]
