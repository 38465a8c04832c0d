"""Starts ministack, with what it lacks for these tests. Runs in ministack's own environment.

- CloudFormation transforms a nested template of the Serverless Application Model; ministack 1.5.33
  transforms the outermost one alone.
- CloudFormation takes a number written as text, which is what every parameter of a nested stack is;
  ministack hands the text to the poller of a queue, which fails.
- What an update of a nested stack leaves as it is keeps its attributes; ministack forgets them.
- A deleted nested stack leaves what it retains; ministack deletes it.
- Who may send one message may send a batch; ministack wants a permission that AWS does not have.
- Every request of a function's role that is checked against its policies is noted, one JSON object
  a line, in the file that MINISTACK_REQUESTS names.
"""

from __future__ import annotations

import json
import os
from contextvars import ContextVar
from typing import Any

# Before the patches below: these have taken the untransformed parser by name.
import ministack.services.cloudformation.changesets
import ministack.services.cloudformation.handlers
import ministack.services.cloudformation.stacks  # noqa: F401
from ministack import app
from ministack.core import iam_evaluator
from ministack.services import cloudformation
from ministack.services.cloudformation import engine, provisioners

BATCHES = {
    f"sqs:{one}Batch": f"sqs:{one}"
    for one in ("SendMessage", "DeleteMessage", "ChangeMessageVisibility")
}


def _transform_nested_templates() -> None:
    parse = engine._parse_template

    def parsed(body: str) -> Any:
        return engine._apply_transforms(parse(body))

    engine._parse_template = parsed


def _take_numbers_as_text() -> None:
    handlers = provisioners._RESOURCE_HANDLERS["AWS::Lambda::EventSourceMapping"]

    def converted(properties: dict[str, Any]) -> dict[str, Any]:
        scaling = dict(properties.get("ScalingConfig") or {})
        if "MaximumConcurrency" in scaling:
            scaling["MaximumConcurrency"] = int(scaling["MaximumConcurrency"])
            return {**properties, "ScalingConfig": scaling}
        return properties

    create, update = handlers["create"], handlers["update"]
    handlers["create"] = lambda name, properties, *rest: create(name, converted(properties), *rest)
    handlers["update"] = lambda physical, before, after, *rest: update(
        physical, before, converted(after), *rest
    )


def _keep_attributes() -> None:
    update = provisioners._update_resource

    def kept(
        kind: str,
        physical: str,
        before: Any,
        after: Any,
        stack: str,
        logical: str | None = None,
        attributes: Any = None,
    ) -> Any:
        if attributes is None:
            resources = cloudformation._stacks.get(stack, {}).get("_resources", {})
            attributes = resources.get(logical, {}).get("Attributes")
        return update(kind, physical, before, after, stack, logical, attributes)

    provisioners._update_resource = kept


def _retain_in_nested_stacks() -> None:
    handlers = provisioners._RESOURCE_HANDLERS["AWS::CloudFormation::Stack"]
    delete = handlers["delete"]

    def deleted(physical: str, properties: Any) -> Any:
        stack = cloudformation._stacks.get(provisioners._nested_stack_lookup_name(physical), {})
        for logical, resource in stack.get("_template", {}).get("Resources", {}).items():
            if resource.get("DeletionPolicy") in provisioners._RETAINING_POLICIES:
                stack["_resources"].pop(logical, None)
        return delete(physical, properties)

    handlers["delete"] = deleted


def _note_requests(path: str) -> None:
    evaluate, enforce = iam_evaluator.evaluate, iam_evaluator.enforce
    asking: ContextVar[Any] = ContextVar("asking", default=None)
    notes = open(path, "a", buffering=1)  # noqa: SIM115 - for as long as the server lives

    def evaluated(context: Any, *policies: Any) -> Any:
        asking.set(context)
        return evaluate(context, *policies)

    def enforced(key: str, action: str, *request: Any, **more: Any) -> Any:
        asking.set(None)  # stays None where the caller is the account itself, who may do everything
        refused = enforce(key, BATCHES.get(action, action), *request, **more)
        context = asking.get()
        if context is not None:
            note = {
                "principal": context.principal_arn,
                "action": context.action,
                "resource": context.resource_arn,
                "allowed": refused is None,
            }
            notes.write(json.dumps(note) + "\n")
        return refused

    iam_evaluator.evaluate, iam_evaluator.enforce = evaluated, enforced


if __name__ == "__main__":
    _transform_nested_templates()
    _take_numbers_as_text()
    _keep_attributes()
    _retain_in_nested_stacks()
    _note_requests(os.environ["MINISTACK_REQUESTS"])
    app.main()
