"""Runs a command of ``wsss_perception`` as where torch and spconv are not installed."""

import sys

from wsss_perception.__main__ import COMMANDS
from wsss_perception.cli import main

assert "torch" not in sys.modules
for name in ("torch", "spconv", "spconv.pytorch", "cumm", "wsss_training"):
    sys.modules[name] = None  # an import of it fails
sys.exit(main("wsss_perception", COMMANDS, sys.argv[1:]))
