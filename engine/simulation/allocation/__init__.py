"""Allocation in the simulator: actors that sleep, the runners they wake on, and who starts those.

- `byhand` moves every message and every frame when the test says so: golden traces.
- Everything else is one world for random storms: connections (`wire`), runners (`runners`, with
  `hosting` for the actors on them), held requests (`endpoint`), all put together (`world`).
- `checks` say what must be true, `storms` draws what happens.
"""
