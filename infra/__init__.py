"""Adapters: one per port of the engine and real service."""
