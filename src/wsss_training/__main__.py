"""``python -m wsss_training <command>``."""

import sys

from wsss_perception.cli import Command, main

COMMANDS = (
    Command("train", "learn a segmenter from a config file", "wsss_training.commands.train"),
    Command("evaluate", "score a bundle on a labelled set", "wsss_training.commands.evaluate"),
    Command("predict", "label a folder of sweeps", "wsss_training.commands.predict"),
    Command("export", "write a model bundle from a training run", "wsss_training.commands.export"),
    Command("make-bag", "write a rosbag2 from a dataset", "wsss_training.commands.make_bag"),
    Command("make-world", "write synthetic driving logs", "wsss_training.commands.make_world"),
)

if __name__ == "__main__":
    sys.exit(main("wsss_training", COMMANDS))
