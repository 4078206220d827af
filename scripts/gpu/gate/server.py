"""A jsg server as a context, and its answers as log-probabilities."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

START_SECONDS = 60
REQUEST_SECONDS = 120
STOP_SECONDS = 15
TOP = 20  # the most the server gives


@dataclass
class ScoredToken:
    """A token of a prompt or an answer, its log-probability, and those of the likeliest in its place."""

    token: int
    logprob: float
    top: list[tuple[int, float]]


@dataclass
class Answer:
    prompt: list[int]
    ids: list[int]
    # Of prompt[1:] (empty unless asked for) and of ids; empty without logprobs.
    prompt_scores: list[ScoredToken]
    scores: list[ScoredToken]


class Server:
    """`command` starts jsg; `args` go to its `launch`. Raises RuntimeError when it does not come up."""

    def __init__(self, command: list[str], args: list[str]) -> None:
        self.args = args
        self._command = [*command, "launch", *args, "--port", "0"]
        self._log = tempfile.NamedTemporaryFile("w+", suffix=".log")
        self.url = ""

    def __enter__(self) -> Server:
        self._process = subprocess.Popen(self._command, stdout=self._log, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            found = re.search(r"served at (http://\S+)", self.log())
            if found:
                self.url = found[1]
                return self
            time.sleep(0.02)
        self._stop()
        raise RuntimeError(f"{' '.join(self._command)} did not come up:\n{self.log()}")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop()

    def log(self) -> str:
        return Path(self._log.name).read_text()

    def _stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def generate(self, prompts: list[list[int]], n_tokens: int, *, logprobs: bool, score_from: int = -1) -> list[Answer]:
        """Greedy answers of exactly n_tokens, all prompts in one request. Prompt tokens from `score_from` (>= 0) are scored."""
        body = {
            "input_ids": prompts,
            "sampling_params": {"temperature": 0, "max_new_tokens": n_tokens, "ignore_eos": True},
        }
        if logprobs:
            body |= {"return_logprob": True, "top_logprobs_num": TOP, "logprob_start_len": score_from}
        answers = self._post("/generate", body)
        return [_answer(prompt, answer) for prompt, answer in zip(prompts, answers, strict=True)]

    def _post(self, path: str, body: object) -> list[dict]:
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=REQUEST_SECONDS) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{path} answered {error.code}: {error.read().decode()}") from error


def _answer(prompt: list[int], answer: dict) -> Answer:
    info = answer["meta_info"]
    # The first token of a prompt has no log-probability.
    return Answer(
        prompt,
        answer["output_ids"],
        [score for score in _scores(info, "input") if score.logprob is not None],
        _scores(info, "output"),
    )


def _scores(info: dict, side: str) -> list[ScoredToken]:
    tokens = info.get(f"{side}_token_logprobs", [])
    tops = info.get(f"{side}_top_logprobs", [])
    return [
        ScoredToken(token, logprob, [(id_, value) for value, id_, _ in top or []])
        for (logprob, token, _), top in zip(tokens, tops, strict=True)
    ]
