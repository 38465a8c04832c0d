"""A run's history pages as they are read back: in order, and without gaps.

What must stay true
- A page that is missing or damaged is an error that names the run; nobody is shown a history with
  a hole in it.
- A page that was written for a commit that is still to come is not part of the history.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from engine.errors import Corrupt, NewerFormat
from engine.layout import PAGE_PREFIX, RunKey
from engine.ports import Reader
from engine.snapshot import PAGE_ENTRIES, Head, Page, decode_page


async def read_pages(reader: Reader, key: RunKey, head: Head) -> AsyncIterator[Page]:
    """The pages before the head's tail, in order. Raises NewerFormat or Corrupt."""
    wanted = 1
    async for _, body in reader.scan(key.partition, PAGE_PREFIX):
        page = read_page(key, body) if wanted < head.first else None
        if page is None or page.first != wanted:
            break
        yield page
        wanted += PAGE_ENTRIES
    if wanted < head.first:
        raise Corrupt(f"run '{key.run}': result {wanted} is missing")


def read_page(key: RunKey, body: bytes) -> Page:
    """Raises NewerFormat or Corrupt, which name the run."""
    try:
        return decode_page(body)
    except (NewerFormat, Corrupt) as error:
        raise type(error)(f"run '{key.run}': {error}") from error
