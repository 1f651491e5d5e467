"""A small reader that computes the formulas of a workbook: the functions that the programme's book uses."""

import io
import math
import re

import openpyxl
from openpyxl.formula import Tokenizer
from openpyxl.utils import column_index_from_string

RANGE = re.compile(r"^(?:'?([^'!]+)'?!)?\$?([A-Z]+)\$?(\d*)(?::\$?([A-Z]+)\$?(\d*))?$")


def flatten(values):
    for one in values:
        if isinstance(one, list):
            yield from flatten(one)
        else:
            yield one


def numbers(values):
    return [v for v in flatten(values) if isinstance(v, int | float) and not isinstance(v, bool)]


def round_half_up(value, digits):
    scaled = abs(value) * 10**digits
    return math.copysign(math.floor(scaled + 0.5), value) / 10**digits


def round_up(value, digits):
    return math.copysign(math.ceil(abs(value) * 10**digits), value) / 10**digits


def meets(value, wanted):
    if isinstance(wanted, str) and wanted[:1] in "<>":
        limit = float(wanted[1:])
        return isinstance(value, int | float) and (value > limit if wanted[0] == ">" else value < limit)
    return value == wanted


def sum_where(what, *pairs):
    keep = zip(
        *([meets(v, w) for v in col] for col, w in zip(pairs[::2], pairs[1::2], strict=True)), strict=True
    )
    return math.fsum(v for v, ok in zip(what, keep, strict=True) if all(ok) and isinstance(v, int | float))


FUNCTIONS = {
    "SUM": lambda *a: math.fsum(numbers(a)),
    "SUMIFS": sum_where,
    "SUMPRODUCT": lambda a, b: math.fsum(x * y for x, y in zip(a, b, strict=True)),
    "COUNTIF": lambda a, w: sum(meets(v, w) for v in a),
    "ROUND": round_half_up,
    "ROUNDUP": round_up,
    "MIN": lambda *a: min(numbers(a)),
    "MAX": lambda *a: max(numbers(a)),
    "ABS": abs,
    "INT": math.floor,
    "AND": lambda *a: all(a),
}


class Text(str):
    """A text that a formula joins with &."""

    def __and__(self, other):
        return Text(f"{self}{other}")


class Blank(float):
    """An empty cell: zero in sums, and equal to an empty text."""

    def __eq__(self, other):
        return other == "" or float(self) == other

    __hash__ = float.__hash__


class Book:
    """Values of a workbook's cells, formulas computed on demand."""

    def __init__(self, data):
        book = openpyxl.load_workbook(io.BytesIO(data))
        self.sheets = {sheet.title: sheet for sheet in book}
        self.depth = {sheet.title: sheet.max_row for sheet in book}
        self.known = {}
        self.made = {}

    def value(self, sheet, column, row):
        key = sheet, column, row
        if key not in self.known:
            cell = self.sheets[sheet].cell(row, column)
            is_formula = cell.data_type == "f"
            self.known[key] = self.compute(cell.value, sheet) if is_formula else cell.value
        return self.known[key]

    def at(self, sheet, cell):
        found = RANGE.match(cell)
        return self.value(sheet, column_index_from_string(found[2]), int(found[3]))

    def fetch(self, text, home):
        sheet, first, top, last, bottom = RANGE.match(text).groups()
        sheet = sheet or home
        left, right = column_index_from_string(first), column_index_from_string(last or first)
        if last is None:
            found = self.value(sheet, left, int(top))
            return Blank() if found is None else found
        rows = range(int(top or 1), int(bottom or self.depth[sheet]) + 1)
        return [self.value(sheet, column, row) for row in rows for column in range(left, right + 1)]

    def compute(self, formula, home):
        if formula not in self.made:
            self.made[formula] = compile(translate(formula), formula, "eval")
        names = {"text": Text, "get": lambda text: self.fetch(text, home), "call": FUNCTIONS}
        # IF is lazy, as in a worksheet: its branches come as functions.
        names["choose"] = lambda ok, yes, no: yes() if ok() else no()
        return eval(self.made[formula], names)


def translate(formula):
    """Python text of a formula."""
    parts, opened = [], []
    for token in Tokenizer(formula).items:
        if token.type == "OPERAND":
            wrap = {"RANGE": f"get({token.value!r})", "TEXT": f"text({token.value})"}
            parts.append(wrap.get(token.subtype, token.value))
        elif token.type == "FUNC" and token.subtype == "OPEN":
            opened.append(token.value[:-1])
            parts.append("choose(lambda: " if opened[-1] == "IF" else f"call[{opened[-1]!r}](")
        elif token.type == "FUNC":
            opened.pop()
            parts.append(")")
        elif token.type == "SEP":
            parts.append(", lambda: " if opened[-1] == "IF" else ", ")
        elif token.type == "PAREN":
            opened.append("") if token.subtype == "OPEN" else opened.pop()
            parts.append(token.value)
        elif token.type.startswith("OPERATOR"):
            parts.append({"=": "==", "^": "**", "<>": "!="}.get(token.value, token.value))
    return "".join(parts)
