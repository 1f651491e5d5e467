"""Arguments and options that many commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

StudyFolder = Annotated[Path, typer.Argument(metavar="STUDY", help="study folder")]
PlanFolder = Annotated[Path, typer.Argument(metavar="PLAN", help="plan folder, STUDY/plans/NAME")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON on standard output instead of tables")]
