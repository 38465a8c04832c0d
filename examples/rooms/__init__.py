"""Actors that sleep: a counter, and a chat room that closes when nobody says anything."""
