"""The parts of the gate: what is served, and what must hold of the answers."""

from __future__ import annotations

import subprocess
import traceback
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from models import DTYPES, MODELS, make_model, random_prompt
from server import Answer, Server

if TYPE_CHECKING:
    from oracle import Comparison, Oracle

T = TypeVar("T")
Case = tuple[str, ...]

# Of transformers' own error in the same number type, root mean square.
MAX_ERROR_RATIO = 1.2
# Two runs that round differently differ by about sqrt(2) of one's error; a pick may fall the other way where the two
# likeliest tokens lie within some deviations of that.
MAX_SPREAD_RATIO = 1.8
NEAR_TIE_DEVIATIONS = 6
# Errors of rounding that come from the same numbers, rounded in the same way, are mostly the same.
MAX_APART = 0.8
SERVERS_AT_A_TIME = 6
# One token, within a block, beyond one span of split KV, beyond several.
PROMPTS = [random_prompt(length, seed) for seed, length in enumerate((1, 61, 300, 700))]
N_TOKENS = 64


class Gate:
    """What the parts share: how to serve, and the count of what held."""

    def __init__(self, command: list[str], device: str, work: Path) -> None:
        self.device = device
        self.n_checks = self.n_failed = 0
        self._command = command
        self._work = work

    @property
    def attention_backends(self) -> list[str]:
        return ["flashinfer", "triton", "torch_native"] if self.device == "cuda" else ["auto"]

    def check(self, ok: bool, text: str) -> None:
        self.n_checks += 1
        self.n_failed += not ok
        print(f"{'ok  ' if ok else 'FAIL'} {text}", flush=True)

    def serve(self, model: str, dtype: str, *args: str) -> Server:
        directory = str(make_model(model, dtype, self._work))
        common = ["--model-path", directory, "--skip-tokenizer-init", "--device", self.device, "--max-total-tokens", "32768"]
        return Server(self._command, [*common, *(("--dtype", dtype) if self.device == "cuda" else ()), *args])

    def has_flag(self, flag: str) -> bool:
        return flag in subprocess.run([*self._command, "launch", "--help"], capture_output=True, text=True).stdout

    def oracle(self, model: str, dtype: str, kv_dtype: str = "auto") -> Oracle:
        from oracle import load_oracle  # imports transformers, which takes seconds: servers start meanwhile

        return load_oracle(make_model(model, dtype, self._work), DTYPES[dtype], self.device, kv_dtype)

    def compare(self, model: str, dtype: str, answers: list[Answer], kv_dtype: str = "auto") -> Comparison:
        from oracle import Comparison

        comparison = Comparison(self.oracle(model, dtype, kv_dtype))
        for answer in answers:
            comparison.add(answer)
        return comparison

    def several(self, cases: Iterable[Case], serve: Callable[..., T], hold: Callable[..., None]) -> None:
        """
        serve(*case) for all cases, some side by side; hold(result, *case) with each one's result, in order, in this thread.
        A case that throws has failed.
        """
        with ThreadPoolExecutor(SERVERS_AT_A_TIME) as pool:
            running = [(case, pool.submit(serve, *case)) for case in cases]
            for case, future in running:
                try:
                    hold(future.result(), *case)
                except Exception:
                    self.check(False, f"{' '.join(case)}:\n{traceback.format_exc()}")


def parting(answer: Answer, ids: list[int]) -> tuple[int, float] | None:
    """Where `ids` leaves a scored answer, and by how much less likely its token is there; None where it does not."""
    assert len(ids) == len(answer.ids)
    for at, (score, token) in enumerate(zip(answer.scores, ids, strict=True)):
        if score.token != token:
            return at, score.logprob - dict(score.top).get(token, float("-inf"))
    return None


def spread(left: Answer, right: Answer) -> float:
    """Root mean square of the differences of log-probabilities, as far as the answers are the same."""
    parts = parting(left, right.ids)
    end = len(left.ids) if parts is None else parts[0] + 1
    pairs = [*zip(left.prompt_scores, right.prompt_scores, strict=True), *zip(left.scores[:end], right.scores[:end])]
    squares = []
    for one, other in pairs:
        others = dict(other.top)
        squares += [(value - others[token]) ** 2 for token, value in one.top if token in others]
    return (sum(squares) / len(squares)) ** 0.5


def hold_errors(gate: Gate, name: str, comparison: Comparison) -> None:
    tie = NEAR_TIE_DEVIATIONS * comparison.decode.theirs
    measured = [(kind, errors) for kind, errors in (("prompts", comparison.prefill), ("decode", comparison.decode)) if errors]
    ok = all(errors.ratio <= MAX_ERROR_RATIO for _, errors in measured) and comparison.worst_gap <= tie
    text = ", ".join(f"{errors.ours:.1e} in {kind} ({errors.ratio:.2f} x transformers')" for kind, errors in measured)
    gate.check(ok, f"{name}: error {text}; picks within {comparison.worst_gap:.1e} of the best (near tie: {tie:.1e})")


def hold_same(gate: Gate, name: str, answers: list[Answer], others: list[Answer], comparison: Comparison) -> None:
    """Equal ids up to near ties; where both are scored, log-probabilities as near as rounding allows."""
    noise = comparison.decode.theirs
    partings = [parting(answer, other.ids) for answer, other in zip(answers, others, strict=True)]
    gaps = [found[1] for found in partings if found is not None]
    spreads = [spread(answer, other) for answer, other in zip(answers, others, strict=True) if other.scores]
    worst_gap, worst_spread = max(gaps, default=0.0), max(spreads, default=0.0)
    text = f"{name}: {len(answers) - len(gaps)} of {len(answers)} answers equal"
    if gaps:
        text += f", the others part at a gap of {worst_gap:.1e} or less"
    if spreads:
        text += f"; log-probabilities within {worst_spread:.1e}, {worst_spread / noise:.2f} x transformers' error"
    gate.check(worst_gap <= NEAR_TIE_DEVIATIONS * noise and worst_spread <= MAX_SPREAD_RATIO * noise, text)


def logits(gate: Gate) -> None:
    """every architecture and number type: error of log-probabilities beside transformers' own, prompts and decoded tokens"""

    def serve(model: str, dtype: str, attention: str) -> tuple[list[Answer], list[Answer]]:
        with gate.serve(model, dtype, "--attention-backend", attention) as server:
            scored = server.generate(PROMPTS, N_TOKENS, logprobs=True, score_from=0)
            return scored, server.generate(PROMPTS, N_TOKENS, logprobs=False)

    def hold(answers: tuple[list[Answer], list[Answer]], model: str, dtype: str, attention: str) -> None:
        name = f"logits {model} {dtype} {attention}"
        scored, plain = answers
        comparison = gate.compare(model, dtype, scored)
        hold_errors(gate, name, comparison)
        hold_same(gate, f"{name}, without log-probabilities", scored, plain, comparison)

    gate.several(product(MODELS, DTYPES, gate.attention_backends), serve, hold)


def batch(gate: Gate) -> None:
    """a request alone against the same one among 8 and among 32, with log-probabilities and without"""
    prompts = [random_prompt(5 + 37 * i % 256, 100 + i) for i in range(32)]
    first = prompts[:8]

    def serve(model: str, dtype: str) -> dict[str, list[Answer]]:
        with gate.serve(model, dtype) as server:
            return {
                "alone": [server.generate([prompt], N_TOKENS, logprobs=True)[0] for prompt in first],
                "alone, plain": [server.generate([prompt], N_TOKENS, logprobs=False)[0] for prompt in first],
                "among 8": server.generate(first, N_TOKENS, logprobs=True),
                "among 8, plain": server.generate(first, N_TOKENS, logprobs=False),
                "among 32": server.generate(prompts, N_TOKENS, logprobs=True)[:8],
                "among 32, plain": server.generate(prompts, N_TOKENS, logprobs=False)[:8],
            }

    def hold(runs: dict[str, list[Answer]], model: str, dtype: str) -> None:
        alone = runs.pop("alone")
        comparison = gate.compare(model, dtype, alone)
        hold_errors(gate, f"batch {model} {dtype}, alone", comparison)
        for run, answers in runs.items():
            hold_same(gate, f"batch {model} {dtype}, {run}", alone, answers, comparison)

    cases = [
        ("llama-gqa-64", "float16"),
        ("llama-mha-128", "bfloat16"),
        ("llama-head-80", "float16"),
        ("mistral-128", "float16"),
        ("qwen2-128", "float16"),
        ("qwen3-128", "bfloat16"),
    ]
    gate.several(cases, serve, hold)


# Long enough for several chunks of the smaller sizes, and not a multiple of any.
CHUNKED_PROMPTS = [random_prompt(length, 200 + length) for length in (1500, 700, 130)]


def chunks(gate: Gate) -> None:
    """prompts in chunks of 64, of 512 and whole"""

    def serve(model: str, dtype: str) -> dict[str, list[Answer]]:
        runs = {}
        for size in ("64", "512", "8192"):
            with gate.serve(model, dtype, "--chunked-prefill-size", size) as server:
                runs[size] = server.generate(CHUNKED_PROMPTS, N_TOKENS, logprobs=True, score_from=0)
        return runs

    def hold(runs: dict[str, list[Answer]], model: str, dtype: str) -> None:
        whole = runs.pop("8192")
        comparison = gate.compare(model, dtype, whole)
        hold_errors(gate, f"chunks {model} {dtype}, whole", comparison)
        for size, answers in runs.items():
            hold_same(gate, f"chunks {model} {dtype}, {size} instead of whole", whole, answers, comparison)

    gate.several([("llama-gqa-64", "float16"), ("mistral-128", "float16"), ("qwen3-128", "bfloat16")], serve, hold)


def graphs(gate: Gate) -> None:
    """decode steps from recorded graphs against steps launched kernel by kernel"""

    if not gate.has_flag("--disable-cuda-graph"):
        print("skip graphs: this jsg has no --disable-cuda-graph; cuda_backend_test compares the two")
        return

    def serve(model: str, dtype: str) -> tuple[list[Answer], list[Answer]]:
        runs = []
        for flags in ([], ["--disable-cuda-graph"]):
            with gate.serve(model, dtype, *flags) as server:
                runs.append(server.generate(PROMPTS, N_TOKENS, logprobs=True))
        return runs[0], runs[1]

    def hold(runs: tuple[list[Answer], list[Answer]], model: str, dtype: str) -> None:
        recorded, launched = runs
        comparison = gate.compare(model, dtype, recorded)
        hold_same(gate, f"graphs {model} {dtype}, on and off", recorded, launched, comparison)

    gate.several([("llama-gqa-64", "float16"), ("llama-mha-128", "bfloat16"), ("mistral-64", "float16")], serve, hold)


def kv(gate: Gate) -> None:
    """KV caches of 8 bits beside transformers with keys and values rounded in the same way"""

    def serve(model: str, dtype: str, kv_dtype: str) -> list[Answer]:
        with gate.serve(model, dtype, "--kv-cache-dtype", kv_dtype) as server:
            return server.generate(PROMPTS, N_TOKENS, logprobs=True, score_from=0)

    def hold(answers: list[Answer], model: str, dtype: str, kv_dtype: str) -> None:
        comparison = gate.compare(model, dtype, answers, kv_dtype)
        name = f"kv {model} {dtype} {kv_dtype}"
        hold_errors(gate, name, comparison)
        if dtype == "bfloat16":
            return  # its own rounding is as coarse as the cache's
        apart = max(comparison.prefill.apart, comparison.decode.apart)
        gate.check(apart <= MAX_APART, f"{name}: {apart:.2f} of that error lies between jsg and transformers")

    models = [("llama-gqa-64", "float16"), ("mistral-128", "float16"), ("mistral-128", "bfloat16"), ("qwen3-128", "float16")]
    kv_dtypes = ["int8", "fp8_e4m3", "fp8_e5m2"]
    gate.several([(*model, kv_dtype) for model in models for kv_dtype in kv_dtypes], serve, hold)


def long(gate: Gate) -> None:
    """a prompt of 7,000 tokens and 64 greedy ones after it, alone and beside a short one"""
    prompt, short = random_prompt(7000, 300), random_prompt(30, 301)

    def serve(model: str, dtype: str, attention: str) -> tuple[list[Answer], list[Answer]]:
        with gate.serve(model, dtype, "--attention-backend", attention) as server:
            alone = server.generate([prompt], N_TOKENS, logprobs=True, score_from=6500)
            return alone, server.generate([short, prompt], N_TOKENS, logprobs=True, score_from=6500)[1:]

    def hold(runs: tuple[list[Answer], list[Answer]], model: str, dtype: str, attention: str) -> None:
        alone, beside = runs
        comparison = gate.compare(model, dtype, alone)
        name = f"long {model} {dtype} {attention}"
        hold_errors(gate, name, comparison)
        expected = gate.oracle(model, dtype).greedy(prompt, N_TOKENS)
        hold_greedy(gate, name, alone[0], expected, comparison)
        hold_same(gate, f"{name}, beside a short one", alone, beside, comparison)

    gate.several(product(["llama-long"], DTYPES, gate.attention_backends), serve, hold)


def hold_greedy(gate: Gate, name: str, answer: Answer, expected: list[int], comparison: Comparison) -> None:
    """Equal ids, up to the first near tie."""
    parts = parting(answer, expected)
    if parts is None:
        gate.check(True, f"{name}: {len(expected)} tokens as transformers in float32")
        return
    at, gap = parts
    ok = gap <= NEAR_TIE_DEVIATIONS * comparison.decode.theirs
    gate.check(ok, f"{name}: {at} tokens as transformers in float32, then parts at a gap of {gap:.1e}")


PARTS: dict[str, Callable[[Gate], None]] = {
    part.__name__: part for part in (logits, batch, chunks, graphs, kv, long)
}
