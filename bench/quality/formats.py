"""Perplexity of SmolLM2 in every format, and its Kullback-Leibler divergence from bf16: what the quality table shows, in a minute on a GPU.

usage: formats.py MODEL.gguf [PART OF A NAME ...]

The weights, dequantised and rounded to bf16, are quantised by the arithmetic that jsg has (TorchAO's in bf16 on load; whole zeros and bf16
scales in checkpoints) and multiplied in fp32 by transformers, over the windows of perplexity.mjs ($WINDOWS, 50). `+-` is the standard error of
the difference from rtn over the windows. Needs test/oracle/requirements.txt.
"""

import gzip
import math
import os
import pathlib
import sys

import torch
from gguf import GGUFReader

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent.parent / "test" / "oracle"))
from smollm2_gguf import load_model, load_tokenizer  # noqa: E402

WINDOW = 1024
NUM_WINDOWS = int(os.environ.get("WINDOWS", "50"))
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
LEAST_SCALE = 1e-8


def bf16(x):
    return x.bfloat16().float()


# --- weights: w (groups, columns) fp32, the values that come out of their codes


def torchao4(w):
    """bf16 arithmetic, zero = smallest + 8 scale, as on load."""
    w = w.bfloat16()
    low, high = w.amin(1, keepdim=True), w.amax(1, keepdim=True)
    scale = ((high - low) / 15).clamp(min=1e-6)
    zero = low + scale * 8
    code = ((w - (zero - scale * 8)) / scale).round().clamp(0, 15)
    return (code.float() - 8) * scale.float() + zero.float()


def torchao8(w):
    w = w.bfloat16()
    scale = (w.abs().amax(1, keepdim=True) / 127.5).clamp(min=2.0**-23)
    return (w * (1.0 / scale)).round().clamp(-128, 127).float() * scale.float()


def rtn8(w):
    scale = bf16(w.abs().amax(1, keepdim=True) / 127).clamp(min=LEAST_SCALE)
    return scale * (w / scale).round().clamp(-127, 127)


def rtn4_grid(w):
    low, high = w.amin(1, keepdim=True).clamp(max=0), w.amax(1, keepdim=True).clamp(min=0)
    scale = bf16((high - low) / 15).clamp(min=LEAST_SCALE)
    return scale, (-low / scale).round().clamp(0, 15)


def on_grid(w, scale, zero):
    return scale * ((w / scale).round() + zero).clamp(0, 15).sub(zero)


def rtn4(w):
    return on_grid(w, *rtn4_grid(w))


def hqq4(w, weight=1.0, norm=2.0, scales=12, least=0.75, most=1.08, zeros=1):
    """The least sum of |w|^weight |error|^norm over scales and zeros around those of rtn (native/model/quantize_offline.cpp)."""
    scale, zero = rtn4_grid(w)
    loss_of = lambda out: ((w - out).abs().pow(norm) * w.abs().pow(weight)).sum(1, keepdim=True)  # noqa: E731
    best = on_grid(w, scale, zero)
    least_loss = loss_of(best)
    for i in range(scales):
        tried_scale = bf16(scale * (least + (most - least) * i / (scales - 1))).clamp(min=LEAST_SCALE)
        for shift in range(-zeros, zeros + 1):
            out = on_grid(w, tried_scale, (zero + shift).clamp(0, 15))
            loss = loss_of(out)
            better = loss < least_loss
            best, least_loss = torch.where(better, out, best), torch.where(better, loss, least_loss)
    return best


# --- activations


def int8_activations(group):
    """A scale for each row and `group` columns (0: all), the last group shorter."""

    def quantise(x):
        columns = x.shape[-1]
        size = group or columns
        y = torch.nn.functional.pad(x, (0, -columns % size)).unflatten(-1, (-1, size))
        scale = (y.abs().amax(-1, keepdim=True) / 127).clamp(min=1e-10)
        return ((y / scale).round() * scale).flatten(-2)[..., :columns]

    return quantise


# --- the model


class Subject:
    def __init__(self, path):
        reader = GGUFReader(path)
        self.model = load_model(reader).to(DEVICE)
        for parameter in self.model.parameters():
            parameter.data = bf16(parameter.data)
        self.model.set_attn_implementation("sdpa")
        self.model.lm_head.weight = torch.nn.Parameter(self.model.lm_head.weight.clone(), requires_grad=False)
        text = gzip.open(HERE / "moby-dick.txt.gz", "rt").read()
        ids = load_tokenizer(reader).encode(text, add_special_tokens=False).ids
        self.windows = torch.tensor(ids[: NUM_WINDOWS * WINDOW]).reshape(-1, WINDOW).to(DEVICE)
        self.linears = {n: m for n, m in self.model.named_modules() if isinstance(m, torch.nn.Linear)}
        self.weights = {name: module.weight.data for name, module in self.linears.items()}
        self.reference = None

    def layers(self):
        return [name for name in self.linears if "proj" in name]

    def score(self, quantise, group, names, activations=None):
        """(loss of each window, mean divergence from bf16); group: columns that share a scale, 0: a row."""
        chosen = [n for n in names if self.weights[n].shape[1] % (group or 1) == 0]
        hooks = []
        if quantise:
            runs = [[n] for n in chosen] if group == 0 else [chosen]
            for run in runs:
                rows = [self.weights[n].reshape(-1, group or self.weights[n].shape[1]) for n in run]
                out = quantise(torch.cat(rows)).split([r.shape[0] for r in rows])
                for name, part in zip(run, out):
                    self.linears[name].weight.data = part.reshape(self.weights[name].shape)
        if activations:
            pre = lambda _, args: (activations(args[0]),)  # noqa: E731
            hooks = [self.linears[n].register_forward_pre_hook(pre) for n in chosen]
        losses, divergences, references = [], [], []
        for i, window in enumerate(self.windows):
            logs = self.model(window[None]).logits[0, :-1].log_softmax(-1)
            losses.append(-logs.gather(1, window[1:, None]).double().mean().item())
            if self.reference is None:
                references.append(logs.half())
            else:
                before = self.reference[i].float()
                divergences.append((before.exp() * (before - logs)).sum(1).double().mean().item())
        if self.reference is None:
            self.reference = references
        for hook in hooks:
            hook.remove()
        for name, module in self.linears.items():
            module.weight.data = self.weights[name]
        return torch.tensor(losses, dtype=torch.float64), sum(divergences) / max(len(divergences), 1)


def rows(subject):
    """(name, group, arguments of score) of every row."""
    layers, head = subject.layers(), ["lm_head"]
    yield "int8wo on load (TorchAO)", 0, (torchao8, 0, layers)
    yield "int8wo checkpoint", 0, (rtn8, 0, layers)
    yield "int8dq", 0, (torchao8, 0, layers, int8_activations(0))
    yield "w8a8 checkpoint", 0, (rtn8, 0, layers, int8_activations(0))
    yield "head int8", 0, (torchao8, 0, head)
    yield "head int4", 64, (torchao4, 64, head)
    for group in (32, 64, 128, 256):
        yield "int4wo checkpoint, rtn", group, (rtn4, group, layers)
        yield "int4wo checkpoint, hqq", group, (hqq4, group, layers)
        yield "int4wo on load (TorchAO)", group, (torchao4, group, layers)
        prompts = int8_activations(min(group, 128))
        yield "int4wo checkpoint, rtn, prompts in int8", group, (rtn4, group, layers, prompts)
    yield "int8wo on load, prompts in int8", 0, (torchao8, 0, layers, int8_activations(128))


@torch.no_grad()
def main(path, parts):
    subject = Subject(path)
    bf16_losses, _ = subject.score(None, 0, [])
    print("weights", "group", "perplexity", "over bf16", "divergence", "over rtn", sep="\t")
    print("bf16", "", f"{math.exp(bf16_losses.mean()):.3f}", sep="\t", flush=True)
    of_rtn = {}
    for name, group, arguments in rows(subject):
        if parts and not any(part in name for part in parts):
            continue
        losses, divergence = subject.score(*arguments)
        over = 100 * math.expm1((losses - bf16_losses).mean())
        cells = [name, group or "row", f"{math.exp(losses.mean()):.3f}", f"{over:+.2f} %", f"{divergence:.5f}"]
        if name.endswith(", rtn"):
            of_rtn[group] = losses
        elif group in of_rtn:
            difference = losses - of_rtn[group]
            error = difference.std() / math.sqrt(len(difference)) if len(difference) > 1 else math.nan
            cells.append(f"{100 * math.expm1(difference.mean()):+.2f} +- {100 * error:.2f} %")
        print(*cells, sep="\t", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
