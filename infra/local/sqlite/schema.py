"""The tables of the one file, and the two numbers that say whose file it is and how old.

What must stay true
- A file is ours if its `application_id` says so; `user_version` is the format of its tables. Both
  are set in the transaction that creates the tables.
- A step that changes neither status nor `wake_at` writes two pages: the head's and the queue's.
  This is why bodies come last in their rows, why heads have a rowid (a rewritten body leaves every
  index alone), and why the queue is one tree, ordered by when its rows are due.
- An older file becomes one of ours by `UPGRADES`, one format after the other, and keeps its rows. A
  process of the older version that still has it open goes on working: columns only come, and with
  a default.
- `heads.tenant` holds `RunKey.listing`, which for a workflow's run is the tenant.
"""

from __future__ import annotations

APPLICATION_ID = 0x54494445
"""The letters TIDE."""
FORMAT = 2

_EXPIRING = "CREATE INDEX items_expiring ON items (expires_at) WHERE expires_at > 0"

TABLES = (
    """
    CREATE TABLE heads (
        tenant TEXT NOT NULL,
        run TEXT NOT NULL,
        rev INTEGER NOT NULL,
        status TEXT NOT NULL,
        workflow TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        shard INTEGER NOT NULL,
        wake_at INTEGER NOT NULL,
        body BLOB NOT NULL,
        UNIQUE (tenant, run)
    )
    """,
    "CREATE INDEX heads_due ON heads (shard, wake_at) WHERE wake_at > 0",
    "CREATE INDEX heads_newest ON heads (tenant, created_at)",
    "CREATE INDEX heads_newest_of_status ON heads (tenant, status, created_at)",
    # A run's items lie side by side: pages are read, and a run is deleted, in one place.
    """
    CREATE TABLE items (
        partition TEXT NOT NULL,
        name TEXT NOT NULL,
        expires_at INTEGER NOT NULL DEFAULT 0,
        body BLOB NOT NULL,
        PRIMARY KEY (partition, name)
    ) WITHOUT ROWID
    """,
    _EXPIRING,
    """
    CREATE TABLE queue (
        due_at INTEGER NOT NULL,
        id INTEGER NOT NULL,
        receives INTEGER NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (due_at, id)
    ) WITHOUT ROWID
    """,
    "CREATE TABLE blobs (name TEXT PRIMARY KEY NOT NULL, body BLOB NOT NULL)",
)
UPGRADES: dict[int, tuple[str, ...]] = {
    1: ("ALTER TABLE items ADD COLUMN expires_at INTEGER NOT NULL DEFAULT 0", _EXPIRING),
}
"""What makes a file of this format one of the next."""
TABLE_NAMES = frozenset({"heads", "items", "queue", "blobs"})
