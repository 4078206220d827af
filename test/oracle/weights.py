"""Random weights for tiny models of each architecture."""

from __future__ import annotations

import torch


def random_weights(config: dict, generator: torch.Generator, gain: float = 1.4) -> dict[str, torch.Tensor]:
    """
    Weights of a Hugging Face config, float32, by their names in a checkpoint; scaled so that attention is neither flat nor
    one-hot and logits spread over several units. `gain`: of each product in a layer; the larger, the sharper is attention
    and the faster do errors of rounding grow (at 1.0 about as in trained models).
    """
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    head_dim = config.get("head_dim", hidden // heads)

    def normal(*shape: int, std: float) -> torch.Tensor:
        return torch.randn(*shape, generator=generator) * std

    def norm(size: int) -> torch.Tensor:
        return 0.5 + torch.rand(size, generator=generator)

    table_std = 2.8 / hidden**0.5
    weights = {"model.embed_tokens.weight": normal(config["vocab_size"], hidden, std=table_std), "model.norm.weight": norm(hidden)}
    if not config["tie_word_embeddings"]:
        weights["lm_head.weight"] = normal(config["vocab_size"], hidden, std=table_std)
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        shapes = {
            "self_attn.q_proj": (heads * head_dim, hidden),
            "self_attn.k_proj": (kv_heads * head_dim, hidden),
            "self_attn.v_proj": (kv_heads * head_dim, hidden),
            "self_attn.o_proj": (hidden, heads * head_dim),
            "mlp.gate_proj": (inner, hidden),
            "mlp.up_proj": (inner, hidden),
            "mlp.down_proj": (hidden, inner),
        }
        for name, shape in shapes.items():
            weights[f"{prefix}{name}.weight"] = normal(*shape, std=gain / shape[1] ** 0.5)
        weights[f"{prefix}input_layernorm.weight"] = norm(hidden)
        weights[f"{prefix}post_attention_layernorm.weight"] = norm(hidden)
        if config["model_type"] == "qwen2":
            for name in ("q", "k", "v"):
                rows = shapes[f"self_attn.{name}_proj"][0]
                weights[f"{prefix}self_attn.{name}_proj.bias"] = normal(rows, std=0.8)
        if config["model_type"] == "qwen3":
            weights[f"{prefix}self_attn.q_norm.weight"] = norm(head_dim)
            weights[f"{prefix}self_attn.k_norm.weight"] = norm(head_dim)
    return weights
