"""docs/operations.md explains every alarm that the template makes, and no other."""

from __future__ import annotations

import json
import re
from pathlib import Path

from engine.layout import WAKE_SHARDS
from infra.aws.table import LIST_SHARDS
from tests.functions.templates import STACK, load_template

PAGE = Path("docs/operations.md").read_text()
NUMBERS = {4: "four", 8: "eight", 10: "ten"}


def alarms() -> dict[str, str]:
    """Name -> the condition that it is made under."""
    resources = load_template(STACK / "watch.yaml")["Resources"]
    return {
        name: each["Condition"]
        for name, each in resources.items()
        if each["Type"] == "AWS::CloudWatch::Alarm"
    }


def test_every_alarm_is_explained_in_the_order_of_the_template() -> None:
    assert re.findall(r"^### (\w+Alarm)$", PAGE, re.M) == list(alarms())


def test_the_alarms_are_counted_where_their_price_is() -> None:
    always = [name for name, condition in alarms().items() if condition == "HasAlarms"]
    assert f"| {len(always)} alarms |" in PAGE
    assert len(alarms()) - len(always) == 3
    assert f"| {len(always) * 0.10:.2f} |" in PAGE


def test_the_shards_are_those_of_the_code() -> None:
    assert f"It has {NUMBERS[WAKE_SHARDS]} keys" in PAGE
    assert f"It has {NUMBERS[LIST_SHARDS]} keys" in PAGE
    assert f"| {WAKE_SHARDS} queries of half a unit" in PAGE


def test_an_alarm_names_one_metric() -> None:
    """The stand-in knows no metric math, and neither does whoever is woken at night."""
    resources = load_template(STACK / "watch.yaml")["Resources"]
    assert all("MetricName" in resources[name]["Properties"] for name in alarms())


def test_the_dashboard_is_json_whose_widgets_do_not_overlap() -> None:
    resources = load_template(STACK / "watch.yaml")["Resources"]
    body = resources["StackDashboard"]["Properties"]["DashboardBody"]
    widgets = json.loads(re.sub(r"\$\{[\w:]+\}", "x", body))["widgets"]
    places = {
        (x, y)
        for each in widgets
        for x in range(each["x"], each["x"] + each["width"])
        for y in range(each["y"], each["y"] + each["height"])
    }
    assert len(places) == sum(each["width"] * each["height"] for each in widgets)
    assert max(x for x, _ in places) < 24, "a dashboard has 24 columns"


def test_the_dashboard_names_what_the_template_is_given() -> None:
    template = load_template(STACK / "watch.yaml")
    body = template["Resources"]["StackDashboard"]["Properties"]["DashboardBody"]
    named = set(re.findall(r"\$\{(\w+)\}", body))
    assert named <= set(template["Parameters"])
