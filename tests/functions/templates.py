"""The templates as Python values, for tests that compare them with the code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.nodes import SequenceNode

STACK = Path("infra/stack")
PARTS = ("template", "http", "actors", "watch")


class Template(SafeConstructor):
    """Reads `!Ref X`, `!GetAtt X.Y` and `!Sub text` as their argument's text, and the arguments of
    `!If`, `!Not` and `!Equals` as a list."""


def _argument(constructor: Any, suffix: str, node: Any) -> Any:
    if isinstance(node, SequenceNode):
        return constructor.construct_sequence(node, deep=True)
    return constructor.construct_scalar(node)


Template.add_multi_constructor("!", _argument)


def load_template(path: Path) -> dict[str, Any]:
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = Template
    loaded: dict[str, Any] = yaml.load(path)
    return loaded


def load_stack() -> dict[str, Any]:
    """The outermost template of the stack, with the resources of those that it nests.

    What they are given has the same name in all: `Table` is the one table.
    """
    parts = {name: load_template(STACK / f"{name}.yaml") for name in PARTS}
    resources = {name: each for part in parts.values() for name, each in part["Resources"].items()}
    return {**parts["template"], "Resources": resources, "Parts": parts}


def functions_of(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Logical name -> properties."""
    return {
        name: each["Properties"]
        for name, each in template["Resources"].items()
        if each["Type"] == "AWS::Serverless::Function"
    }


def statements_of(function: dict[str, Any]) -> list[dict[str, Any]]:
    """What its role may do, beside what the operator adds and the log."""
    policies = [policy for policy in function["Policies"] if isinstance(policy, dict)]
    return [statement for policy in policies for statement in policy["Statement"]]
