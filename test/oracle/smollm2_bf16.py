"""SmolLM2's dequantised weights, rounded to bf16, as a Hugging Face directory: what the quality table quantises.

usage: smollm2_bf16.py FILE.gguf DIRECTORY
"""

import sys

import torch
from gguf import GGUFReader
from smollm2_gguf import load_model, load_tokenizer
from transformers import PreTrainedTokenizerFast


def main(path: str, directory: str) -> None:
    reader = GGUFReader(path)
    load_model(reader).to(torch.bfloat16).save_pretrained(directory)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=load_tokenizer(reader), bos_token="<|im_start|>", eos_token="<|im_end|>"
    )
    tokenizer.save_pretrained(directory)


if __name__ == "__main__":
    main(*sys.argv[1:])
