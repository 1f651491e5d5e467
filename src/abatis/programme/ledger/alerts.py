"""Alerts: rules in a table compare figures with limits, and every alert names the records it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from abatis.programme.ledger.gauges import Gauges, Measured, Subject, read_gauges
from abatis.programme.ledger.settings import SEVERITIES, Rule


@dataclass(frozen=True)
class Alert:
    """One thing that a rule found: `severity` is severe, warning or info; `since` is '' when no day is known.

    `value` is the figure that was compared, in `unit`.
    """

    rule: str
    severity: str
    subject: str
    key: str
    name: str
    country: str
    line: str
    text: str
    value: float
    unit: str
    since: str
    access: str
    tag: str
    records: tuple[int, ...]


def raise_alerts(seen: Measured, rules: Sequence[Rule], public: bool = False) -> tuple[Alert, ...]:
    """Compare every figure with the limits of the rules.

    Parameters
    ----------
    seen : what was measured.
    rules : rules that are switched on (`read_settings`).
    public : true leaves out rules that are not for the public.

    In words: a rule tells when its figure is above (or below) its limit; beyond the severe limit the alert is
    severe. Severe ones come first, then those with the largest figure.
    """
    gauges = read_gauges(seen)
    found: list[Alert] = []
    for rule in rules:
        if not public or rule.access == "public":
            found += apply_rule(rule, gauges)
    return tuple(sorted(found, key=_order))


def apply_rule(rule: Rule, gauges: Gauges) -> list[Alert]:
    """Return the alerts of one rule; none where nothing of its subject is recorded."""
    gauge = gauges.get((rule.subject, rule.figure))
    if gauge is None or not len(gauge.values):
        return []
    sign = 1.0 if rule.above else -1.0
    with np.errstate(invalid="ignore"):
        hits = np.flatnonzero(sign * gauge.values > sign * rule.limit)
    found = []
    for row in hits.tolist():
        value = float(gauge.values[row])
        severe = rule.severe_limit is not None and sign * value > sign * rule.severe_limit
        found.append(_write_alert(rule, gauge.unit, value, severe, gauge.describe(row)))
    return found


def _write_alert(rule: Rule, unit: str, value: float, severe: bool, subject: Subject) -> Alert:
    text = rule.text.replace("{value}", write_figure(value, unit))
    text = text.replace("{limit}", write_figure(rule.limit, rule.limit_unit or unit))
    return Alert(
        rule=rule.key,
        severity="severe" if severe else rule.severity,
        subject=rule.subject,
        key=subject.key,
        name=subject.name,
        country=subject.country,
        line=subject.line,
        text=text.replace("{name}", subject.name),
        value=value,
        unit=unit,
        since=subject.since,
        access=rule.access,
        tag=subject.tag,
        records=subject.records,
    )


def write_figure(value: float, unit: str) -> str:
    """Write a figure of an alert with its unit.

    Examples
    --------
    >>> write_figure(0.125, "share"), write_figure(1.0, "days"), write_figure(-3.0, "days")
    ('12.5 %', '1 day', '-3 days')
    >>> write_figure(1.0, "duties"), write_figure(4.25, "km")
    ('1 duty', '4.2 km')
    """
    if unit == "share":
        return f"{round(100 * value, 1):g} %"
    if unit == "km":
        return f"{value:.1f} km"
    count = f"{value:,.0f}"
    if count != "1" or not unit.endswith("s"):
        return f"{count} {unit}".strip()
    return f"{count} " + (unit[:-3] + "y" if unit.endswith("ies") else unit[:-1])


def _order(alert: Alert) -> tuple[int, float, str, str]:
    return SEVERITIES.index(alert.severity), -abs(alert.value), alert.rule, alert.key
