r"""Embeds class names with a frozen open_clip model: what embeddings of images are compared with.

Each phrase is put into several sentences, whose embeddings are averaged. --prompts names a YAML
file of synonyms, background prompts and sentences (docs/teachers.md); without one the classes are
asked for by their names.

Example:
  python -m wsss_training embed-texts texts.safetensors --ontology semantic_kitti \
    --model ViT-B-16 --pretrained laion2b_s34b_b88k
"""

import argparse
from pathlib import Path

from wsss_training.commands.teacher_arguments import add_model_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command line."""
    parser.add_argument("output", type=Path, metavar="OUT", help="file to write: .safetensors")
    add_model_arguments(parser)
    parser.add_argument("--ontology", help="the classes (default: those of --prompts)")
    parser.add_argument("--prompts", type=Path, metavar="YAML", help="what to ask for")


def run(arguments: argparse.Namespace) -> None:
    """Embeds.

    Raises:
        WsssError: the model cannot be had, the prompts do not fit, or the file cannot be written.
    """
    from wsss_perception.errors import ConfigError
    from wsss_perception.ontology import load_ontology
    from wsss_perception.texts import write_texts
    from wsss_training.teachers.clip.model import open_clip_model
    from wsss_training.teachers.prompts import embed_prompts, load_prompts, prompts_of

    ontology = None if arguments.ontology is None else load_ontology(arguments.ontology)
    if arguments.prompts is not None:
        prompts = load_prompts(arguments.prompts, ontology)
    elif ontology is not None:
        prompts = prompts_of(ontology)
    else:
        raise ConfigError("there is nothing to embed; give --ontology, --prompts or both")
    model = open_clip_model(arguments.model, arguments.pretrained)
    texts = embed_prompts(prompts, model.encode_texts, model.description)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    write_texts(arguments.output, texts)
    background = len(prompts.background)
    phrases = f"{len(texts.names) - background} phrases of {len(prompts.classes)} classes"
    print(f"{arguments.output}: {phrases}, {background} of the background")
