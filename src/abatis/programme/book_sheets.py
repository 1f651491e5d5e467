"""Sheets of a workbook for auditors: inputs, formulas and figures for comparison, each in its own colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from openpyxl import Workbook  # type: ignore[import-untyped]
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE  # type: ignore[import-untyped]
from openpyxl.styles import Alignment, Font, PatternFill  # type: ignore[import-untyped]
from openpyxl.utils import get_column_letter  # type: ignore[import-untyped]

CENTS, HOURS, SHARE, PLAIN = "#,##0.00", "#,##0.000", "0.0000", "General"
INPUT, COMPARED, HEAD = Font(color="1F4E9E"), Font(color="7F7F7F", italic=True), Font(bold=True)
TINT = PatternFill("solid", fgColor="E8EDF3")
YEAR_WIDTH = 17


@dataclass(frozen=True)
class Marked:
    """A value with the look of an input or of a figure for comparison; never a formula."""

    value: Any
    style: str
    font: Font


class Sheet:
    """One sheet that is written row by row; `row` is the next row."""

    def __init__(self, sheet: Any, widths: Sequence[float]) -> None:
        self.sheet = sheet
        self.row = 1
        for column in range(1, 40):
            width = widths[column - 1] if column <= len(widths) else YEAR_WIDTH
            sheet.column_dimensions[letter_of(column)].width = width

    def put_title(self, text: str) -> None:
        """Write the title in the first row."""
        self.add(text)
        self.sheet.cell(1, 1).font = Font(bold=True, size=13)

    def put_header(self, captions: Sequence[Any]) -> None:
        """Write the captions of the columns and keep them in view."""
        row = self.row
        self.add(*captions)
        for cell in self.sheet[row]:
            cell.font, cell.fill = HEAD, TINT
            cell.alignment = Alignment(wrap_text=True, vertical="top")
        self.sheet.freeze_panes = f"B{row + 1}"

    def input(self, value: Any, style: str = PLAIN) -> Marked:
        """Mark a value as an input."""
        return Marked(value, style, INPUT)

    def compare(self, value: Any, style: str = PLAIN) -> Marked:
        """Mark a value as a figure that abatis wrote for comparison."""
        return Marked(value, style, COMPARED)

    def add(self, *values: Any) -> int:
        """Write a row of texts, numbers, marked values, and formulas, each as (formula, number format)."""
        for column, value in enumerate(values, 1):
            cell = self.sheet.cell(self.row, column)
            if isinstance(value, tuple):
                cell.value, cell.number_format = value
            elif isinstance(value, Marked):
                cell.font, cell.number_format = value.font, value.style
                _set_value(cell, value.value)
            else:
                _set_value(cell, value)
        self.row += 1
        return self.row - 1

    def add_years(
        self, what: str, key: str, unit: str, formulas: Sequence[str], style: str, is_summed: bool = True
    ) -> int:
        """Write a row of one formula per year from the fourth column on, and their sum when asked."""
        first, last = letter_of(4), letter_of(3 + len(formulas))
        total = [(f"=SUM({first}{self.row}:{last}{self.row})", style)] if is_summed else []
        return self.add(what, key, unit, *((one, style) for one in formulas), *total)


def _set_value(cell: Any, value: Any) -> None:
    """Set a cell; a text of the study that looks like a formula stays a text."""
    if value is None or value == "":
        return
    if isinstance(value, str):
        cell.value = ILLEGAL_CHARACTERS_RE.sub("", value)
        cell.data_type = "s"
    else:
        cell.value = value


def open_sheet(book: Workbook, title: str, widths: Sequence[float]) -> Sheet:
    """Add a sheet to a workbook; `widths` are those of its first columns, in characters."""
    return Sheet(book.create_sheet(title), widths)


def letter_of(column: int) -> str:
    """Letter of a column.

    Examples
    --------
    >>> letter_of(1), letter_of(28)
    ('A', 'AB')
    """
    found: str = get_column_letter(column)
    return found
