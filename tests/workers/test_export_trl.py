"""What a trainer makes of our exports: TRL's own SFT preparation on a toy model and tokenizer, both made on the spot.

The model is ours to throw away; what counts is that TRL takes the rows as they are, that the think survives the chat template
into the tokens, and where it says that loss is taken.
"""

import os

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"

from tests.workers.loop import add, make_problems, make_run, r1, sample, work
from tests.workers.test_export import folder_of, made, store  # noqa: F401  # the fixture is used by name
from webapp.curation.models import DatasetVersion, ExportFormat
from webapp.curation.selection_actions import create_selection
from webapp.jobs import actions as jobs
from workers import rejection

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("db", "sent", "store")]
TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}{% if m['role'] == 'assistant' %}<|end|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
ROWS = 4


@pytest.fixture(scope="module")
def tokenizer():
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    raw = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(alphabet)}, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    made = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<|end|>", pad_token="<|pad|>")
    made.add_special_tokens({"additional_special_tokens": ["<|user|>", "<|assistant|>", "<|system|>"]})
    made.chat_template = TEMPLATE
    return made


@pytest.fixture(scope="module")
def model(tokenizer):
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, max_position_embeddings=512,
    )  # fmt: skip
    return LlamaForCausalLM(config)


@pytest.fixture
def version(now):
    problems = make_problems([str(i) for i in range(ROWS)])
    run = make_run(problems)
    add(run, *(sample(p, 0, r1(f"I think: {i} 因为 😀", f"It is {i}.")) for i, p in enumerate(problems)))
    selection = create_selection(
        name="s", recipe={"version": 1, "only_correct": False}, run_ids=[run.pk], dataset="d", by=None, at=now
    )
    work(rejection, jobs.claim(selection.job_id))
    return DatasetVersion.objects.get()


@pytest.mark.filterwarnings("ignore")  # of third parties; what TRL does with the rows is what is looked at
@pytest.mark.parametrize("name", ExportFormat.values)
def test_trl_prepares_and_trains_on_the_rows(version, tokenizer, model, tmp_path, name):
    from datasets import load_dataset
    from trl import SFTConfig, SFTTrainer

    row = made(version, name, version.created_at)
    kind = "json" if name.endswith("jsonl") else "parquet"
    rows = load_dataset(
        kind, data_files=str(folder_of(row) / row.files[0]["name"]), split="train", cache_dir=str(tmp_path / "cache")
    )
    args = SFTConfig(
        output_dir=str(tmp_path / "out"), max_steps=1, per_device_train_batch_size=2, report_to="none", use_cpu=True, bf16=False,
        save_strategy="no", max_length=512, gradient_checkpointing=False, disable_tqdm=True,
    )  # fmt: skip
    trainer = SFTTrainer(model=model, args=args, train_dataset=rows, processing_class=tokenizer)
    prepared = trainer.train_dataset
    assert len(prepared) == ROWS
    texts = [tokenizer.decode(ids) for ids in prepared["input_ids"]]
    for i in range(ROWS):
        whole = f"<|user|>What is thing {i}?<|assistant|><think>\nI think: {i} 因为 😀\n</think>\n\nIt is {i}.<|end|>"
        assert whole in texts
    if name.startswith("cold"):
        for labels in prepared["labels"]:
            learned = tokenizer.decode([token for token in labels if token != -100])
            assert learned.startswith("<think>\nI think: ")
            assert learned.endswith(".<|end|>")
    assert trainer.train().training_loss > 0
