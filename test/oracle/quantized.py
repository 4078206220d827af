"""
What the real compressed-tensors, by way of transformers, reads of a checkpoint that `jsg quantize` wrote: every matrix, beside
the model that it was made from.

    python test/oracle/quantized.py ORIGINAL QUANTISED     prints ||W - W'|| / ||W|| as the model card states it, and one answer

Dequantised while loading: compressed-tensors 0.18 to 0.20.1 expect zero points as they are before they pack them themselves, and
so refuse every asymmetric pack-quantized checkpoint that is to stay packed.
"""

import sys

import torch
from transformers import AutoModelForCausalLM, CompressedTensorsConfig
from transformers.utils import logging

logging.disable_progress_bar()


@torch.no_grad()
def main(original: str, quantised: str) -> None:
    before = AutoModelForCausalLM.from_pretrained(original, dtype=torch.float32)
    after = AutoModelForCausalLM.from_pretrained(
        quantised, dtype=torch.float32, quantization_config=CompressedTensorsConfig(dequantize=True)
    )
    ids = torch.tensor([[504, 3575, 282, 4649, 314]])  # SmolLM2: "The capital of France is"
    print("next token:", after(ids).logits[0, -1].argmax().item(), "before:", before(ids).logits[0, -1].argmax().item())
    difference = norm = changed = 0.0
    for name, module in before.named_modules():
        if not isinstance(module, torch.nn.Linear):
            continue
        w = after.get_submodule(name).weight.float()
        if torch.equal(w, module.weight):
            continue
        difference += (w - module.weight).double().square().sum().item()
        norm += module.weight.double().square().sum().item()
        changed += 1
    print(f"{int(changed)} matrices changed, ||W - W'|| / ||W|| = {100 * (difference / norm) ** 0.5:.2f} %")


if __name__ == "__main__":
    main(*sys.argv[1:])
