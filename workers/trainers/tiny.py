"""Make the bundled checkpoint from nothing: tokenizer, training, evaluation, card.

    python -m workers.trainers.tiny --out DIR [--steps N] [--threads N] [--stage all|train|evaluate]

The run's state lies in DIR/.run and is taken up again if it is there; the checkpoint itself is written when training ends.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer

from .card import examples, model_card
from .drafts import measure
from .files import read_lines, write_json, write_text
from .network import TrainedNetwork
from .pretrain import Pretraining
from .recipe import Recipe
from .shape import Shape
from .text import BOS_ID, EOS_ID, build_tokenizer, save_tokenizer

LOG_NAME = "train_log.jsonl"


def save_model(network: TrainedNetwork, folder: Path) -> None:
    """config.json, generation_config.json and model.safetensors (float32), as transformers lays them out."""
    write_json(folder / "config.json", network.shape.hf())
    sampling = {"do_sample": True, "temperature": 0.6, "top_p": 1.0, "max_new_tokens": 400}
    ids = {"bos_token_id": BOS_ID, "eos_token_id": EOS_ID, "pad_token_id": EOS_ID}
    write_json(folder / "generation_config.json", ids | sampling)
    partial = folder / "model.safetensors.part"
    state = {name: tensor.contiguous() for name, tensor in network.model.state_dict().items()}
    save_file(state, str(partial), metadata={"format": "pt"})
    partial.replace(folder / "model.safetensors")


def train(folder: Path, recipe: Recipe) -> None:
    """Train, or go on training, and write the checkpoint into the folder."""
    torch.set_num_threads(recipe.threads)
    folder.mkdir(parents=True, exist_ok=True)
    recipe.save(folder / "recipe.json")
    tokenizer = _tokenizer(folder, recipe)
    run = Pretraining(TrainedNetwork(Shape(), recipe.seed), tokenizer, recipe, folder / ".run")
    if run.resume():
        print(f"going on from step {run.step}", flush=True)
    run.run(watch=lambda row: print(json.dumps(row), flush=True))
    save_model(run.network, folder)
    shutil.copyfile(run.log_path, folder / LOG_NAME)


def _tokenizer(folder: Path, recipe: Recipe) -> Tokenizer:
    """The folder's tokenizer, made if it is not there yet."""
    path = folder / "tokenizer.json"
    if not path.exists():
        save_tokenizer(build_tokenizer(recipe.tokenizer_seed), folder, Shape().max_position_embeddings)
    return Tokenizer.from_file(str(path))


def finish(folder: Path) -> dict[str, Any]:
    """Evaluate the folder's checkpoint; write accuracy.json, examples.json and the card."""
    from .evaluate import EvaluationPlan, evaluate, heldout_problems  # noqa: PLC0415  the engine is needed from here on only

    plan = EvaluationPlan()
    accuracy = evaluate(folder, plan, tell=lambda text: print(text, flush=True))
    accuracy["mtp"] = measure(folder, heldout_problems(plan))
    write_json(folder / "accuracy.json", accuracy)
    write_json(folder / "examples.json", examples())
    write_card(folder)
    return accuracy


def _parameters(shape: Shape) -> int:
    return TrainedNetwork(shape, 0).parameters()


def write_card(folder: Path) -> None:
    """README.md from what lies in the folder."""
    card = model_card(
        config=json.loads((folder / "config.json").read_text(encoding="utf-8")),
        parameters=_parameters(Shape()),
        mtp_parameters=_parameters(Shape()) - _parameters(replace(Shape(), num_nextn_predict_layers=0)),
        recipe=Recipe.load(folder / "recipe.json"),
        accuracy=json.loads((folder / "accuracy.json").read_text(encoding="utf-8")),
        log=read_lines(folder / LOG_NAME),
    )
    write_text(folder / "README.md", card)


def main(argv: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m workers.trainers.tiny", description="Make the tiny checkpoint.")
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--steps", type=int, help="training steps (default: the recipe's)")
    parser.add_argument("--threads", type=int, help="torch threads (default: the recipe's)")
    parser.add_argument("--stage", choices=["all", "train", "evaluate"], default="all")
    options = parser.parse_args(argv)
    given = {"steps": options.steps, "threads": options.threads}
    recipe = replace(Recipe(), **{name: value for name, value in given.items() if value is not None})
    if options.stage in ("all", "train"):
        train(options.out, recipe)
    if options.stage in ("all", "evaluate"):
        overall = finish(options.out)["overall"]
        print(json.dumps(overall))
    return 0


if __name__ == "__main__":
    sys.exit(main())
