"""The simulated world: time, chance, services, and the processes that the engine runs in."""
