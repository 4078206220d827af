"""
Greedy continuations of SmolLM2 by transformers in float32 on its dequantised weights.

    python test/oracle/smollm2.py MODEL.gguf       rewrites test/golden/smollm2.json (some minutes)

Each entry: text (as the tokenizer saw it), prompt (ids), ids (64 greedy tokens), second (the runner-up at each step) and
gap (its distance in logits): where the gap is tiny, another implementation may rightly choose the runner-up.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from gguf import GGUFReader

from prompts import CHAT, LONG, PLAIN
from smollm2_gguf import load_model, load_tokenizer

OUTPUT = Path(__file__).resolve().parents[1] / "golden" / "smollm2.json"
NEW_TOKENS = 64
SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"


def chat_text(messages: list[dict[str, str]]) -> str:
    """SmolLM2's chat template, written out: a system message of its own unless the chat brings one."""
    if messages[0]["role"] != "system":
        messages = [{"role": "system", "content": SYSTEM}, *messages]
    turns = [f"<|im_start|>{message['role']}\n{message['content']}<|im_end|>\n" for message in messages]
    return "".join(turns) + "<|im_start|>assistant\n"


@torch.no_grad()
def continue_greedily(model, prompt: list[int]) -> dict[str, list]:
    """Goes on past the end-of-text token: the comparison is of arithmetic, not of stopping."""
    ids, second, gap = [], [], []
    tokens, cache = torch.tensor([prompt]), None
    for _ in range(NEW_TOKENS):
        output = model(tokens, past_key_values=cache, use_cache=True, logits_to_keep=1)
        cache = output.past_key_values
        values, best = output.logits[0, -1].topk(2)
        ids.append(int(best[0]))
        second.append(int(best[1]))
        gap.append(round(float(values[0] - values[1]), 4))
        tokens = best[:1].reshape(1, 1)
    return {"ids": ids, "second": second, "gap": gap}


def main() -> None:
    reader = GGUFReader(sys.argv[1])
    tokenizer, model = load_tokenizer(reader), load_model(reader)
    entries = []
    for source in [*CHAT, *PLAIN, *LONG]:
        text = source if isinstance(source, str) else chat_text(source)
        prompt = tokenizer.encode(text, add_special_tokens=False).ids
        messages = {} if isinstance(source, str) else {"messages": source}
        entry = {**messages, "text": text, "prompt": prompt, **continue_greedily(model, prompt)}
        entries.append(entry)
        print(f"{len(prompt):5} tokens, least gap {min(entry['gap']):.4f}: {tokenizer.decode(entry['ids'])[:80]!r}", flush=True)
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False, separators=(",", ":")) for entry in entries)
    OUTPUT.write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
