"""Observers for what must be true of actors that sleep, their runners and their pools."""
