"""
llama.cpp through llama-cpp-python's C API, in this process: decode, prefill and parallel streams of one GGUF.

    python bench/peers/llama_cpp_python.py MODEL.gguf        prints one JSON line: tokens a second of each

The calls are those of llama.cpp's own benchmark tools: one llama_decode a step, the next token by argmax over the logits
in place, no text. Flash attention on and off are both measured and the better one counts for each figure.
"""

from __future__ import annotations

import ctypes
import json
import sys
import time
from pathlib import Path

import llama_cpp as lib
import numpy as np

WORKLOAD = json.loads((Path(__file__).parent / "workload.json").read_text())
THREADS = WORKLOAD["threads"]


@lib.llama_log_callback
def silent(_level, _text, _data) -> None:
    """llama.cpp logs to stderr unless told otherwise."""


def prompt(n_tokens: int, stream: int, vocab: int) -> list[int]:
    """The same ids for every contender (see client.mjs): no special tokens, different in each stream."""
    return [1000 + (i * 7919 + stream * 104729) % (vocab - 1000) for i in range(n_tokens)]


class Context:
    """One llama_context and one reusable batch."""

    def __init__(self, model, flash: bool, n_streams: int, tokens_per_stream: int) -> None:
        params = lib.llama_context_default_params()
        params.n_threads = params.n_threads_batch = THREADS
        params.n_seq_max = n_streams
        params.n_ctx = n_streams * (-(-tokens_per_stream // 256) * 256)
        params.n_batch = params.n_ubatch = 512
        params.flash_attn_type = 1 if flash else 0
        self.raw = lib.llama_init_from_model(model, params)
        if not self.raw:
            raise SystemExit("llama.cpp could not create a context")
        self.vocab = lib.llama_vocab_n_tokens(lib.llama_model_get_vocab(model))
        self.batch = lib.llama_batch_init(512, 0, 1)

    def decode(self, rows: list[tuple[int, int, int, bool]]) -> None:
        """rows: (token, position, stream, whether its logits are wanted)."""
        batch = self.batch
        batch.n_tokens = len(rows)
        for i, (token, position, stream, wanted) in enumerate(rows):
            batch.token[i], batch.pos[i], batch.n_seq_id[i] = token, position, 1
            batch.seq_id[i][0], batch.logits[i] = stream, wanted
        if lib.llama_decode(self.raw, batch) != 0:
            raise SystemExit("llama_decode failed")

    def best_token(self, row: int) -> int:
        logits = lib.llama_get_logits_ith(self.raw, row)
        return int(np.ctypeslib.as_array(logits, shape=(self.vocab,)).argmax())

    def clear(self) -> None:
        lib.llama_memory_clear(lib.llama_get_memory(self.raw), True)

    def close(self) -> None:
        lib.llama_batch_free(self.batch)
        lib.llama_free(self.raw)


def prefill_rows(ids: list[int], stream: int) -> list[tuple[int, int, int, bool]]:
    return [(token, i, stream, i == len(ids) - 1) for i, token in enumerate(ids)]


def generate(context: Context, n_streams: int, n_prompt: int, n_new: int) -> float:
    """Tokens a second of all streams together, from the end of the prompts to the last token."""
    context.clear()
    tokens = []
    for stream in range(n_streams):
        context.decode(prefill_rows(prompt(n_prompt, stream, context.vocab), stream))
        tokens.append(context.best_token(-1))
    begin = time.perf_counter()
    for step in range(n_new - 1):
        context.decode([(token, n_prompt + step, stream, True) for stream, token in enumerate(tokens)])
        tokens = [context.best_token(row) for row in range(n_streams)]
    return n_streams * (n_new - 1) / (time.perf_counter() - begin)


def prefill(context: Context, n_prompt: int) -> float:
    context.clear()
    ids = prompt(n_prompt, 0, context.vocab)
    begin = time.perf_counter()
    context.decode(prefill_rows(ids, 0))
    context.best_token(-1)
    return n_prompt / (time.perf_counter() - begin)


def measure(model, flash: bool) -> dict[str, float]:
    spec = WORKLOAD["decode"]
    context = Context(model, flash, 1, max(spec["promptTokens"] + spec["newTokens"], WORKLOAD["prefill"]["promptTokens"]))
    prefill(context, 64)
    figures = {
        "decode": generate(context, 1, spec["promptTokens"], spec["newTokens"]),
        "prefill": max(prefill(context, WORKLOAD["prefill"]["promptTokens"]) for _ in range(2)),
    }
    context.close()
    spec = WORKLOAD["parallel"]
    context = Context(model, flash, spec["streams"], spec["promptTokens"] + spec["newTokens"])
    figures["parallel"] = generate(context, spec["streams"], spec["promptTokens"], spec["newTokens"])
    context.close()
    return figures


def main() -> None:
    lib.llama_log_set(silent, ctypes.c_void_p(0))
    lib.llama_backend_init()
    model = lib.llama_model_load_from_file(sys.argv[1].encode(), lib.llama_model_default_params())
    if not model:
        raise SystemExit(f"llama.cpp could not load {sys.argv[1]}")
    by_flash = {flash: measure(model, flash) for flash in (True, False)}
    best = {name: max(figures[name] for figures in by_flash.values()) for name in by_flash[True]}
    detail = {"flash": by_flash[True], "plain": by_flash[False]}
    print(json.dumps({"name": f"llama.cpp (llama-cpp-python {lib.__version__})", **best, "detail": detail}))
    lib.llama_model_free(model)


if __name__ == "__main__":
    main()
