"""Bytecode for what the layers hold, between `sam build` and `sam deploy`.

The SAM CLI installs wheels without it, and Lambda's file system cannot be written to: every cold
start would compile all that it imports, a third of the processor time of a first step.

    python -m infra.stack.bytecode [.aws-sam/build]

What must stay true: what is written follows from the sources alone, so that a layer that has not
changed is not a new one; and only the Python of the stack's runtime reads it, any other ignores it.
"""

from __future__ import annotations

import compileall
import sys
from pathlib import Path
from py_compile import PycInvalidationMode

BUILT = Path(".aws-sam/build")
IN_LAMBDA = "/opt/python"
"""Where Lambda has what lies in a layer's `python` directory."""


def compile_layers(built: Path) -> int:
    """Compile each layer below `built` for the Python that runs; how many there are.

    A source that cannot be compiled is left as it is: nobody has imported it.
    """
    layers = sorted(built.rglob("*Layer/python"))
    for layer in layers:
        compileall.compile_dir(
            layer,
            quiet=2,
            invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
            stripdir=str(layer),
            prependdir=IN_LAMBDA,
        )
    return len(layers)


if __name__ == "__main__":
    built = Path(sys.argv[1]) if len(sys.argv) > 1 else BUILT
    print(f"{compile_layers(built)} layers in {built}/ have bytecode for Python {sys.version[:4]}")
