"""The built-in actors. Unlike the rest of the engine, their code may talk to the world."""

from typing import Any

from engine.actors.actor import Actor
from engine.library.flow import branch, sleep, switch, wait
from engine.library.http import http_request
from engine.library.transform import map_value

ACTORS: tuple[Actor[..., Any], ...] = (branch, switch, sleep, wait, map_value, http_request)
