"""Real workflows, each in a folder with its actors. `python -m examples.NAME` runs one."""
