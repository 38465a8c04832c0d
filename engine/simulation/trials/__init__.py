"""A user's own workflow in the simulated world: stand-ins for actors, signals, a test's view."""
