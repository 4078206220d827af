"""The tiny models of the gate: every architecture, with the head sizes that have kernels of their own and one that has none."""

from __future__ import annotations

import json
from pathlib import Path
from threading import Lock

import torch
from safetensors.torch import save_file
from weights import random_weights

DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16}
# No multiple of anything a kernel may count on.
VOCAB = 4001

BASE = {
    "hidden_act": "silu",
    "hidden_size": 512,
    "intermediate_size": 1376,
    "num_hidden_layers": 4,
    "vocab_size": VOCAB,
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "attention_dropout": 0.0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "tie_word_embeddings": False,
    "use_cache": True,
}


def config(class_name: str, heads: int, kv_heads: int, head_dim: int, **more: object) -> dict:
    model_type = class_name.removesuffix("ForCausalLM").lower()
    shape = {"num_attention_heads": heads, "num_key_value_heads": kv_heads, "head_dim": head_dim}
    return {**BASE, "architectures": [class_name], "model_type": model_type, **shape, **more}


LLAMA3_ROPE = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 256,
}
NO_WINDOW = {"use_sliding_window": False, "sliding_window": None}

MODELS: dict[str, dict] = {
    "llama-gqa-64": config("LlamaForCausalLM", 8, 2, 64, tie_word_embeddings=True),
    "llama-mha-128": config("LlamaForCausalLM", 4, 4, 128, rope_theta=500000.0, rope_scaling=LLAMA3_ROPE),
    "llama-head-80": config("LlamaForCausalLM", 4, 2, 80, hidden_size=320),
    # Windows that end within a block of 16 tokens, and far within the longer prompts.
    "mistral-64": config("MistralForCausalLM", 8, 4, 64, sliding_window=41, tie_word_embeddings=True),
    "mistral-128": config("MistralForCausalLM", 4, 1, 128, sliding_window=150),
    "qwen2-64": config("Qwen2ForCausalLM", 7, 1, 64, hidden_size=448, rms_norm_eps=1e-6, tie_word_embeddings=True, **NO_WINDOW),
    "qwen2-128": config("Qwen2ForCausalLM", 4, 2, 128, rope_theta=1e6, **NO_WINDOW),
    "qwen3-64": config("Qwen3ForCausalLM", 4, 4, 64, hidden_size=384, **NO_WINDOW),
    "qwen3-128": config("Qwen3ForCausalLM", 8, 2, 128, rope_theta=1e6, rms_norm_eps=1e-6, tie_word_embeddings=True, **NO_WINDOW),
    "llama-long": config("LlamaForCausalLM", 8, 2, 64, rope_theta=500000.0, max_position_embeddings=16384),
}


_making = Lock()


def make_model(name: str, dtype: str, root: Path) -> Path:
    """The directory of a model stored in `dtype`, made under `root` unless it is there. From any thread."""
    directory = root / f"{name}-{dtype}"
    with _making:
        if not (directory / "config.json").exists():
            _write_model(name, dtype, directory)
    return directory


def _write_model(name: str, dtype: str, directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    model = MODELS[name]
    weights = random_weights(model, torch.Generator().manual_seed(sum(name.encode())), gain=1.0)
    stored = {key: value.to(DTYPES[dtype]).contiguous() for key, value in weights.items()}
    save_file(stored, directory / "model.safetensors", metadata={"format": "pt"})
    # Written last: it says that the directory is whole.
    (directory / "config.json").write_text(json.dumps({**model, "torch_dtype": dtype}, indent=2) + "\n")


def random_prompt(length: int, seed: int) -> list[int]:
    """Ids that are not special."""
    return torch.randint(3, VOCAB, (length,), generator=torch.Generator().manual_seed(seed)).tolist()
