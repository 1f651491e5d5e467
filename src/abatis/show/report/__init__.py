"""The report of a plan: one HTML file that holds everything it shows."""

from abatis.show.report.build import build_report

__all__ = ["build_report"]
