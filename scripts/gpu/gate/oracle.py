"""transformers on the same weights: in float32 the oracle, in 16 bits the error that is to be expected of 16 bits."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import torch
from server import Answer, ScoredToken
from transformers import AttentionInterface, AttentionMaskInterface, AutoModelForCausalLM
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask
from transformers.utils import logging

logging.disable_progress_bar()
logging.set_verbosity_error()
torch.backends.cuda.matmul.allow_tf32 = False


def _through_float8(dtype: torch.dtype) -> Callable[[torch.Tensor], torch.Tensor]:
    largest = torch.finfo(dtype).max
    return lambda x: x.clamp(-largest, largest).to(dtype).to(x.dtype)


def _through_int8(x: torch.Tensor) -> torch.Tensor:
    """A scale for each token of each head, kept in float16."""
    scale = (x.abs().amax(dim=-1, keepdim=True) / 127).half().float().clamp_min(1e-7)
    return (torch.round(x.float() / scale).clamp(-127, 127) * scale).to(x.dtype)


# What becomes of keys (rotated) and values in a cache of 8 bits.
KV_DTYPES = {
    "int8": _through_int8,
    "fp8_e4m3": _through_float8(torch.float8_e4m3fn),
    "fp8_e5m2": _through_float8(torch.float8_e5m2),
}


def _attention_over(through: Callable[[torch.Tensor], torch.Tensor]) -> Callable:
    def forward(module, query, key, value, attention_mask, **options):
        return sdpa_attention_forward(module, query, through(key), through(value), attention_mask, **options)

    return forward


for _name, _through in KV_DTYPES.items():
    AttentionInterface.register(_name, _attention_over(_through))
    AttentionMaskInterface.register(_name, sdpa_mask)


class Oracle:
    """
    The model of a directory. `dtype`: of its weights, and of the computation that is not the oracle's; `kv_dtype` (of
    KV_DTYPES, or auto): of keys and values in the latter.
    """

    def __init__(self, directory: Path, dtype: torch.dtype, device: str, kv_dtype: str) -> None:
        self._device = device
        self._exact = self._load(directory, torch.float32, "eager")
        self._rounded = self._load(directory, dtype, "sdpa" if kv_dtype == "auto" else kv_dtype)

    def _load(self, directory: Path, dtype: torch.dtype, attention: str) -> torch.nn.Module:
        model = AutoModelForCausalLM.from_pretrained(directory, dtype=dtype, attn_implementation=attention)
        return model.to(self._device).eval()

    @torch.inference_mode()
    def exact(self, ids: list[int], first: int = 0) -> torch.Tensor:
        """(len(ids) - first, vocab) log-probabilities in float64: row i scores the token after ids[: first + i + 1]."""
        return self._log_probs(self._exact, ids, first)

    @torch.inference_mode()
    def rounded(self, ids: list[int], first: int = 0) -> torch.Tensor:
        """The same in 16 bits."""
        return self._log_probs(self._rounded, ids, first)

    @torch.inference_mode()
    def greedy(self, prompt: list[int], n_tokens: int) -> list[int]:
        """The likeliest continuation in float32."""
        tokens, cache, ids = torch.tensor([prompt], device=self._device), None, []
        for _ in range(n_tokens):
            output = self._exact(tokens, past_key_values=cache, use_cache=True, logits_to_keep=1)
            tokens, cache = output.logits[:, -1].argmax(dim=-1, keepdim=True), output.past_key_values
            ids.append(tokens.item())
        return ids

    def _log_probs(self, model: torch.nn.Module, ids: list[int], first: int) -> torch.Tensor:
        tokens = torch.tensor([ids], device=self._device)
        logits = model(tokens, use_cache=False, logits_to_keep=len(ids) - first).logits[0]
        return torch.log_softmax(logits.double(), dim=-1)


@lru_cache(maxsize=2)
def load_oracle(directory: Path, dtype: torch.dtype, device: str, kv_dtype: str) -> Oracle:
    return Oracle(directory, dtype, device, kv_dtype)


class Errors:
    """Squared errors of log-probabilities beside the oracle's: ours, and of transformers in 16 bits at the same tokens."""

    def __init__(self) -> None:
        self._ours: list[torch.Tensor] = []
        self._theirs: list[torch.Tensor] = []
        self._apart: list[torch.Tensor] = []

    def add(self, scores: list[ScoredToken], exact: torch.Tensor, rounded: torch.Tensor) -> None:
        """Row i of both tensors (n, vocab) belongs to scores[i]."""
        if not scores:
            return
        entries = [[(score.token, score.logprob), *score.top] for score in scores]
        ids = torch.tensor([[id_ for id_, _ in row] for row in entries], device=exact.device)
        ours = torch.tensor([[value for _, value in row] for row in entries], device=exact.device, dtype=exact.dtype)
        truth, theirs = exact.gather(1, ids), rounded.gather(1, ids)
        self._ours.append((ours - truth).square().flatten().cpu())
        self._theirs.append((theirs - truth).square().flatten().cpu())
        self._apart.append((ours - theirs).square().flatten().cpu())

    def __bool__(self) -> bool:
        return bool(self._ours)

    @property
    def ours(self) -> float:
        """Root mean square."""
        return _root_mean(self._ours)

    @property
    def theirs(self) -> float:
        return _root_mean(self._theirs)

    @property
    def ratio(self) -> float:
        return self.ours / self.theirs

    @property
    def apart(self) -> float:
        """What lies between ours and theirs, as a share of theirs: small where both round the same numbers in the same way."""
        return _root_mean(self._apart) / self.theirs


def _root_mean(squares: list[torch.Tensor]) -> float:
    return torch.cat(squares).mean().sqrt().item()


class Comparison:
    """Answers of one model held against the oracle: errors of prompts and of decoded tokens, and how greedy the picks were."""

    def __init__(self, oracle: Oracle) -> None:
        self.prefill, self.decode = Errors(), Errors()
        self.worst_gap = 0.0
        self._oracle = oracle

    def add(self, answer: Answer) -> None:
        """The oracle is fed the answer's own tokens, so that one near tie does not end the comparison."""
        n_prompt = len(answer.prompt)
        first = n_prompt - 1 - len(answer.prompt_scores)
        ids = (answer.prompt + answer.ids)[:-1]
        exact, rounded = self._oracle.exact(ids, first), self._oracle.rounded(ids, first)
        n_scored = len(answer.prompt_scores)
        self.prefill.add(answer.prompt_scores, exact[:n_scored], rounded[:n_scored])
        self.decode.add(answer.scores, exact[n_scored:], rounded[n_scored:])
        self.worst_gap = max(self.worst_gap, *self.gaps(answer, exact[n_scored:]))

    @staticmethod
    def gaps(answer: Answer, exact: torch.Tensor) -> list[float]:
        """By how much each picked token is less likely than the oracle's best."""
        picked = exact.gather(1, torch.tensor(answer.ids, device=exact.device).unsqueeze(1)).squeeze(1)
        return (exact.max(dim=1).values - picked).tolist()
