"""
Tiny random models of every supported architecture as Hugging Face directories, with the logits transformers gives them.

    python test/oracle/tiny.py        rewrites test/golden/tiny/<name>/
"""

from __future__ import annotations

import json
import shutil
from itertools import count
from pathlib import Path

import torch
from safetensors.torch import save_file

from reference import load_reference, random_prompt, write_golden
from vocabulary import TOKENS, write_tokenizer
from weights import random_weights

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "tiny"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

BASE = {
    "hidden_act": "silu",
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": len(TOKENS),
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "attention_dropout": 0.0,
    "initializer_range": 0.02,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "tie_word_embeddings": False,
    "use_cache": True,
}
LLAMA = {**BASE, "architectures": ["LlamaForCausalLM"], "model_type": "llama", "attention_bias": False, "mlp_bias": False}
# The original context is shorter than the prompt and low_freq_factor so near that each of the 8 frequencies falls into
# another one of the three cases of the scaling.
LLAMA3_SCALING = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32}

MODELS: dict[str, dict] = {
    # Untied head, grouped queries, two shards and an index.
    "llama": {**LLAMA},
    "llama31": {**LLAMA, "tie_word_embeddings": True, "rope_theta": 500.0, "rope_scaling": {**LLAMA3_SCALING, "rope_type": "llama3"}},
    # The spelling transformers 5 writes, and one KV head for all queries.
    "llama31-rope-parameters": {
        **{key: value for key, value in LLAMA.items() if key != "rope_theta"},
        "num_key_value_heads": 1,
        "tie_word_embeddings": True,
        "rope_parameters": {**LLAMA3_SCALING, "rope_type": "llama3", "rope_theta": 500.0},
    },
    "llama-linear-rope": {**LLAMA, "num_hidden_layers": 1, "tie_word_embeddings": True, "rope_scaling": {"type": "linear", "factor": 4.0}},
    # The window is far shorter than the prompt; head_dim is not hidden / heads.
    "mistral": {
        **BASE,
        "architectures": ["MistralForCausalLM"],
        "model_type": "mistral",
        "sliding_window": 8,
        "head_dim": 24,
        "num_key_value_heads": 4,
        "tie_word_embeddings": True,
    },
    # sliding_window is there and switched off, as in every published Qwen2 config.
    "qwen2": {
        **BASE,
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "rms_norm_eps": 1e-6,
        "rope_theta": 1000000.0,
        "use_sliding_window": False,
        "sliding_window": 8,
        "max_window_layers": 2,
    },
    "qwen3": {
        **BASE,
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "head_dim": 32,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1000000.0,
        "attention_bias": False,
        "use_sliding_window": False,
        "sliding_window": None,
        "max_window_layers": 2,
        "tie_word_embeddings": True,
    },
    # No head_dim key, and lm_head.weight stored beside the embeddings although they are tied.
    "llama-bf16": {**LLAMA, "tie_word_embeddings": True},
    "qwen2-f16": {
        **BASE,
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "use_sliding_window": False,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "tie_word_embeddings": True,
    },
}
STORED_DTYPE = {"llama-bf16": "bfloat16", "qwen2-f16": "float16"}


def save_sharded(weights: dict[str, torch.Tensor], directory: Path) -> None:
    """Two shards and the index that names them; a layer's tensors lie in both."""
    names = sorted(weights)
    shards = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, members in shards.items():
        save_file({name: weights[name] for name in members}, directory / file, metadata={"format": "pt"})
    total = sum(weight.numel() * weight.element_size() for weight in weights.values())
    weight_map = {name: file for file, members in shards.items() for name in members}
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")


def build(name: str, config: dict, seed: int) -> bool:
    """One model directory; False when the seed makes a poor test."""
    directory = GOLDEN / name
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    stored = STORED_DTYPE.get(name, "float32")
    dtype_key = "dtype" if "rope_parameters" in config else "torch_dtype"
    (directory / "config.json").write_text(json.dumps({**config, dtype_key: stored}, indent=2) + "\n")
    write_tokenizer(directory)
    weights = random_weights(config, torch.Generator().manual_seed(seed))
    if name == "llama-bf16":
        weights["lm_head.weight"] = weights["model.embed_tokens.weight"].clone()
    weights = {key: value.to(DTYPES[stored]).contiguous() for key, value in weights.items()}
    if name == "llama":
        save_sharded(weights, directory)
    else:
        save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
    return write_golden(directory, load_reference(directory), random_prompt(config["vocab_size"], seed))


if __name__ == "__main__":
    torch.set_num_threads(1)
    for model_name, model_config in MODELS.items():
        next(seed for seed in count(100) if build(model_name, model_config, seed))
