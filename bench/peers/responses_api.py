"""
/v1/responses with the official openai package, every object and event held against its types.

    python bench/peers/responses_api.py http://127.0.0.1:30000/v1 [API_KEY]

Prints one line a check, and fails if any is wrong.
"""

from __future__ import annotations

import json
import sys

import openai
from openai.types.responses import Response, ResponseStreamEvent
from checks import run_checks
from pydantic import BaseModel, Field, TypeAdapter

QUESTION = "What is the capital of France?"
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 20}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}

client = openai.OpenAI(base_url=sys.argv[1], api_key=sys.argv[2] if len(sys.argv) > 2 else "none", max_retries=0)
EVENTS = TypeAdapter(ResponseStreamEvent)


def create(**request) -> Response:
    raw = client.responses.with_raw_response.create(model="any", temperature=0, **request)
    return Response.model_validate_json(raw.text)


def events(**request) -> list:
    """All events, checked: types, numbers, and that the deltas are the final text."""
    found = [EVENTS.validate_python(event.model_dump()) for event in client.responses.create(model="any", temperature=0, stream=True, **request)]
    assert [event.sequence_number for event in found] == list(range(len(found))), "sequence numbers"
    assert [event.type for event in found[:2]] == ["response.created", "response.in_progress"]
    assert found[-1].type in ("response.completed", "response.incomplete"), found[-1].type
    response = found[-1].response
    for index, item in enumerate(response.output):
        mine = [event for event in found if getattr(event, "output_index", None) == index]
        assert mine[0].type == "response.output_item.added" and mine[-1].type == "response.output_item.done"
        assert mine[-1].item == item, (mine[-1].item, item)
        deltas = "".join(event.delta for event in mine if event.type.endswith(".delta"))
        assert deltas == (item.arguments if item.type == "function_call" else item.content[0].text)
    return found


def refused(param: str, status: int = 400, **request) -> None:
    try:
        client.responses.create(model="any", **{"input": "Hi", **request})
    except openai.APIStatusError as error:
        assert error.status_code == status, error
        assert error.param == param, (error.param, param)
        return
    raise AssertionError(f"{param} was not refused")


def check_text() -> None:
    response = create(input=QUESTION, max_output_tokens=40)
    assert response.status == "completed" and "Paris" in response.output_text, response
    assert response.usage.output_tokens > 0 and response.usage.input_tokens_details.cached_tokens >= 0
    found = events(input=QUESTION, max_output_tokens=40)
    assert found[-1].response.output_text == response.output_text
    assert len([event for event in found if event.type == "response.output_text.delta"]) > 3


def check_conversation() -> None:
    first = create(instructions="Answer briefly.", input=[{"role": "user", "content": [{"type": "input_text", "text": QUESTION}]}], max_output_tokens=40)
    chained = create(input="And of Italy?", previous_response_id=first.id, max_output_tokens=30)
    again = create(
        input=[{"role": "user", "content": QUESTION}, *[item.model_dump() for item in first.output], {"role": "user", "content": "And of Italy?"}],
        max_output_tokens=30,
    )
    assert chained.usage.input_tokens == again.usage.input_tokens and chained.output_text == again.output_text
    stored = client.responses.retrieve(first.id)
    assert stored.output_text == first.output_text and stored.instructions == "Answer briefly."
    client.responses.delete(first.id)
    refused("previous_response_id", previous_response_id=first.id)
    unstored = create(input="Hi", store=False, max_output_tokens=5)
    refused("previous_response_id", previous_response_id=unstored.id)


def check_input_tokens() -> None:
    asked = dict(input=QUESTION, instructions="Answer briefly.", tools=[WEATHER])
    assert client.responses.input_tokens.count(model="any", **asked).input_tokens == create(**asked, max_output_tokens=1).usage.input_tokens


def check_length() -> None:
    response = create(input="Count to one hundred.", max_output_tokens=5)
    assert response.status == "incomplete" and response.incomplete_details.reason == "max_output_tokens"
    assert response.usage.output_tokens == 5 and response.output[-1].status == "incomplete"
    assert events(input="Count to one hundred.", max_output_tokens=5)[-1].type == "response.incomplete"


def check_logprobs() -> None:
    found = events(input="Hi", max_output_tokens=5, top_logprobs=2, include=["message.output_text.logprobs"])
    scored = found[-1].response.output[0].content[0].logprobs
    assert len(scored) >= 5 and all(len(each.top_logprobs) == 2 for each in scored), scored


class City(BaseModel):
    name: str
    inhabitants: int


def check_structured() -> None:
    schema = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 20}, "inhabitants": {"type": "integer"}}, "required": ["name", "inhabitants"], "additionalProperties": False}
    form = {"format": {"type": "json_schema", "name": "city", "schema": schema, "strict": True}}
    City.model_validate_json(create(input="Describe Paris.", text=form, max_output_tokens=80).output_text)
    assert isinstance(json.loads(create(input="Describe Paris.", text={"format": {"type": "json_object"}}, max_output_tokens=200).output_text), dict)
    parsed = client.responses.parse(model="any", input="Describe Paris.", text_format=City, temperature=0, max_output_tokens=200)
    assert isinstance(parsed.output_parsed, City)


class GetWeather(BaseModel):
    """The weather of a city"""

    city: str = Field(max_length=20)


def check_tools() -> None:
    asked = dict(input="What is the weather in Paris?", tools=[WEATHER], tool_choice="required", max_output_tokens=100)
    response = create(**asked)
    call = response.output[0]
    assert call.type == "function_call" and call.name == "get_weather" and "city" in json.loads(call.arguments)
    types = [event.type for event in events(**asked)]
    assert "response.function_call_arguments.delta" in types and "response.function_call_arguments.done" in types
    output = {"type": "function_call_output", "call_id": call.call_id, "output": '{"degrees": 21}'}
    answer = create(input=[output], previous_response_id=response.id, tools=[WEATHER], max_output_tokens=40)
    assert answer.output, answer


def check_refusals() -> None:
    refused("background", background=True)
    refused("tools.0.type", tools=[{"type": "web_search"}])
    refused("input.0.content.0.type", input=[{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}])
    refused("input.0.call_id", input=[{"type": "function_call_output", "call_id": "x", "output": "y"}])
    refused("max_output_tokens", max_output_tokens=-1)
    refused("text.format.type", text={"format": {"type": "grammar"}})


def check_stream_helper() -> None:
    with client.responses.stream(model="any", input=QUESTION, temperature=0, max_output_tokens=30) as stream:
        text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        assert stream.get_final_response().output_text == text
    with client.responses.stream(model="any", input="Describe Paris.", text_format=City, temperature=0, max_output_tokens=200) as stream:
        done = [event for event in stream if event.type == "response.output_text.done"]
        assert len(done) == 1 and isinstance(done[0].parsed, City), done
        assert stream.get_final_response().output_parsed == done[0].parsed


def check_stream_helper_tools() -> None:
    tools = [openai.pydantic_function_tool(GetWeather)["function"] | {"type": "function"}]
    asked = dict(model="any", input="The weather in Paris?", tools=tools, tool_choice="required", parallel_tool_calls=False, temperature=0, max_output_tokens=100)
    (call,) = client.responses.parse(**asked).output
    assert call.name == "GetWeather" and GetWeather.model_validate(call.parsed_arguments), call
    with client.responses.stream(**asked) as stream:
        deltas = "".join(event.delta for event in stream if event.type == "response.function_call_arguments.delta")
        assert deltas == stream.get_final_response().output[0].arguments == call.arguments


def check_settings() -> None:
    """What was asked for is in the answer, and in what is stored."""
    asked = dict(instructions="Be brief.", metadata={"a": "b"}, user="me", top_p=0.5, max_output_tokens=9, truncation="auto", parallel_tool_calls=False)
    response = create(input="Hi", reasoning={"effort": "low"}, **asked)
    assert client.responses.retrieve(response.id).to_dict() == response.to_dict()
    told = response.to_dict()
    assert {name: told[name] for name in asked if name != "truncation"} == {name: asked[name] for name in asked if name != "truncation"}, told
    assert told["reasoning"]["effort"] == "low" and told["store"] is True


if __name__ == "__main__":
    run_checks(globals())
