"""The same perplexity from transformers, in fp32 over weights that the real TorchAO has quantised (or over none).

usage: torchao_perplexity.py DIRECTORY [int4wo-128 | int8wo ...]

DIRECTORY holds a model in bf16. Every linear layer whose name holds "proj" is replaced by TorchAO's dequantised weight, as
SGLang asks it to quantise them. Needs test/oracle/requirements.txt and torchao==0.9.0.
"""

import gzip
import json
import math
import os
import pathlib
import sys

import torch
from torchao.dtypes import PlainLayout, to_affine_quantized_intx
from torchao.quantization.quant_primitives import MappingType, ZeroPointDomain, dequantize_affine
from transformers import AutoModelForCausalLM, AutoTokenizer

WINDOW = 1024
NUM_WINDOWS = int(os.environ.get("WINDOWS", "50"))
TEXT = pathlib.Path(__file__).parent / "moby-dick.txt.gz"


def quantised(w: torch.Tensor, config: str) -> torch.Tensor:
    """As int4_weight_only(group) and int8_weight_only() call it; fp32 values of the codes, scales and zeros."""
    if config == "int8wo":
        eps = torch.finfo(torch.float32).eps
        q = to_affine_quantized_intx(
            w, MappingType.SYMMETRIC, (1, w.shape[1]), torch.int8, eps=eps, zero_point_dtype=torch.int64
        ).tensor_impl
        return q.int_data.float() * q.scale.float()[:, None]
    group = int(config.split("-")[-1])
    if w.shape[1] % group:
        return w.float()
    q = to_affine_quantized_intx(
        w, MappingType.ASYMMETRIC, (1, group), torch.int32, 0, 15, 1e-6, zero_point_dtype=torch.bfloat16,
        preserve_zero=False, zero_point_domain=ZeroPointDomain.FLOAT, _layout=PlainLayout(),
    ).tensor_impl  # fmt: skip
    domain = ZeroPointDomain.FLOAT
    return dequantize_affine(
        q.int_data, (1, group), q.scale.float(), q.zero_point.float(), torch.int32, 0, 15, zero_point_domain=domain,
        output_dtype=torch.float32,
    )  # fmt: skip


@torch.no_grad()
def perplexity(model, windows: torch.Tensor) -> float:
    total = 0.0
    for window in windows:
        logits = model(window[None]).logits[0, :-1].float()
        total += torch.nn.functional.cross_entropy(logits, window[1:], reduction="sum").item()
    return math.exp(total / (len(windows) * (WINDOW - 1)))


def main(directory: str, configs: list[str]) -> None:
    ids = AutoTokenizer.from_pretrained(directory)(gzip.open(TEXT, "rt").read(), add_special_tokens=False)["input_ids"]
    windows = torch.tensor(ids[: NUM_WINDOWS * WINDOW]).reshape(-1, WINDOW)
    for config in configs or [""]:
        model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.bfloat16)
        weights = {n: m.weight.data for n, m in model.named_modules() if isinstance(m, torch.nn.Linear) and "proj" in n}
        model = model.float().eval()
        for name, weight in weights.items() if config else ():
            model.get_submodule(name).weight.data = quantised(weight.to(torch.bfloat16), config)
        print(json.dumps({"torchao": config, "perplexity": perplexity(model, windows)}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
