"""`python -m infra.local.cli`."""

import sys

from infra.local.cli.boundary import main

sys.exit(main())
