"""The reference every golden file comes from: transformers, eager attention, float32, no KV cache tricks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForCausalLM
from transformers.utils import logging

logging.disable_progress_bar()

PROMPT_TOKENS = 40
GREEDY_TOKENS = 24
# A greedy step whose two likeliest tokens are nearer than this is no fair test of another implementation.
MIN_GAP = 0.02
# Nor is a continuation that repeats itself much of one.
MIN_DISTINCT = 10


def load_reference(directory: Path) -> torch.nn.Module:
    """The model of a Hugging Face directory, its weights widened to float32."""
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager")
    return model.eval()


@torch.no_grad()
def logits_of(model: torch.nn.Module, ids: list[int]) -> np.ndarray:
    """(len(ids), vocab) float32: row i scores the token after ids[: i + 1]."""
    return model(torch.tensor([ids]), use_cache=False).logits[0].numpy().astype(np.float32)


def greedy(model: torch.nn.Module, prompt: list[int], n_tokens: int) -> tuple[list[int], float]:
    """The greedy continuation, recomputed in full each step, and the smallest gap between its two best logits."""
    ids, smallest = list(prompt), float("inf")
    for _ in range(n_tokens):
        last = logits_of(model, ids)[-1]
        second, first = np.argsort(last)[-2:]
        smallest = min(smallest, float(last[first] - last[second]))
        ids.append(int(first))
    return ids[len(prompt) :], smallest


def random_prompt(vocab_size: int, seed: int) -> list[int]:
    return np.random.default_rng(seed).integers(3, vocab_size, PROMPT_TOKENS).tolist()


def write_golden(directory: Path, model: torch.nn.Module, prompt: list[int]) -> bool:
    """
    Writes the golden of a model, or returns False when its greedy path has a near tie or says little (the caller takes another seed).
    golden.json: {prompt, greedy, gap, vocab}; logits.f32: (len(prompt) + len(greedy) - 1, vocab) little-endian float32, the
    logits at every position of the prompt and of its greedy continuation.
    """
    continuation, gap = greedy(model, prompt, GREEDY_TOKENS)
    if gap < MIN_GAP or len(set(continuation)) < MIN_DISTINCT:
        return False
    logits = logits_of(model, prompt + continuation[:-1])
    logits.astype("<f4").tofile(directory / "logits.f32")
    golden = {"prompt": prompt, "greedy": continuation, "gap": round(gap, 4), "vocab": logits.shape[1]}
    (directory / "golden.json").write_text(json.dumps(golden) + "\n")
    spread = float(np.std(logits))
    print(f"{directory.name:24} std of logits {spread:5.2f}  distinct greedy {len(set(continuation)):2}  least gap {gap:.3f}")
    return True
