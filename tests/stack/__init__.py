"""The deployed system: what `make test-stack` runs, each part in an environment of its own.

Nothing here is part of `make test`: it installs the SAM CLI, stand-ins of AWS and a Java program,
and takes minutes.
"""
