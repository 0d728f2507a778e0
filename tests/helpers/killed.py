"""Runs a command that kills itself: ``killed.py step|label NUMBER WORDS...``.

It ends as by ``kill -9``, at the end of a step, or in the middle of writing a pseudo-label.
"""

import os
import signal
import sys

from wsss_perception.cli import main
from wsss_training import pseudo_labels
from wsss_training.__main__ import COMMANDS
from wsss_training.methods.projected_prior import ProjectedPrior
from wsss_training.methods.wsegpc import WSegPC

where, number, words = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
written = []


def end_of_step(module, *_):
    if module.global_step == number:
        os.kill(os.getpid(), signal.SIGKILL)


def write_chosen(path, chosen):
    written.append(path)
    write(path, chosen)
    if len(written) == number:
        path.write_bytes(path.read_bytes()[:100])
        os.kill(os.getpid(), signal.SIGKILL)


if where == "step":
    for method in (ProjectedPrior, WSegPC):
        method.on_train_batch_end = end_of_step
else:
    write, pseudo_labels.write_chosen = pseudo_labels.write_chosen, write_chosen
sys.exit(main("wsss_training", COMMANDS, words))
