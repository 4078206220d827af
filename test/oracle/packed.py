"""
Tiny models as others quantise them, with the logits of their dequantised weights: compressed-tensors (codes packed by the real
library), AutoAWQ's gemm layout, GPTQ with and without act-order.

    python test/oracle/packed.py      rewrites test/golden/packed/<name>/; needs compressed-tensors==0.15.0.1
"""

from __future__ import annotations

import json
import shutil
from itertools import count
from pathlib import Path

import numpy as np
import torch
from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

from reference import random_prompt, write_golden
from tiny import LLAMA
from vocabulary import write_tokenizer
from weights import random_weights

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "packed"
GROUP = 32
AWQ_ORDER = [0, 2, 4, 6, 1, 3, 5, 7]


def affine(w: torch.Tensor, bits: int, group: int, dtype: torch.dtype, symmetric: bool = False, order=None):
    """Codes (rows, cols), zeros and scales (rows, groups), the group of each column, and the dequantised weight in fp32."""
    rows, cols = w.shape
    index = torch.arange(cols) // group
    if order is not None:
        index = index[torch.argsort(order)]
    top = 2**bits - 1
    codes, zeros, scales = torch.zeros(rows, cols), [], []
    for g in range(cols // group):
        part = w[:, index == g]
        low, high = part.amin(1).clamp(max=0), part.amax(1).clamp(min=0)
        scale = (part.abs().amax(1) / (top // 2) if symmetric else (high - low) / top).to(dtype).float()
        zero = torch.full_like(scale, 2 ** (bits - 1)) if symmetric else (-low / scale).round().clamp(1, top)
        codes[:, index == g] = (part / scale[:, None] + zero[:, None]).round().clamp(0, top)
        zeros.append(zero)
        scales.append(scale)
    zeros, scales = torch.stack(zeros, 1), torch.stack(scales, 1)
    exact = scales[:, index] * (codes - zeros[:, index])
    return codes.to(torch.int32), zeros.to(torch.int32), scales.to(dtype), index.to(torch.int32), exact


def words(values: np.ndarray, axis: int, bits: int, order=None) -> torch.Tensor:
    """Consecutive values along an axis in words of 32 bits, the first (or that of `order`) in the low bits."""
    per_word = 32 // bits
    values = np.moveaxis(values.astype(np.int64), axis, -1)
    values = values.reshape(*values.shape[:-1], -1, per_word)
    packed = sum(values[..., (order or range(per_word))[i]] << (bits * i) for i in range(per_word))
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(packed, -1, axis)).astype(np.uint32).view(np.int32))


def rows_layout(bits, group, symmetric):
    def pack(base, w):
        size = group or w.shape[1]
        codes, zeros, scales, _, exact = affine(w, bits, size, torch.bfloat16, symmetric)
        middle = 2 ** (bits - 1)
        parts = {
            "weight_packed": pack_to_int32((codes - middle).to(torch.int8), bits),
            "weight_scale": scales,
            "weight_shape": torch.tensor(w.shape, dtype=torch.int64),
        }
        if not symmetric:
            parts["weight_zero_point"] = pack_to_int32((zeros - middle).to(torch.int8), bits, packed_dim=0).contiguous()
        return {base + name: value for name, value in parts.items()}, exact

    return pack


def bytes_layout(base, w):
    codes, zeros, scales, _, exact = affine(w, 8, w.shape[1], torch.bfloat16, True)
    return {base + "weight": (codes - 128).to(torch.int8), base + "weight_scale": scales}, exact


def awq_layout(base, w):
    codes, zeros, scales, _, exact = affine(w, 4, GROUP, torch.float16)
    parts = {
        "qweight": words(codes.numpy().T, 1, 4, AWQ_ORDER),
        "qzeros": words(zeros.numpy().T, 1, 4, AWQ_ORDER),
        "scales": scales.T.contiguous(),
    }
    return {base + name: value for name, value in parts.items()}, exact


def gptq_layout(bits, act_order):
    def pack(base, w):
        order = torch.randperm(w.shape[1], generator=torch.Generator().manual_seed(len(base))) if act_order else None
        codes, zeros, scales, index, exact = affine(w, bits, GROUP, torch.float16, order=order)
        parts = {
            "qweight": words(codes.numpy().T, 0, bits),
            "qzeros": words(zeros.numpy().T - 1, 1, bits),
            "scales": scales.T.contiguous(),
            "g_idx": index,
        }
        # Scattered groups are served in 16 bits.
        return {base + name: value for name, value in parts.items()}, exact.half().float() if act_order else exact

    return pack


def compressed(bits, group, symmetric, fmt="pack-quantized"):
    weights = {"num_bits": bits, "type": "int", "symmetric": symmetric, "strategy": "group" if group else "channel", "group_size": group}
    groups = {"group_0": {"targets": ["Linear"], "weights": weights, "input_activations": None, "output_activations": None}}
    return {"quant_method": "compressed-tensors", "format": fmt, "ignore": ["lm_head"], "config_groups": groups}


def gptq(bits, act_order):
    return {"quant_method": "gptq", "bits": bits, "group_size": GROUP, "desc_act": act_order, "sym": False}


FORMATS = {
    "ct-int4-zeros": (compressed(4, GROUP, False), rows_layout(4, GROUP, False)),
    "ct-int4-symmetric": (compressed(4, GROUP, True), rows_layout(4, GROUP, True)),
    "ct-int8-channel": (compressed(8, None, True), rows_layout(8, None, True)),
    "ct-int8-zeros": (compressed(8, GROUP, False), rows_layout(8, GROUP, False)),
    "ct-int-quantized": (compressed(8, None, True, "int-quantized"), bytes_layout),
    "awq": ({"quant_method": "awq", "bits": 4, "group_size": GROUP, "version": "gemm", "zero_point": True}, awq_layout),
    "gptq": (gptq(4, False), gptq_layout(4, False)),
    "gptq-int8": (gptq(8, False), gptq_layout(8, False)),
    "gptq-act-order": (gptq(4, True), gptq_layout(4, True)),
}


def build(name: str, seed: int) -> bool:
    quantization, pack = FORMATS[name]
    directory = GOLDEN / name
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    config = {**LLAMA, "num_hidden_layers": 1, "tie_word_embeddings": True, "torch_dtype": "bfloat16"}
    stored, exact = {}, {}
    for key, weight in random_weights(config, torch.Generator().manual_seed(seed)).items():
        if "proj" in key:
            parts, exact[key] = pack(key.removesuffix("weight"), weight)
            stored |= {part: value.contiguous() for part, value in parts.items()}
        else:
            stored[key] = weight.to(torch.bfloat16)
            exact[key] = stored[key].float()
    save_file(stored, directory / "model.safetensors", metadata={"format": "pt"})
    plain = {**config, "torch_dtype": "float32"}
    (directory / "config.json").write_text(json.dumps(plain) + "\n")
    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(directory), attn_implementation="eager").float().eval()
    model.load_state_dict(exact, strict=False)
    model.tie_weights()
    (directory / "config.json").write_text(json.dumps({**config, "quantization_config": quantization}, indent=2) + "\n")
    write_tokenizer(directory)
    return write_golden(directory, model, random_prompt(config["vocab_size"], seed))


if __name__ == "__main__":
    torch.set_num_threads(1)
    for format_name in FORMATS:
        next(seed for seed in count(100) if build(format_name, seed))
