"""Our DeepSeek family in torch: the public face. No web, no database; token ids in, numpy records out."""

from inference.engine import Engine, set_threads
from inference.facts import facts, facts_of
from inference.loader import checkpoint_hash
from inference.records import Completion, Finished, Forward, Routing, SamplingParams, Step
from inference.tokenizer import Tokenizer

__all__ = [
    "Completion",
    "Engine",
    "Finished",
    "Forward",
    "Routing",
    "SamplingParams",
    "Step",
    "Tokenizer",
    "checkpoint_hash",
    "facts",
    "facts_of",
    "set_threads",
]
