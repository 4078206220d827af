"""
/v1/messages with the official anthropic package, every message and event held against its types.

    python bench/peers/messages_api.py http://127.0.0.1:30000 [API_KEY]

Prints one line a check, and fails if any is wrong.
"""

from __future__ import annotations

import json
import sys

import anthropic
from anthropic.types import Message, RawMessageStreamEvent
from checks import run_checks
from pydantic import BaseModel, Field, TypeAdapter

QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
WEATHER = {
    "name": "get_weather",
    "description": "The weather of a city",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 20}},
        "required": ["city"],
        "additionalProperties": False,
    },
}

client = anthropic.Anthropic(base_url=sys.argv[1], api_key=sys.argv[2] if len(sys.argv) > 2 else "none", max_retries=0)
EVENTS = TypeAdapter(RawMessageStreamEvent)


def create(**request) -> Message:
    # The package has deprecated the field of older models, which open models still need.
    raw = client.messages.with_raw_response.create(**{"model": "any", "max_tokens": 40, "extra_body": {"temperature": 0}, **request})
    return Message.model_validate_json(raw.text())


def events(**request) -> list:
    stream = client.messages.create(**{"model": "any", "max_tokens": 40, "extra_body": {"temperature": 0}, **request}, stream=True)
    return [EVENTS.validate_python(event.model_dump()) for event in stream]


def refused(kind: type[anthropic.APIStatusError], where: str, **request) -> None:
    try:
        client.messages.create(**{"model": "any", "max_tokens": 5, "messages": QUESTION, **request})
    except kind as error:
        assert error.body["type"] == "error" and error.body["error"]["message"].startswith(where), error.body
        return
    raise AssertionError(f"{where} was not refused")


def check_text() -> None:
    message = create(messages=QUESTION)
    text = message.content[0].text
    assert "Paris" in text and message.stop_reason == "end_turn", message
    found = events(messages=QUESTION)
    # The package drops pings.
    kinds = [event.type for event in found]
    assert kinds[0] == "message_start" and kinds[1] == "content_block_start", kinds
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"], kinds
    assert "".join(event.delta.text for event in found if event.type == "content_block_delta") == text
    assert found[-2].usage.output_tokens == message.usage.output_tokens


def check_stream_helper() -> None:
    with client.messages.stream(model="any", max_tokens=40, messages=QUESTION, extra_body={"temperature": 0}) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert final.content[0].text == text and final.stop_reason == "end_turn", final


def check_system_and_turns() -> None:
    turns = [*QUESTION, {"role": "assistant", "content": [{"type": "text", "text": "Paris."}]}, {"role": "user", "content": "And of Italy?"}]
    message = create(messages=turns, system=[{"type": "text", "text": "Answer briefly.", "cache_control": {"type": "ephemeral"}}])
    counted = client.messages.count_tokens(model="any", messages=turns, system="Answer briefly.")
    total = message.usage.input_tokens + message.usage.cache_read_input_tokens
    assert counted.input_tokens == total, (counted, message.usage)


def check_stops() -> None:
    assert create(messages=QUESTION, max_tokens=2).stop_reason == "max_tokens"
    stopped = create(messages=QUESTION, stop_sequences=["Paris"])
    assert stopped.stop_reason == "stop_sequence" and stopped.stop_sequence == "Paris", stopped
    assert "Paris" not in stopped.content[0].text


def check_prefill() -> None:
    message = create(messages=[*QUESTION, {"role": "assistant", "content": "The capital of France is"}])
    assert message.content[0].text.lstrip().startswith("Paris"), message


def check_tools() -> None:
    asked = dict(messages=[{"role": "user", "content": "What is the weather in Paris?"}], tools=[WEATHER], tool_choice={"type": "any", "disable_parallel_tool_use": True}, max_tokens=100)
    message = create(**asked)
    call = message.content[-1]
    assert message.stop_reason == "tool_use" and call.name == "get_weather" and "city" in call.input, message
    found = events(**asked)
    parts = "".join(event.delta.partial_json for event in found if event.type == "content_block_delta" and event.delta.type == "input_json_delta")
    assert json.loads(parts) == call.input
    result = {"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": "21 degrees"}]}
    turns = [*asked["messages"], {"role": "assistant", "content": message.content}, {"role": "user", "content": [result]}]
    assert create(messages=turns, tools=[WEATHER]).content


def check_structured() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 20}}, "required": ["city"], "additionalProperties": False}
    message = create(messages=QUESTION, output_config={"format": {"type": "json_schema", "schema": schema}})
    assert set(json.loads(message.content[0].text)) == {"city"}


class City(BaseModel):
    name: str = Field(max_length=20)
    inhabitants: int


def check_parse() -> None:
    asked = dict(model="any", max_tokens=200, messages=QUESTION, extra_body={"temperature": 0})
    parsed = client.messages.parse(**asked, output_format=City)
    assert isinstance(parsed.parsed_output, City), parsed
    with client.messages.stream(**asked, output_format=City) as stream:
        assert stream.get_final_message().parsed_output == parsed.parsed_output


def check_stream_events() -> None:
    """The helper's events, for a call."""
    asked = dict(model="any", max_tokens=100, messages=QUESTION, tools=[WEATHER], tool_choice={"type": "tool", "name": "get_weather"})
    with client.messages.stream(**asked, extra_body={"temperature": 0}) as stream:
        found = list(stream)
    snapshots = [event.snapshot for event in found if event.type == "input_json"]
    (stop,) = [event for event in found if event.type == "content_block_stop"]
    assert stop.content_block.input == snapshots[-1] == found[-1].message.content[0].input, found[-1]


def check_tool_runner() -> None:
    asked_of = []

    @anthropic.beta_tool
    def get_weather(city: str) -> str:
        """The weather of a city.

        Args:
            city: Its name
        """
        asked_of.append(city)
        return "21 degrees"

    runner = client.beta.messages.tool_runner(
        model="any", max_tokens=60, max_iterations=2, tools=[get_weather], messages=QUESTION, tool_choice={"type": "tool", "name": "get_weather"}
    )
    messages = list(runner)
    assert len(messages) == 2 and asked_of and messages[0].stop_reason == "tool_use", messages


def check_models() -> None:
    (model,) = client.models.list().data
    assert model.type == "model" and client.models.retrieve(model.id).id == model.id


def check_refusals() -> None:
    refused(anthropic.BadRequestError, "max_tokens", max_tokens=0)
    refused(anthropic.BadRequestError, "tools.0.type", tools=[{"type": "web_search_20250305", "name": "web_search"}])
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "x"}}
    refused(anthropic.BadRequestError, "messages.0.content.0.type", messages=[{"role": "user", "content": [image]}])
    refused(anthropic.BadRequestError, "messages.0.content.0.tool_use_id", messages=[{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "x"}]}])


def check_key() -> None:
    if len(sys.argv) < 3:
        return
    stranger = anthropic.Anthropic(base_url=sys.argv[1], api_key="wrong", max_retries=0)
    try:
        stranger.messages.create(model="any", max_tokens=5, messages=QUESTION)
    except anthropic.AuthenticationError as error:
        assert error.body["error"]["type"] == "authentication_error"
        return
    raise AssertionError("a wrong key was taken")


if __name__ == "__main__":
    run_checks(globals())
