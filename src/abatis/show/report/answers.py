"""The numbers of the report's first screen; each can be computed again from the plan and the mesh."""

from __future__ import annotations

from dataclasses import dataclass

from abatis.show.civil import CivilAccount
from abatis.show.results import Results
from abatis.show.tables import format_value

STATUS_WORDS = {
    "optimal": "The search proved that no plan is better.",
    "gap": "The search ended at the gap that was asked for.",
    "time_limit": "The search ended at its time limit; with more time the two numbers may come closer.",
    "rounding": "Rounding errors kept the search from settling the rest.",
    "interrupted": "The search was interrupted; with more time the two numbers may come closer.",
    "by_hand": "The plan was made by hand: nothing is proven of it.",
}


@dataclass(frozen=True)
class Answer:
    """One number: key and raw value for machines; text, unit and format for people."""

    key: str
    value: float
    unit: str
    style: str
    text: str

    @property
    def shown(self) -> str:
        """The number as written in the report."""
        if self.unit == "EUR":
            if self.value >= 1e6:
                return f"EUR {format_value(self.value / 1e6, ',.1f')} million"
            return "EUR " + format_value(self.value, self.style)
        if self.unit == "%":
            return format_value(100.0 * self.value, self.style) + " %"
        words = format_value(self.value, self.style)
        return f"{words} {self.unit}".rstrip()


def list_answers(results: Results, account: CivilAccount, placeholder_share: float) -> dict[str, Answer]:
    """Return the first screen's numbers by key: hours, euros, then the civil account."""
    plan = results.plan
    spent = plan.cost_eur / plan.budget_eur if plan.budget_eur > 0 else 0.0
    cost_low_eur = sum(one.option.cost_low_eur for one in results.chosen)
    cost_high_eur = sum(one.option.cost_high_eur for one in results.chosen)
    answers = (
        Answer("hours_gained", plan.value_h - plan.before_h, "h", ",.2f", "hours bought"),
        Answer("value_before", plan.before_h, "h", ",.2f", "arrival time before"),
        Answer("value_after", plan.value_h, "h", ",.2f", "arrival time with the plan"),
        Answer("cost", plan.cost_eur, "EUR", ",.0f", "cost of the plan"),
        Answer("budget", plan.budget_eur, "EUR", ",.0f", "budget"),
        Answer("spent", spent, "%", ".0f", "of the budget"),
        Answer("cost_low", cost_low_eur, "EUR", ",.0f", "cost at low unit costs"),
        Answer("cost_high", cost_high_eur, "EUR", ",.0f", "cost at high unit costs"),
        Answer("approaches", len(plan.approaches), "", ",.0f", "approaches"),
        Answer("sites_chosen", len(plan.options), "", ",.0f", "sites closed"),
        Answer("sites_all", len(results.siting.sites), "", ",.0f", "sites studied"),
        Answer("bound", plan.bound_h, "h", ",.2f", "no plan within the budget can give more than"),
        Answer("ceiling", results.ceiling_h, "h", ",.2f", "no plan at these sites can give more than"),
        Answer("gap", plan.gap, "%", ".1f", "gap"),
        *(Answer(one.key, one.value, one.unit, one.style, one.name) for one in account.figures.values()),
        Answer("near_m", account.land.near_m, "m", ",.0f", "near the works"),
        Answer("duties", len(account.duties), "", ",.0f", "duties of the state"),
        Answer("placeholders", placeholder_share, "%", ".0f", "of the input rows are placeholders"),
    )
    return {answer.key: answer for answer in answers}


def describe_value(results: Results) -> str:
    """Say what the value of the plan is."""
    if results.plan.objective == "minimum":
        return "the least arrival time"
    return "the weighted mean arrival time"


def is_money_left(results: Results) -> bool:
    """True when money is left and yet no work at these sites, whatever it costs, would give more hours."""
    plan = results.plan
    return plan.cost_eur < plan.budget_eur and results.ceiling_h <= plan.value_h * (1 + 1e-6)


def describe_status(status: str) -> str:
    """Say in words how the search ended."""
    return STATUS_WORDS[status]
