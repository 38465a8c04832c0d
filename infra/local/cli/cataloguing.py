"""`tidestep catalog`: the actors that workflows can use."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from typing import Any

from engine.actors import Registry
from infra.local.cli.exits import NotThere
from infra.local.cli.output import print_json, print_table, print_text
from infra.local.cli.tables import plain_table


def show_catalog(actors: Registry, name: str | None, *, as_json: bool) -> None:
    if name is not None:
        described = _actor(actors, name).describe()
        if as_json:
            print_json(described)
        else:
            print_text("\n".join(_page(described)))
        return
    described_all = [actors[each].describe() for each in sorted(actors)]
    if as_json:
        print_json(described_all)
        return
    from rich.text import Text

    headings = ("actor", "inports", "outports", "", "config")
    table = plain_table(*headings, wraps=headings)
    for each in described_all:
        table.add_row(
            Text(each["name"], style="bold"),
            ", ".join(each["inports"]) or "in",
            _ports(each["outports"]),
            Text(each["summary"], style="dim"),
            ", ".join(_keys(each["config"])),
        )
    print_table(table)


def _actor(actors: Registry, name: str) -> Any:
    if name in actors:
        return actors[name]
    close = difflib.get_close_matches(name, actors, 1, 0.8)
    advice = f"did you mean '{close[0]}'?" if close else "--actors MODULE names your own"
    raise NotThere(f"there is no actor '{name}'; {advice}")


def _keys(config: Mapping[str, Any]) -> list[str]:
    """The keys of a config, those that may be left out in brackets."""
    return [key if about["required"] else f"[{key}]" for key, about in config.items()]


def _ports(outports: Mapping[str, Any] | str) -> str:
    return outports if isinstance(outports, str) else ", ".join(outports)


def _page(actor: Mapping[str, Any]) -> list[str]:
    lines = [actor["name"]]
    if actor["summary"]:
        lines += [f"  {actor['summary']}"]
    lines += ["", "inports", *_schemas(actor["inports"] or {"in": {}})]
    if isinstance(actor["outports"], str):
        lines += ["", f"outports ({actor['outports']})"]
    else:
        lines += ["", "outports", *_schemas(actor["outports"])]
    if actor["config"]:
        lines += ["", "config ([key] may be left out)"]
        names = _keys(actor["config"])
        schemas = (about["schema"] for about in actor["config"].values())
        lines += _schemas(dict(zip(names, schemas, strict=True)))
    return lines


def _schemas(schemas: Mapping[str, Any]) -> list[str]:
    width = max(map(len, schemas), default=0)
    return [f"  {name:{width}}  {_schema(schema)}" for name, schema in schemas.items()]


def _schema(schema: Mapping[str, Any]) -> str:
    return json.dumps(schema, ensure_ascii=False) if schema else "any JSON"
