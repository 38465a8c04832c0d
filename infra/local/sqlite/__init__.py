"""The embedded backend: heads, items, queue and blobs in one SQLite file.

A worker process opens the file with `SqliteWorker`, of which there is one at a time; every other
process, such as the command line, with `SqliteVisitor`, of which there may be many.
"""

from infra.local.sqlite.blobs import SqliteBlobs
from infra.local.sqlite.journal import SqliteJournal
from infra.local.sqlite.lock import WorkerLock
from infra.local.sqlite.roles import SqliteVisitor, SqliteWorker
from infra.local.sqlite.source import SqliteSource

__all__ = [
    "SqliteBlobs",
    "SqliteJournal",
    "SqliteSource",
    "SqliteVisitor",
    "SqliteWorker",
    "WorkerLock",
]
