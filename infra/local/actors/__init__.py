"""Stateful actors on one machine: runners' WebSockets, actors' addresses, and who starts runners.

Imported by `tidestep serve` alone, where it serves actors.
"""
