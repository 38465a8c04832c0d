"""Starts ministack, with what it lacks for these tests. Runs in ministack's own environment.

- CloudFormation transforms a nested template of the Serverless Application Model; ministack 1.5.33
  transforms the outermost one alone.
- Every request of a function's role that is checked against its policies is noted, one JSON object
  a line, in the file that MINISTACK_REQUESTS names.
"""

from __future__ import annotations

import json
import os
from typing import Any

# Before the patches below: these have taken the untransformed parser by name.
import ministack.services.cloudformation.changesets
import ministack.services.cloudformation.handlers
import ministack.services.cloudformation.stacks  # noqa: F401
from ministack import app
from ministack.core import iam_evaluator
from ministack.services.cloudformation import engine


def _transform_nested_templates() -> None:
    parse = engine._parse_template

    def parsed(body: str) -> Any:
        return engine._apply_transforms(parse(body))

    engine._parse_template = parsed


def _note_requests(path: str) -> None:
    evaluate = iam_evaluator.evaluate
    notes = open(path, "a", buffering=1)  # noqa: SIM115 - for as long as the server lives

    def noted(context: Any, *policies: Any) -> Any:
        result = evaluate(context, *policies)
        note = {
            "principal": context.principal_arn,
            "action": context.action,
            "resource": context.resource_arn,
            "decision": result.decision,
        }
        notes.write(json.dumps(note) + "\n")
        return result

    iam_evaluator.evaluate = noted


if __name__ == "__main__":
    _transform_nested_templates()
    _note_requests(os.environ["MINISTACK_REQUESTS"])
    app.main()
