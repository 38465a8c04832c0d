"""One machine: the embedded backend, the worker and the command line."""
