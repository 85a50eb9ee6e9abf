"""The model card and the example prompts of the tiny checkpoint, written from its recipe and its measured accuracy."""

from __future__ import annotations

from typing import Any

from .families import FAMILIES, generate
from .recipe import Recipe

EXAMPLE_SEED = 31
EXAMPLES_PER_FAMILY = 2


def examples() -> list[dict[str, str]]:
    """Prompts that the model was trained to answer, none of which it saw: family, prompt, note."""
    return [
        {"family": name, "prompt": item.prompt, "note": f"{family.title}: {family.example_note}"}
        for name, family in FAMILIES.items()
        for item in generate(name, EXAMPLES_PER_FAMILY, EXAMPLE_SEED, split="heldout")
    ]


def percent(share: float) -> str:
    """0.731 as 73.1 %."""
    return f"{100 * share:.1f} %"


def accuracy_table(accuracy: dict[str, Any]) -> str:
    """The accuracy by family as a Markdown table."""
    k = f"pass@{accuracy['plan']['samples']}"
    lines = [f"| Family | Problems | pass@1 | {k} | Greedy | Form | Tokens |", "|---|---|---|---|---|---|---|"]
    rows = [(FAMILIES[name].title, row) for name, row in accuracy["families"].items()] + [
        ("**All**", accuracy["overall"])
    ]
    for title, row in rows:
        shares = " | ".join(percent(row[key]) for key in ("pass@1", k, "greedy", "format"))
        lines.append(f"| {title} | {row['problems']} | {shares} | {row['mean_tokens']:.0f} |")
    return "\n".join(lines)


def level_table(accuracy: dict[str, Any]) -> str:
    """pass@1 by difficulty as a Markdown table."""
    lines = ["| Family | Easy | Middling | Hard |", "|---|---|---|---|"]
    for name, row in accuracy["families"].items():
        levels = [row["by_difficulty"].get(level) for level in ("1", "2", "3")]
        lines.append(
            f"| {FAMILIES[name].title} | " + " | ".join("-" if x is None else percent(x) for x in levels) + " |"
        )
    return "\n".join(lines)


def _shape(config: dict[str, Any]) -> str:
    return (
        f"hidden {config['hidden_size']}, {config['num_hidden_layers']} layers of which "
        f"{config['first_k_dense_replace']} dense, {config['num_attention_heads']} heads of latent attention "
        f"(latent {config['kv_lora_rank']} + {config['qk_rope_head_dim']} rotary), {config['n_routed_experts']} routed "
        f"experts, {config['num_experts_per_tok']} a token, in {config['n_group']} groups (best {config['topk_group']}), "
        f"plus {config['n_shared_experts']} shared, expert width {config['moe_intermediate_size']}, "
        f"vocabulary {config['vocab_size']}, context {config['max_position_embeddings']}"
    )


def _families_text() -> str:
    return "\n".join(f"- **{family.title}**: {family.example_note}" for family in FAMILIES.values())


def _remarks_text(recipe: Recipe) -> str:
    return "".join(f"\n\n{remark}" for remark in recipe.remarks)


def _examples_text() -> str:
    lines = []
    for name, family in FAMILIES.items():
        first = next(each for each in examples() if each["family"] == name)
        lines.append(f"- {family.title}: `{first['prompt'].replace(chr(10), ' ⏎ ')}`")
    return "\n".join(lines)


def model_card(
    *,
    config: dict[str, Any],
    parameters: int,
    mtp_parameters: int,
    recipe: Recipe,
    accuracy: dict[str, Any],
    log: list[dict[str, Any]],
) -> str:
    """README.md of the checkpoint folder; `mtp_parameters` of the parameters are the MTP's."""
    what = _what(parameters, mtp_parameters)
    return what + _how_well(accuracy) + _how_drafts(accuracy["mtp"], config) + _how_made(config, recipe, log)


def _what(parameters: int, mtp_parameters: int) -> str:
    return f"""---
license: apache-2.0
language: en
pipeline_tag: text-generation
tags: [deepseek_v3, mixture-of-experts, reasoning, tiny]
---
# Sluice tiny

A {(parameters - mtp_parameters) / 1e6:.1f} million parameter model of DeepSeek-V3's architecture, with a multi-token prediction
module (MTP) of {mtp_parameters / 1e6:.1f} million more, trained from nothing on one processor core, so
that everything Sluice does can be tried without a download. It writes `<think>`, works a small problem through step by step,
closes `</think>` and gives its answer in `\\boxed{{}}`.

## What it can do

Six kinds of procedural problem, in the wordings it was trained on:

{_families_text()}

One of each (⏎ is a line break; more in `examples.json`):

{_examples_text()}

## What it cannot do

It knows nothing else. It cannot chat, has no knowledge of the world, and reads no other language; asked anything outside
these kinds, or with larger numbers, it writes confident nonsense in the same form. It is wrong often, which
leaves rejection sampling something to reject. Its think is the imitation of a worked method, and can hold a wrong step
before a right answer or a "check" that checks nothing. Do not use it for anything but trying Sluice.

"""


def _how_well(accuracy: dict[str, Any]) -> str:
    plan, experts, overall = accuracy["plan"], accuracy["experts"], accuracy["overall"]
    k = f"pass@{plan['samples']}"
    return f"""## Accuracy

On {overall["problems"]} problems from the held-out side of the split (chosen by a hash of the bare problem, whatever its wording: no
training row ever held one of them; seed {plan["seed"]}), {plan["samples"]} samples each at temperature {plan["temperature"]}, top-p
{plan["top_p"]}; a right answer is one that reasoning-gym's scorer gives 1.0, which for sorting tolerates a number off by one.
pass@1 {percent(overall["pass@1"])}, {k} {percent(overall[k])} (unbiased estimator of Chen et al. 2021), greedy
{percent(overall["greedy"])}; "form" is the share of samples in exact R1 form.

{accuracy_table(accuracy)}

pass@1 by difficulty:

{level_table(accuracy)}

Experts: least used {percent(experts["least_share"])} of its layer's assignments (even would be
{percent(experts["even_share"])}); largest load over the mean, less one, by layer:
{", ".join(f"{each:.2f}" for each in experts["max_violation"])}.

"""


def draft_table(mtp: dict[str, Any]) -> str:
    """The MTP's agreement by family as a Markdown table."""
    lines = ["| Family | Guesses | Agreement | Right |", "|---|---|---|---|"]
    rows = [(FAMILIES[name].title, row) for name, row in mtp["families"].items()] + [("**All**", mtp)]
    lines += [f"| {t} | {r['guesses']} | {percent(r['agreement'])} | {percent(r['right'])} |" for t, r in rows]
    return "\n".join(lines)


def _how_drafts(mtp: dict[str, Any], config: dict[str, Any]) -> str:
    layer = f"model.layers.{config['num_hidden_layers']}"
    return f"""## Guessing the token after the next

The MTP, in V3's form and under V3's names (`{layer}.*`), guesses token i + 2 from the model's state at i and token i + 1. It
is for engines that draft with it; those that do not, leave it out, and transformers names its tensors as unexpected. V3's copies of the
embedding and the head (`{layer}.embed_tokens`, `{layer}.shared_head.head`) are not in the file: both are the model's own.

On the worked traces of the same held-out problems, given their own tokens, its likeliest token is the model's likeliest token
("agreement", which is how often a greedy engine could keep the guess) or the trace's ("right"):

{draft_table(mtp)}

Its experts: least used {percent(mtp["least_share"])}; largest load over the mean, less one: {mtp["max_violation"]:.2f}.

"""


def _how_made(config: dict[str, Any], recipe: Recipe, log: list[dict[str, Any]]) -> str:
    return f"""## How it was made

Architecture: {_shape(config)}. Byte-level BPE, every digit a token of its own, DeepSeek's special tokens.

Training: {recipe.steps} steps of {recipe.documents} fresh problems, easy ones first ({log[-1]["tokens"] / 1e6:.1f} million
tokens in all), AdamW {recipe.betas}, weight decay {recipe.weight_decay}, learning rate {recipe.lr} after {recipe.warmup} steps,
along a cosine of {recipe.horizon} steps and over the last {recipe.cooldown} in a line to {recipe.lr * recipe.lr_floor:g},
gradients clipped at {recipe.clip}, loss on completions only, seed {recipe.seed}, tokenizer seed {recipe.tokenizer_seed}.
Experts are balanced by the routing bias alone (step {recipe.bias_rate}), without an auxiliary loss. Last logged loss
{log[-1]["loss"]:.3f} nats a token, of the MTP {log[-1]["mtp_loss"]:.3f}; the MTP's loss is added with weight {recipe.mtp_weight}, from
{percent(recipe.mtp_late_from)} of the run on {recipe.mtp_weight_late}. `recipe.json` holds every number, `train_log.jsonl` the run; `make tiny` runs the recipe again.{_remarks_text(recipe)}

## Licence

Apache-2.0. Training data is generated by reasoning-gym 0.1.25 (Apache-2.0) and the family writers of this repository; no
text of any other model was used.
"""
