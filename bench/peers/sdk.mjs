// The official JavaScript clients: openai (chat, completions, responses) and @anthropic-ai/sdk (messages).
//
//   npm install --ignore-scripts --no-package-lock       in bench/peers
//   node bench/peers/sdk.mjs http://127.0.0.1:30000 [API_KEY]
//
// Prints one line a check; exit code 1 if any is wrong.
import assert from 'node:assert/strict';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';

const [url, apiKey = 'none'] = process.argv.slice(2);
const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 });
const anthropic = new Anthropic({ baseURL: url, apiKey, maxRetries: 0 });
const messages = [{ role: 'user', content: 'What is the capital of France?' }];
const PARAMETERS = {
  type: 'object',
  properties: { city: { type: 'string', maxLength: 20 } },
  required: ['city'],
  additionalProperties: false,
};

const checks = {
  async models() {
    const { data } = await openai.models.list();
    assert.equal((await openai.models.retrieve(data[0].id)).id, data[0].id);
  },

  async chat() {
    const asked = { model: 'any', messages, temperature: 0, max_tokens: 30 };
    const whole = await openai.chat.completions.create(asked);
    let text = '';
    for await (const { choices } of await openai.chat.completions.create({ ...asked, stream: true })) {
      text += choices[0]?.delta.content ?? '';
    }
    assert.equal(text, whole.choices[0].message.content);
    assert.match(text, /Paris/);
  },

  async responses() {
    const asked = { model: 'any', input: messages[0].content, temperature: 0, max_output_tokens: 30 };
    const whole = await openai.responses.create(asked);
    const stream = openai.responses.stream(asked);
    let text = '';
    stream.on('response.output_text.delta', ({ delta }) => {
      text += delta;
    });
    const final = await stream.finalResponse();
    assert.equal(text, whole.output_text);
    assert.equal(final.output_text, whole.output_text);
    const next = await openai.responses.create({ ...asked, input: 'And Italy?', previous_response_id: whole.id });
    assert.equal(next.previous_response_id, whole.id);
    await openai.responses.delete(whole.id);
    await assert.rejects(openai.responses.retrieve(whole.id), OpenAI.NotFoundError);
  },

  async 'responses: functions'() {
    const tool = { type: 'function', name: 'weather', parameters: PARAMETERS, strict: true };
    const asked = {
      model: 'any',
      input: 'The weather in Paris?',
      tools: [tool],
      tool_choice: 'required',
      temperature: 0,
    };
    const { output } = await openai.responses.stream({ ...asked, parallel_tool_calls: false }).finalResponse();
    assert.equal(output[0].name, 'weather');
    assert.ok('city' in JSON.parse(output[0].arguments));
  },

  async messages() {
    const asked = { model: 'any', messages, max_tokens: 30, temperature: 0 };
    const whole = await anthropic.messages.create(asked);
    const stream = anthropic.messages.stream(asked);
    let text = '';
    stream.on('text', (delta) => {
      text += delta;
    });
    const final = await stream.finalMessage();
    assert.equal(text, whole.content[0].text);
    assert.equal(final.stop_reason, whole.stop_reason);
    assert.ok((await anthropic.messages.countTokens({ model: 'any', messages })).input_tokens > 0);
  },

  async 'messages: tools'() {
    const tools = [{ name: 'weather', input_schema: PARAMETERS }];
    const choice = { type: 'tool', name: 'weather' };
    const asked = { model: 'any', messages, max_tokens: 90, tools, tool_choice: choice };
    const { content, stop_reason: reason } = await anthropic.messages.stream(asked).finalMessage();
    assert.equal(reason, 'tool_use');
    assert.ok('city' in content.at(-1).input);
  },

  async errors() {
    const wrong = { model: 'any', messages, max_tokens: -1 };
    await assert.rejects(openai.chat.completions.create(wrong), { status: 400, param: 'max_tokens' });
    await assert.rejects(anthropic.messages.create(wrong), Anthropic.BadRequestError);
  },
};

for (const [name, check] of Object.entries(checks)) {
  try {
    await check();
    console.log(`ok    ${name}`);
  } catch (error) {
    process.exitCode = 1;
    console.log(`FAIL  ${name}\n${error.stack}`);
  }
}
