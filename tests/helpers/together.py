"""Runs several commands one after another; ``torchrun`` starts it in each of its processes."""

import json
import sys
from pathlib import Path

from wsss_perception.cli import main
from wsss_training.__main__ import COMMANDS

for words in json.loads(Path(sys.argv[1]).read_text()):
    status = main("wsss_training", COMMANDS, words)
    if status:
        sys.exit(status)
