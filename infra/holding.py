"""Hold the request that brings forth a runner: `GET <url>/start`, answered by server-sent events.

What must stay true
- The request is held until its stream ends, the time is over, or somebody has it stopped. Closing
  it is what ends the runner there.
- Whatever is wrong with the other side becomes a sentence, and is raised by nobody: people read it
  where their pool says why it has no runners.
- Redirects are not followed: the headers hold the pool's secrets, and the runner's token.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

import httpx

from engine.allocation.config import PoolConfig

CONNECT_S = 10.0
SILENT_S = 60.0
"""Without an event or a comment the stream is as good as broken."""
EVENT_BYTES = 64 << 10
SHOWN = 200
"""Characters of what the other side says, in our own sentence."""
EVENT_STREAM = "text/event-stream"


@dataclass(frozen=True, slots=True)
class Start:
    """What is asked for. `endpoint` is where the runner connects to, with `token`."""

    url: str
    endpoint: str
    pool: str
    slots: int
    request: str
    token: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, config: PoolConfig, *, endpoint: str, pool: str, request: str, token: str) -> Start:
        return cls(
            config.url, endpoint, pool, config.slots_per_runner, request, token, config.headers
        )

    def all_headers(self) -> dict[str, str]:
        """Ours win over the pool's own."""
        own = {name.lower(): value for name, value in self.headers.items()}
        return {
            **own,
            "accept": EVENT_STREAM,
            "cache-control": "no-store",
            "x-tidestep-endpoint": self.endpoint,
            "x-tidestep-pool": self.pool,
            "x-tidestep-slots": str(self.slots),
            "x-tidestep-connection": self.request,
            "x-tidestep-token": self.token,
        }


def holding_client() -> httpx.AsyncClient:
    """A client for any number of held requests; close it."""
    return httpx.AsyncClient(
        timeout=httpx.Timeout(CONNECT_S, read=SILENT_S),
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
        follow_redirects=False,
    )


async def hold(client: httpx.AsyncClient, start: Start, seconds: float, stop: asyncio.Event) -> str:
    """Hold the request; in the end, what was wrong with it, or nothing."""
    reading = asyncio.create_task(_read(client, start))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait(
            {reading, stopping}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
        )
        return reading.result() if reading.done() else ""
    finally:
        reading.cancel()
        stopping.cancel()
        await asyncio.gather(reading, stopping, return_exceptions=True)


async def _read(client: httpx.AsyncClient, start: Start) -> str:
    connected = False
    try:
        url = httpx.URL(start.url)
        url = url.copy_with(path=url.path.rstrip("/") + "/start")
        async with client.stream("GET", url, headers=start.all_headers()) as response:
            connected = True
            if response.status_code != 200:
                return f"the endpoint answered {response.status_code}{await _beginning(response)}"
            kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != EVENT_STREAM:
                return f"the endpoint answered with {kind or 'no content type'}, not {EVENT_STREAM}"
            return await _events(response)
    except httpx.ReadTimeout:
        return f"the endpoint has been silent for {SILENT_S:g} s"
    except httpx.LocalProtocolError:  # its text would show a header, which may be a secret
        return "the endpoint cannot be asked: a header's name or value cannot be sent"
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, ValueError) as error:
        what = "broke the answer off" if connected else "cannot be reached"
        return f"the endpoint {what}: {str(error) or type(error).__name__}"[:1000]


async def _events(response: httpx.Response) -> str:
    """Read to the end; what an event says is wrong, or an event that is none."""
    name, data = "", ""
    async for line in _lines(response):
        if line is None:
            return f"the endpoint sent an event of more than {EVENT_BYTES:,} bytes"
        if not line:
            if name == "error":
                return f"the endpoint says: {_shown(data) or 'error'}"
            name, data = "", ""
            continue
        field_name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field_name == "event":
            name = value
        elif field_name == "data":
            data = f"{data}\n{value}" if data else value
        elif field_name not in ("", "id", "retry"):
            return f"the endpoint sent what is no event: {_shown(line)}"
    return ""


async def _lines(response: httpx.Response) -> AsyncIterator[str | None]:
    """Each line; None for one that is too long, which is the last."""
    rest = b""
    async for part in response.aiter_bytes():
        *whole, rest = (rest + part).replace(b"\r\n", b"\n").split(b"\n")
        for line in whole:
            yield line.decode(errors="replace")
        if len(rest) > EVENT_BYTES:
            yield None
            return


async def _beginning(response: httpx.Response) -> str:
    """How the body of a refusal begins."""
    body = b""
    async for part in response.aiter_bytes():
        body += part
        if len(body) > 4 * SHOWN:
            break
    text = _shown(body.decode(errors="replace"))
    return f": {text}" if text else ""


def _shown(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:SHOWN]
