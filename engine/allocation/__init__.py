"""Durable stateful actors that sleep: which runner runs which actor, and who starts runners.

Allocation is three more workflows on the one dispatcher (DESIGN §1): an *actor*, a *runner* and a
*pool* are each a run whose steps consume one signal. Nothing here knows how a runner is reached or
started: that is the business of the ports `Sockets` and `Starters`.
"""
