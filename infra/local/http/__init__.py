"""The HTTP server of `tidestep serve`. Imported by that command alone: the others start faster."""
