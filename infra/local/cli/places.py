"""The platform behind `--db` or `--aws`, for commands that start runs or read them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from engine.ports import Platform
from infra.local.cli.options import Place
from infra.local.embedded import visiting


@asynccontextmanager
async def visited(place: Place) -> AsyncIterator[Platform]:
    """Open the place for one command."""
    if place.aws:
        from infra.aws.worker import aws_backend

        async with aws_backend(os.environ) as backend:
            yield backend.platform
    else:
        with visiting(place.path, os.environ) as embedded:
            yield embedded.platform
