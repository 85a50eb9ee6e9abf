"""The dataset card of an export: README.md with YAML front matter that dataset hubs and `datasets.load_dataset` read.

Names in it come from people and files, so each is written as inline code on one line. Left out: judging whether licences
allow a use; the card lists them.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from workers.formats.write_sft import Form

_HUB_LICENCES = {
    "apache-2.0": "apache-2.0", "mit": "mit", "bsd-3-clause": "bsd-3-clause", "cc0-1.0": "cc0-1.0", "cc-by-4.0": "cc-by-4.0",
    "cc-by-sa-4.0": "cc-by-sa-4.0", "cc-by-nc-4.0": "cc-by-nc-4.0", "odc-by": "odc-by",
}  # fmt: skip
_SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)


def card(manifest: Mapping[str, Any], form: Form, *, data_file: str, inner_tags: int) -> str:
    """The card of a dataset version (its manifest) written in a form; `inner_tags`: rows that hold a think tag as text."""
    parts = [
        _front_matter(manifest, data_file),
        f"# {_code(manifest['dataset'])}, version {manifest['version']}\n",
        _summary(manifest, form, inner_tags),
        _loading(form, data_file),
        _recipe(manifest),
        _funnel(manifest["funnel"]),
        _origins(manifest),
        _files(manifest, data_file),
    ]
    return "\n".join(parts)


def _front_matter(manifest: Mapping[str, Any], data_file: str) -> str:
    """YAML, whose scalars are written as JSON strings: those mean the same in both and nothing in them can end them."""
    known = [_HUB_LICENCES.get(name.lower()) for name in manifest["licences"]]
    languages = manifest["recipe"].get("languages") or []
    lines = [
        "---",
        f"pretty_name: {json.dumps(manifest['dataset'])}",
        f"license: {known[0] if len(known) == 1 and known[0] else 'other'}",
        *([] if len(known) == 1 and known[0] else ["license_name: see-below"]),
        *([f"language: {json.dumps(languages)}"] if languages else []),
        'task_categories: ["text-generation"]',
        'tags: ["reasoning", "chain-of-thought", "rejection-sampling", "sluice"]',
        f"size_categories: {json.dumps([next((name for limit, name in _SIZES if manifest['rows'] < limit), 'n>10M')])}",
        f'configs: [{{"config_name": "default", "data_files": [{{"split": "train", "path": {json.dumps(data_file)}}}]}}]',
        "---",
        "",
    ]
    return "\n".join(lines)


def _summary(manifest: Mapping[str, Any], form: Form, inner_tags: int) -> str:
    tokens = manifest.get("completion_tokens")
    counts = [
        f"- {manifest['rows']:,} rows over {manifest['problems']:,} problems",
        f"- {manifest['think_chars']:,} characters of think, {manifest['answer_chars']:,} of answer",
        *([f"- {tokens:,} completion tokens, counted by the models that wrote them"] if tokens is not None else []),
        f"- content hash of the frozen rows: `{manifest['content_hash']}`",
        f"- drawn by Sluice {manifest['sluice_version']} on {manifest['created']}",
    ]
    text = "\n".join([form.words, "", *counts, ""])
    if inner_tags:
        text += f"\n{inner_tags:,} rows hold a think tag as text inside think or answer; a reader that splits at tags may split them wrongly.\n"
    return text


def _loading(form: Form, data_file: str) -> str:
    kind = "json" if form.file_type == "jsonl" else "parquet"
    lines = [
        "## Loading", "", "```python", "from datasets import load_dataset",
        f'rows = load_dataset("{kind}", data_files="{data_file}", split="train")', "```", "",
        ("- **TRL**: pass the rows to `SFTTrainer`. Some chat templates cut everything before `</think>` out of assistant messages "
        "(DeepSeek-R1's own does); train with one that keeps it, and look at a tokenised row first."),
    ]  # fmt: skip
    if "messages" in form.schema.names:
        lines += [
            (
                '- **LLaMA-Factory**: `"formatting": "sharegpt", "columns": {"messages": "messages"}` and the tags `role`, `content`, `user`, '
                "`assistant`, `system` in `dataset_info.json`."
            ),
            "- **axolotl**: `type: chat_template`, `field_messages: messages`, and `split_thinking: true` for templates that take the think apart.",
        ]
    return "\n".join([*lines, ""])


def _recipe(manifest: Mapping[str, Any]) -> str:
    lines = ["## How the rows were chosen", "", *(f"- {words}" for words in manifest["recipe_in_words"]), ""]
    return "\n".join([*lines, "The recipe as a document is in `manifest.json`.", ""])


def _funnel(funnel: Iterable[Mapping[str, Any]]) -> str:
    lines = ["| step | problems left | traces left | rejected | why |", "|---|---:|---:|---:|---|"]
    for step in funnel:
        why = ", ".join(f"{name} {count:,}" for name, count in step.get("reasons", {}).items())
        lines.append(
            f"| {_cell(step['step'])} | {step['problems']:,} | {step['traces']:,} | {step.get('rejected', 0):,} | {_cell(why)} |"
        )
    return "\n".join([*lines, ""])


def _origins(manifest: Mapping[str, Any]) -> str:
    lines = ["## Where the rows come from", ""]
    for title, counts in (
        ("Models", manifest["models"]),
        ("Sources", manifest["sources"]),
        ("Licences of the sources", manifest["licences"]),
    ):
        shown = ", ".join(f"{_code(name) if name else 'not stated'} ({count:,} rows)" for name, count in counts.items())
        lines.append(f"- {title}: {shown}")
    verifiers = (
        f"{_code(v['verifier'] or 'none')} {_code(v['version'])} said {v['verdict']} of {v['rows']:,} rows"
        for v in manifest["verifiers"]
    )
    lines.append(f"- Verified: {', '.join(verifiers)}")
    lines += [
        f"- Run {_code(parent['name'])}: {_code(json.dumps(parent['sampling'], ensure_ascii=False))}"
        for parent in manifest["parents"]
    ]
    return "\n".join([*lines, ""])


def _files(manifest: Mapping[str, Any], data_file: str) -> str:
    rule = f"The content hash is {manifest['hash_rule']}; the frozen rows have more columns than this export."
    return "\n".join(
        [
            "## Files",
            "",
            f"- `{data_file}`: the rows",
            "- `manifest.json`: all of the above for programs, with the size and SHA-256 of the rows' file",
            "",
            rule,
            "",
        ]
    )


def _code(text: str) -> str:
    """Text as inline code: on one line, without the character that would end it, never empty."""
    return f"`{' '.join(str(text).replace('`', chr(0x2018)).split()) or ' '}`"


def _cell(text: str) -> str:
    return " ".join(str(text).replace("|", "\\|").replace("<", "&lt;").split())
