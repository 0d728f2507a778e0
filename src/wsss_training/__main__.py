"""``python -m wsss_training <command>``."""

import sys

from wsss_perception.cli import Command, main

COMMANDS = (
    Command("train", "learn a segmenter from a config file", "wsss_training.commands.train"),
    Command("evaluate", "score a bundle on a labelled set", "wsss_training.commands.evaluate"),
    Command("pseudo-label", "label logs with a WSegPC run", "wsss_training.commands.pseudo_label"),
    Command("predict", "label a folder of sweeps", "wsss_training.commands.predict"),
    Command("export", "write a model bundle from a training run", "wsss_training.commands.export"),
    Command(
        "check-dataset", "what there is, what is missing", "wsss_training.commands.check_dataset"
    ),
    Command("import-bag", "make training logs of bags", "wsss_training.commands.import_bag"),
    Command("make-bag", "write a rosbag2 from a dataset", "wsss_training.commands.make_bag"),
    Command(
        "derive-tags", "write a labelled set's scene tags", "wsss_training.commands.derive_tags"
    ),
    Command("contact-sheet", "draw scenes to tag", "wsss_training.commands.contact_sheet"),
    Command("tag", "tag scenes in the terminal", "wsss_training.commands.tag"),
    Command("suggest-tags", "suggest tags by embeddings", "wsss_training.commands.suggest_tags"),
    Command("check-tags", "check a file of scene tags", "wsss_training.commands.check_tags"),
    Command(
        "embed-images", "embed images for 'method: vlg'", "wsss_training.commands.embed_images"
    ),
    Command("embed-texts", "embed class names", "wsss_training.commands.embed_texts"),
    Command("teacher-maps", "run an ONNX segmenter", "wsss_training.commands.teacher_maps"),
    Command("make-world", "write synthetic driving logs", "wsss_training.commands.make_world"),
    Command("make-rooms", "write synthetic rooms", "wsss_training.commands.make_rooms"),
    Command("weak-labels", "draw a few labelled points", "wsss_training.commands.weak_labels"),
)

if __name__ == "__main__":
    sys.exit(main("wsss_training", COMMANDS))
