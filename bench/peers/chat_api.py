"""
/v1/chat/completions and /v1/completions with the official openai package and its helpers, every object held against its types.

    python bench/peers/chat_api.py http://127.0.0.1:30000/v1 [API_KEY]

Prints one line a check, and fails if any is wrong.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Literal

import openai
from checks import run_checks
from openai.types import Completion, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import BaseModel, Field

QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
KEY = sys.argv[2] if len(sys.argv) > 2 else "none"
client = openai.OpenAI(base_url=sys.argv[1], api_key=KEY, max_retries=0)


class City(BaseModel):
    name: str = Field(max_length=20)
    country: Literal["France", "Italy"]
    inhabitants: int


class GetWeather(BaseModel):
    """The weather of a city"""

    city: str = Field(max_length=20)
    unit: Literal["celsius", "fahrenheit"]


def ask(**request) -> ChatCompletion:
    raw = client.chat.completions.with_raw_response.create(**{"model": "any", "messages": QUESTION, "temperature": 0, "max_tokens": 30, **request})
    assert raw.headers["content-type"].startswith("application/json")
    return ChatCompletion.model_validate_json(raw.text)


def chunks(**request) -> list[ChatCompletionChunk]:
    asked = {"model": "any", "messages": QUESTION, "temperature": 0, "max_tokens": 30, **request}
    found = [ChatCompletionChunk.model_validate(chunk.model_dump()) for chunk in client.chat.completions.create(**asked, stream=True)]
    assert len({chunk.id for chunk in found}) == 1 and len({chunk.created for chunk in found}) == 1
    return found


def text_of(found: list[ChatCompletionChunk], index: int = 0) -> str:
    return "".join(choice.delta.content or "" for chunk in found for choice in chunk.choices if choice.index == index)


def refused(param: str, call, **request) -> None:
    try:
        call(**{"model": "any", **request})
    except openai.BadRequestError as error:
        assert error.param == param and error.type == "invalid_request_error", error.body
        return
    raise AssertionError(f"{param} was not refused")


def check_models() -> None:
    (model,) = client.models.list().data
    assert Model.model_validate(model.model_dump()).object == "model"
    assert client.models.retrieve(model.id).id == model.id
    try:
        client.models.retrieve("another/model")
    except openai.NotFoundError as error:
        assert error.code == "model_not_found", error.body
    else:
        raise AssertionError("a model that is not there")


def check_choices() -> None:
    answer = ask(n=3, temperature=1, seed=7)
    found = chunks(n=3, temperature=1, seed=7, stream_options={"include_usage": True})
    assert [choice.message.content for choice in answer.choices] == [text_of(found, index) for index in range(3)]
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert found[-1].choices == [] and found[-1].usage.completion_tokens == answer.usage.completion_tokens
    assert all(chunk.usage is None for chunk in found[:-1])


def check_logprobs() -> None:
    choice = ask(logprobs=True, top_logprobs=3).choices[0]
    scored = choice.logprobs.content
    # All but the token that stopped it are its text, byte for byte.
    assert b"".join(bytes(each.bytes) for each in scored).decode() == choice.message.content
    assert all(each.top_logprobs[0].logprob == each.logprob and len(each.top_logprobs) == 3 for each in scored)
    streamed = [each for chunk in chunks(logprobs=True, top_logprobs=3) for each in (chunk.choices[0].logprobs.content if chunk.choices[0].logprobs else [])]
    assert [each.token for each in streamed] == [each.token for each in scored]


def check_stop() -> None:
    whole = ask().choices[0].message.content
    stop = whole[len(whole) // 2 : len(whole) // 2 + 4]
    stopped = ask(stop=[stop]).choices[0]
    assert stopped.message.content == whole[: whole.index(stop)] and stopped.finish_reason == "stop"
    assert text_of(chunks(stop=stop)) == stopped.message.content


def check_parse() -> None:
    parsed = client.chat.completions.parse(model="any", messages=QUESTION, response_format=City, temperature=0, max_tokens=200)
    assert isinstance(parsed.choices[0].message.parsed, City), parsed


def check_parse_cut() -> None:
    try:
        client.chat.completions.parse(model="any", messages=QUESTION, response_format=City, temperature=0, max_tokens=3)
    except openai.LengthFinishReasonError:
        return
    raise AssertionError("an answer that was cut off was parsed")


def check_stream_helper() -> None:
    asked = dict(model="any", messages=QUESTION, response_format=City, temperature=0, max_tokens=200)
    with client.chat.completions.stream(**asked) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_completion()
    assert "content.delta" in kinds and kinds.count("content.done") == 1, kinds
    assert final.choices[0].message.parsed == client.chat.completions.parse(**asked).choices[0].message.parsed


def check_stream_helper_logprobs() -> None:
    with client.chat.completions.stream(model="any", messages=QUESTION, temperature=0, max_tokens=10, logprobs=True) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert {"logprobs.content.delta", "logprobs.content.done"} <= kinds, kinds
    assert final.choices[0].logprobs == ask(max_tokens=10, logprobs=True).choices[0].logprobs


def check_tools() -> None:
    tools = [openai.pydantic_function_tool(GetWeather)]
    asked = dict(model="any", messages=[{"role": "user", "content": "The weather in Paris?"}], tools=tools, tool_choice="required", temperature=0, max_tokens=200)
    (choice,) = client.chat.completions.parse(**asked, parallel_tool_calls=False).choices
    (call,) = choice.message.tool_calls
    assert choice.finish_reason == "tool_calls" and isinstance(call.function.parsed_arguments, GetWeather), choice
    with client.chat.completions.stream(**asked, parallel_tool_calls=False) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_completion().choices[0].message.tool_calls[0]
    assert "tool_calls.function.arguments.delta" in kinds and kinds.count("tool_calls.function.arguments.done") == 1, kinds
    assert final.function.parsed_arguments == call.function.parsed_arguments
    # What the package hands back of its own objects.
    turns = [*asked["messages"], choice.message, {"role": "tool", "tool_call_id": call.id, "content": "21 degrees"}]
    assert ask(messages=turns, tools=tools).choices[0].message.content is not None


def check_json_object() -> None:
    assert isinstance(json.loads(ask(response_format={"type": "json_object"}, max_tokens=100).choices[0].message.content), dict)


def check_completions() -> None:
    raw = client.completions.with_raw_response.create(model="any", prompt="Once upon a time", temperature=0)
    whole = Completion.model_validate_json(raw.text)
    assert whole.usage.completion_tokens == 16, whole.usage
    asked = dict(model="any", prompt=["Once upon a time", "The sea"], temperature=0, max_tokens=8, echo=True, logprobs=2)
    answer = client.completions.create(**asked)
    texts = [""] * 2
    for chunk in client.completions.create(**asked, stream=True):
        for choice in chunk.choices:
            texts[choice.index] += choice.text
    for choice, text, prompt in zip(answer.choices, texts, asked["prompt"], strict=True):
        assert choice.text == text and text.startswith(prompt)
        scores = choice.logprobs
        # Nothing predicts the first token: null there, whatever the package's types say.
        assert "".join(scores.tokens) == choice.text and scores.token_logprobs[0] is None
        assert all(choice.text[at:].startswith(token) for at, token in zip(scores.text_offset, scores.tokens, strict=True))


def check_raw_stream() -> None:
    asked = dict(model="any", messages=QUESTION, temperature=0, max_tokens=10)
    with client.chat.completions.with_streaming_response.create(**asked, stream=True) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in response.iter_lines() if line]
    assert lines[-1] == "data: [DONE]" and all(line.startswith("data: ") for line in lines)


def check_cancel() -> None:
    """A stream that is left ends what it asked for; the next one is answered."""
    for _ in range(5):
        stream = client.chat.completions.create(model="any", messages=QUESTION, max_tokens=500, stream=True, extra_body={"ignore_eos": True})
        next(iter(stream))
        stream.close()
    assert ask(max_tokens=3).usage.completion_tokens == 3


def check_timeout() -> None:
    try:
        client.with_options(timeout=0.3).chat.completions.create(model="any", messages=QUESTION, max_tokens=1000, extra_body={"ignore_eos": True})
    except openai.APITimeoutError:
        pass
    else:
        raise AssertionError("1000 tokens in 0.3 s")
    # The server's own ends with what there is, and SGLang's reason.
    answer = client.chat.completions.create(model="any", messages=QUESTION, max_tokens=1000, extra_body={"ignore_eos": True, "timeout": 1})
    assert answer.choices[0].finish_reason == "abort" and answer.choices[0].message.content


def check_refusals() -> None:
    chat = client.chat.completions.create
    refused("messages", chat, messages=[])
    refused("temperature", chat, messages=QUESTION, temperature=9)
    refused("n", chat, messages=QUESTION, n=99)
    refused("top_logprobs", chat, messages=QUESTION, top_logprobs=5)
    refused("tools.0.type", chat, messages=QUESTION, tools=[{"type": "custom", "custom": {"name": "x"}}])
    refused("modalities", chat, messages=QUESTION, modalities=["text", "audio"])
    refused("messages.0.content.0.type", chat, messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}])
    refused("prompt", client.completions.create, prompt="")
    refused("suffix", client.completions.create, prompt="x", suffix="y")
    refused("model", client.embeddings.create, input="x")


async def eight_at_once() -> None:
    many = openai.AsyncOpenAI(base_url=sys.argv[1], api_key=KEY, max_retries=0)

    async def one() -> str:
        text = ""
        async for chunk in await many.chat.completions.create(model="any", messages=QUESTION, temperature=0, max_tokens=20, stream=True):
            text += chunk.choices[0].delta.content or ""
        return text

    texts = await asyncio.gather(*(one() for _ in range(8)))
    assert len(set(texts)) == 1 and texts[0], texts


def check_async() -> None:
    asyncio.run(eight_at_once())


if __name__ == "__main__":
    run_checks(globals())
