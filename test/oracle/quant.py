"""
Tiny GGUF models whose linear weights have each storage type, with the logits of their dequantised weights.

    python test/oracle/quant.py       rewrites test/golden/gguf/<name>/

The gguf package quantises the simple types. It only dequantises the K-quants, so those are random blocks: every byte
pattern is a valid block, and scales are set so that the weights come out with the spread asked for.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from itertools import count
from pathlib import Path

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Q
from safetensors.torch import save_file

from reference import load_reference, random_prompt, write_golden
from tiny import BASE, LLAMA, LLAMA3_SCALING
from vocabulary import CHAT_TEMPLATE, MERGES, SPECIAL, TOKENS

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "gguf"

# Odd numbers of 32-element blocks a row, three query heads to one KV head.
SMALL = {**LLAMA, "hidden_size": 96, "intermediate_size": 160, "num_attention_heads": 3, "num_key_value_heads": 1, "tie_word_embeddings": True}
# One 256-element block a row.
LARGE = {**SMALL, "hidden_size": 256, "intermediate_size": 256, "num_attention_heads": 8, "num_hidden_layers": 1}
PLAIN = {**LLAMA, "num_hidden_layers": 1, "tie_word_embeddings": True}

# Name -> (config, types): types maps a GGUF tensor name (without `blk.N.` and `.weight`) to its type, "*" all others.
MODELS: dict[str, tuple[dict, dict[str, Q]]] = {
    **{t.name.lower(): (PLAIN, {"*": t}) for t in (Q.F32, Q.F16, Q.BF16)},
    **{t.name.lower(): (SMALL, {"*": t}) for t in (Q.Q4_0, Q.Q4_1, Q.Q5_0, Q.Q5_1, Q.Q8_0)},
    **{t.name.lower(): (LARGE, {"*": t}) for t in (Q.Q4_K, Q.Q5_K, Q.Q6_K)},
    # As Q4_K_M files are: types differ within a layer; two 256-element blocks a row in ffn_down; an untied Q6_K head.
    "q4_k_m": (
        {**LARGE, "intermediate_size": 512, "tie_word_embeddings": False},
        {"*": Q.Q4_K, "attn_v": Q.Q6_K, "ffn_down": Q.Q6_K, "ffn_gate": Q.Q5_K, "output": Q.Q6_K},
    ),
    # Llama 3.1's frequency divisors come as the tensor rope_freqs.weight.
    "llama31": (
        {**PLAIN, "rope_theta": 500.0, "rope_scaling": {**LLAMA3_SCALING, "rope_type": "llama3"}},
        {"*": Q.F16},
    ),
    # Rows of q and k lie in Hugging Face's order for these two.
    "qwen2": ({**BASE, "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "use_sliding_window": False}, {"*": Q.F16}),
    "qwen3": (
        {**BASE, "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "head_dim": 32, "num_hidden_layers": 1},
        {"*": Q.F16},
    ),
}
PRE_TOKENIZER = {"llama31": "llama-bpe", "qwen2": "qwen2", "qwen3": "qwen2"}


def random_blocks(dtype: Q, rows: int, columns: int, std: float, rng: np.random.Generator) -> np.ndarray:
    """(rows, bytes of a row) uint8: random K-quant blocks whose values have about the given standard deviation."""
    elements, size = gguf.GGML_QUANT_SIZES[dtype]
    blocks = rng.integers(0, 256, (rows * columns // elements, size), dtype=np.uint8)
    scale = rng.uniform(0.5, 1.5, len(blocks))

    def set_scales(factor: float) -> np.ndarray:
        d = (scale * factor).astype("<f2").view(np.uint8).reshape(-1, 2)
        if dtype == Q.Q6_K:
            blocks[:, -2:] = d
        else:
            # The mean of q * scale is half its range times the mean of the minimums': this centres the values at 0.
            largest = 15 if dtype == Q.Q4_K else 31
            blocks[:, 0:2] = d
            blocks[:, 2:4] = (scale * factor * largest / 2).astype("<f2").view(np.uint8).reshape(-1, 2)
        return gguf.quants.dequantize(blocks, dtype)

    set_scales(std / set_scales(1.0).std())
    return blocks.reshape(rows, -1)


def stored(dtype: Q, rows: int, columns: int, std: float, rng: np.random.Generator) -> np.ndarray:
    """A random matrix in its stored form."""
    if dtype in (Q.Q4_K, Q.Q5_K, Q.Q6_K):
        return random_blocks(dtype, rows, columns, std, rng)
    return gguf.quants.quantize(rng.normal(0, std, (rows, columns)).astype(np.float32), dtype)


def unpermuted(weight: np.ndarray, heads: int) -> np.ndarray:
    """GGUF's row order of llama's q and k (pairs beside each other) to Hugging Face's (halves beside each other)."""
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def llama3_divisors(config: dict) -> np.ndarray:
    """(head_dim / 2) float32, what llama.cpp divides each rotary frequency by (Llama 3.1's scaling)."""
    scaling = config["rope_scaling"]
    head_dim = config["hidden_size"] // config["num_attention_heads"]
    wavelength = 2 * np.pi * config["rope_theta"] ** (np.arange(0, head_dim, 2) / head_dim)
    turns = scaling["original_max_position_embeddings"] / wavelength
    span = scaling["high_freq_factor"] - scaling["low_freq_factor"]
    smooth = np.clip((turns - scaling["low_freq_factor"]) / span, 0, 1)
    return (1 / ((1 - smooth) / scaling["factor"] + smooth)).astype(np.float32)


def tensors_of(config: dict, types: dict[str, Q], rng: np.random.Generator):
    """Yields (GGUF name, type, stored bytes, Hugging Face name, float32 weights) of a model."""
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    head_dim = config.get("head_dim", hidden // heads)
    kind = config["model_type"]

    def matrix(name: str, hf: str, rows: int, columns: int, std: float, permuted_heads: int = 0):
        key = name.split(".")[-1]
        dtype = types.get(key, types["*"])
        data = stored(dtype, rows, columns, std, rng)
        weight = gguf.quants.dequantize(data, dtype).reshape(rows, columns).astype(np.float32)
        return f"{name}.weight", dtype, data, f"{hf}.weight", unpermuted(weight, permuted_heads) if permuted_heads else weight

    def vector(name: str, hf: str, values: np.ndarray):
        values = values.astype(np.float32)
        return name, Q.F32, values, hf, values

    def norm(name: str, hf: str, size: int):
        return vector(f"{name}.weight", f"{hf}.weight", rng.uniform(0.5, 1.5, size))

    yield matrix("token_embd", "model.embed_tokens", config["vocab_size"], hidden, 2.8 / hidden**0.5)
    yield norm("output_norm", "model.norm", hidden)
    if not config["tie_word_embeddings"]:
        yield matrix("output", "lm_head", config["vocab_size"], hidden, 2.8 / hidden**0.5)
    for layer in range(config["num_hidden_layers"]):
        blk, hf = f"blk.{layer}.", f"model.layers.{layer}."
        attention = {"q": heads, "k": kv_heads, "v": kv_heads}
        for letter, n_heads in attention.items():
            rows = n_heads * head_dim
            permuted = n_heads if kind == "llama" and letter != "v" else 0
            yield matrix(f"{blk}attn_{letter}", f"{hf}self_attn.{letter}_proj", rows, hidden, 1.4 / hidden**0.5, permuted)
            if kind == "qwen2":
                yield vector(f"{blk}attn_{letter}.bias", f"{hf}self_attn.{letter}_proj.bias", rng.normal(0, 0.8, rows))
            if kind == "qwen3" and letter != "v":
                yield norm(f"{blk}attn_{letter}_norm", f"{hf}self_attn.{letter}_norm", head_dim)
        yield matrix(f"{blk}attn_output", f"{hf}self_attn.o_proj", hidden, heads * head_dim, 1.4 / (heads * head_dim) ** 0.5)
        yield matrix(f"{blk}ffn_gate", f"{hf}mlp.gate_proj", inner, hidden, 1.4 / hidden**0.5)
        yield matrix(f"{blk}ffn_up", f"{hf}mlp.up_proj", inner, hidden, 1.4 / hidden**0.5)
        yield matrix(f"{blk}ffn_down", f"{hf}mlp.down_proj", hidden, inner, 1.4 / inner**0.5)
        yield norm(f"{blk}attn_norm", f"{hf}input_layernorm", hidden)
        yield norm(f"{blk}ffn_norm", f"{hf}post_attention_layernorm", hidden)


def write_metadata(writer: gguf.GGUFWriter, name: str, config: dict) -> None:
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    head_dim = config.get("head_dim", hidden // heads)
    writer.add_name(f"tiny {name}")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(hidden)
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_theta"])
    if config["model_type"] == "llama":
        writer.add_vocab_size(config["vocab_size"])
        writer.add_rope_dimension_count(head_dim)
    if head_dim != hidden // heads:
        writer.add_key_length(head_dim)
        writer.add_value_length(head_dim)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(PRE_TOKENIZER.get(name, "smollm"))
    writer.add_token_list(TOKENS)
    writer.add_token_types([gguf.TokenType.CONTROL] * len(SPECIAL) + [gguf.TokenType.NORMAL] * (len(TOKENS) - len(SPECIAL)))
    writer.add_token_merges([" ".join(pair) for pair in MERGES])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)


def build(name: str, config: dict, types: dict[str, Q], seed: int) -> bool:
    """One model file; False when the seed makes a poor test."""
    directory = GOLDEN / name
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    writer = gguf.GGUFWriter(directory / "model.gguf", config["model_type"])
    if name == "q4_k_m":
        writer.add_custom_alignment(64)
    write_metadata(writer, name, config)
    weights = {}
    if "rope_scaling" in config:
        writer.add_tensor("rope_freqs.weight", llama3_divisors(config))
    for gguf_name, dtype, data, hf_name, weight in tensors_of(config, types, np.random.default_rng(seed)):
        writer.add_tensor(gguf_name, data, raw_dtype=dtype)
        weights[hf_name] = torch.from_numpy(np.ascontiguousarray(weight))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "config.json").write_text(json.dumps(config))
        save_file(weights, Path(scratch) / "model.safetensors", metadata={"format": "pt"})
        return write_golden(directory, load_reference(Path(scratch)), random_prompt(config["vocab_size"], seed))


if __name__ == "__main__":
    torch.set_num_threads(1)
    for model_name, (model_config, model_types) in MODELS.items():
        next(seed for seed in count(200) if build(model_name, model_config, model_types, seed))
