"""Small tokenizers built like those of each family: same normaliser, same splits, same kinds of added tokens; a few hundred merges."""

import json
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

# One split for letters, digits (at most three), punctuation and white space, as tiktoken's cl100k has it, which Llama 3 and Qwen2 follow
WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
HAN = "[一-龥぀-ゟ゠-ヿ]+"
CHAT = {
    "deepseek_v1": "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}{{ 'User: ' + m['content'] + '\n\n' }}"
    "{% else %}{{ 'Assistant: ' + m['content'] + eos_token }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}",
    "deepseek_r1": "{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}{% set ns = namespace(system='') %}"
    "{% for m in messages %}{% if m['role'] == 'system' %}{% set ns.system = m['content'] %}{% endif %}{% endfor %}{{ bos_token }}{{ ns.system }}"
    "{% for m in messages %}{% if m['role'] == 'user' %}{{ '<｜User｜>' + m['content'] }}{% elif m['role'] == 'assistant' %}"
    "{{ '<｜Assistant｜>' + m['content'].split('</think>')[-1] + eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<｜Assistant｜><think>\\n' }}{% endif %}",
    "llama3": "{{- bos_token }}\n{%- for m in messages %}\n    {{- '<|start_header_id|>' + m['role'] + '<|end_header_id|>\\n\\n' + m['content'] | trim"
    " + '<|eot_id|>' }}\n{%- endfor %}\n{%- if add_generation_prompt %}\n    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}\n{%- endif %}\n",
    "qwen2": "{%- for m in messages %}\n    {{- '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>' + '\\n' }}\n{%- endfor %}\n"
    "{%- if add_generation_prompt %}\n    {{- '<|im_start|>assistant\\n' }}\n{%- endif %}\n",
}  # fmt: skip
SPECIAL = {  # bos, eos, other control tokens; then added tokens that are not special
    "deepseek_v1": (["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"], ["ø", "ö", "ú"]),
    "deepseek_r1": (["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>"], ["<think>", "</think>", "<｜User｜>", "<｜Assistant｜>"]),
    "llama3": (["<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"], ["<think>", "</think>", "<｜User｜>"]),
    "qwen2": (["<|im_start|>", "<|im_end|>", "<|endoftext|>"], ["<think>", "</think>", "<tool_call>"]),
}  # fmt: skip
FAMILIES = tuple(CHAT)


def splits(family: str) -> pre_tokenizers.PreTokenizer:
    """What stands between text and byte pairs."""
    behind = lambda pattern: pre_tokenizers.Split(Regex(pattern), "isolated")  # noqa: E731
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    if family == "deepseek_v1":
        parts = [behind(p) for p in (r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", HAN)]
        return pre_tokenizers.Sequence([*parts, pre_tokenizers.Digits(individual_digits=True), level])
    if family == "deepseek_r1":
        return pre_tokenizers.Sequence([behind(p) for p in (r"\p{N}{1,3}", HAN, WORDS % "+")] + [level])
    return pre_tokenizers.Sequence([behind(WORDS % ("{1,3}" if family == "llama3" else "")), level])


def build(folder: Path, family: str, texts: list[str], *, template_file: bool = False) -> Path:
    """Train and write one: tokenizer.json, and its template in tokenizer_config.json or in a file of its own."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer, backend.decoder = splits(family), decoders.ByteLevel()
    if family == "qwen2":
        backend.normalizer = normalizers.NFC()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    backend.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=600, initial_alphabet=alphabet, show_progress=False)
    )
    special, plain = SPECIAL[family]
    backend.add_special_tokens(special)
    backend.add_tokens([AddedToken(token, special=False, normalized=False) for token in plain])
    bos, eos = (None, special[1]) if family == "qwen2" else special[:2]
    if bos:  # released ones put it before every text of their own accord
        backend.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", special_tokens=[(bos, backend.token_to_id(bos))]
        )
    backend.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": bos,
        "eos_token": {"content": eos, "__type": "AddedToken"},
    }
    if template_file:
        (folder / "chat_template.jinja").write_text(CHAT[family], encoding="utf-8")
    else:
        settings["chat_template"] = CHAT[family]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder
