"""Random workflows whose every result is known beforehand, and what comes to their runs."""
