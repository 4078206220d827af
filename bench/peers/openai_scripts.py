"""
The two client scripts of the seed document, run with the official openai package; only base_url differs.

    python bench/peers/openai_scripts.py http://127.0.0.1:30000/v1

Prints what streams, and fails unless each stream came in many pieces and adds up to exactly the non-streamed answer.
"""

from __future__ import annotations

import sys
import time

import openai

QUESTION = "A pizza is divided into 8 slices. If 3 people eat 2 slices each, how many slices are left?"
SCRIPTS = {
    "inference": [{"role": "user", "content": QUESTION}],
    "structured output": [
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "user", "content": "Introduce yourself in JSON briefly."},
    ],
}


def stream_answer(client: openai.Client, request: dict) -> tuple[list[str], float]:
    """The pieces as they arrived, and the seconds to the first."""
    begin, first, pieces = time.perf_counter(), 0.0, []
    response = client.chat.completions.create(**request, stream=True)
    for chunk in response:
        if chunk.choices[0].delta.content:
            first = first or time.perf_counter() - begin
            pieces.append(chunk.choices[0].delta.content)
            print(chunk.choices[0].delta.content, end="", flush=True)
    return pieces, first


def check(client: openai.Client, name: str, messages: list[dict]) -> list[str]:
    """What is wrong with the answers to one script; empty when nothing is."""
    # The documents' model name, whatever is served: a request's model need not match.
    request = {"model": "deepseek-ai/DeepSeek-R1-Distill-Llama-8B", "messages": messages, "temperature": 0, "max_tokens": 500}
    print(f"--- {name}")
    pieces, first = stream_answer(client, request)
    answer = client.chat.completions.create(**request)
    whole = answer.choices[0].message.content
    print(f"\n--- {len(pieces)} pieces, first after {first * 1000:.0f} ms, {answer.usage.completion_tokens} tokens, "
          f"ended by {answer.choices[0].finish_reason}\n")
    faults = []
    if len(pieces) < answer.usage.completion_tokens / 2 or len(pieces) < 5:
        faults.append(f"{name}: {len(pieces)} pieces for {answer.usage.completion_tokens} tokens is no stream")
    if "".join(pieces) != whole:
        faults.append(f"{name}: the stream {''.join(pieces)!r} is not the answer {whole!r}")
    if "\ufffd" in whole:
        faults.append(f"{name}: broken characters in {whole!r}")
    return faults


def main() -> None:
    client = openai.Client(base_url=sys.argv[1], api_key="None")
    faults = [fault for name, messages in SCRIPTS.items() for fault in check(client, name, messages)]
    for fault in faults:
        print(fault, file=sys.stderr)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
