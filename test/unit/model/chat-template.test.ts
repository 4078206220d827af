import { describe, expect, test } from 'vitest';
import { CHATML_TEMPLATE, JinjaChatTemplate } from '../../../src/model/chat-template.js';
import type { ChatMessage } from '../../../src/model/model.js';
import { strftime } from '../../../src/model/strftime.js';
import { refusal } from './temporary.js';

const TOKENS = { bos_token: '<s>', eos_token: '</s>' };

function make(template: string, toolTemplate?: string) {
  return new JinjaChatTemplate({ template, toolTemplate, tokens: TOKENS, source: 'model' });
}

const chat: ChatMessage[] = [
  { role: 'user', content: 'Hi' },
  { role: 'assistant', content: 'Hello' },
];

describe('render', () => {
  test('ChatML, with the opening of an answer or without', () => {
    const text = '<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello<|im_end|>\n';
    expect(make(CHATML_TEMPLATE).render(chat)).toBe(`${text}<|im_start|>assistant\n`);
    expect(make(CHATML_TEMPLATE).render(chat, { addGenerationPrompt: false })).toBe(text);
  });

  test('knows special tokens, tools and arguments', () => {
    const template =
      '{{ bos_token }}{% if tools %}{{ tools | tojson }}{% endif %}{% if thinking %}T{% endif %}{{ eos_token }}';
    expect(make(template).render(chat)).toBe('<s></s>');
    expect(make(template).render(chat, { tools: [{ name: 'f' }], kwargs: { thinking: true } })).toBe(
      '<s>[{"name": "f"}]T</s>',
    );
    expect(make(template).render(chat, { tools: [] })).toBe('<s></s>');
    expect(make('{{ tools is none }}').render(chat)).toBe('true');
    expect(make('plain', 'tools').render(chat, { tools: [{}] })).toBe('tools');
  });

  test('strips the characters that are asked for, and no others', () => {
    const strip = (call: string) =>
      make(`{{ messages[0].content.${call} }}`).render([{ role: 'user', content: '\n\n a😀b \n' }]);
    expect(strip("lstrip('\\n')")).toBe(' a😀b \n');
    expect(strip("rstrip('\\n ')")).toBe('\n\n a😀b');
    expect(strip("strip('\\n')")).toBe(' a😀b ');
    expect(strip('strip()')).toBe('a😀b');
  });

  test('arguments cannot take the place of the messages', () => {
    expect(make('{{ messages | length }}').render(chat, { kwargs: { messages: [] } })).toBe('2');
  });

  test('trims blocks as Hugging Face does', () => {
    expect(
      make('{% for m in messages %}\n  {% if true %}\n{{ m.role }}\n  {% endif %}\n{% endfor %}').render(chat),
    ).toBe('user\nassistant\n');
  });

  test('raise_exception is a fault of the request', () => {
    const template = "{% if messages[0].role != 'system' %}{{ raise_exception('System first!') }}{% endif %}";
    const error = refusal(() => make(template).render(chat));
    expect(error).toMatchObject({ code: 'E_INVALID_REQUEST', message: 'System first!', param: 'messages' });
  });

  test('what the interpreter lacks is named', () => {
    const error = refusal(() => make('{{ messages | martian }}').render(chat));
    expect(error).toMatchObject({ code: 'E_INVALID_REQUEST', message: expect.stringContaining('martian') });
  });
});

test('a template that does not parse is the fault of the model', () => {
  const deep = `{{ ${'('.repeat(50_000)}1${')'.repeat(50_000)} }}`;
  for (const template of ['{% if %}', '{{ a', '{% for x in y %}', deep, 'x'.repeat(2 ** 20 + 1)]) {
    const error = refusal(() => make(template));
    expect(error.code).toBe('E_MODEL_INVALID');
    expect(error.message).toMatch(/^model: chat template/);
  }
});

const many: ChatMessage[] = Array.from({ length: 2048 }, (_, i) => ({
  role: i % 2 === 0 ? 'user' : 'assistant',
  content: 'a'.repeat(1000),
}));
const grow = (step: string, start: string) =>
  `{% set ns = namespace(x=${start}) %}{% for i in range(100) %}{% set ns.x = ${step} %}{% endfor %}{{ ns.x | length }}`;

describe('a hostile template is stopped:', () => {
  // biome-ignore format: a table
  test.each([
    ['a range without end', '{% for i in range(10**9) %}x{% endfor %}', /range of 1000000000 elements/],
    ['loops in loops', '{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}', /steps/],
    ['loops over the messages', '{% for a in messages %}{% for b in messages %}{% for c in messages %}{% endfor %}{% endfor %}{% endfor %}', /steps/],
    ['a text that doubles', grow('ns.x ~ ns.x', "'abc'"), /text of more than/],
    ['a list that doubles', grow('ns.x + ns.x', '[1]'), /steps|list of more than/],
    ['a macro that calls itself', '{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}', /chat template/],
    ['a tree of macros', '{% macro f(x) %}{% if x > 0 %}{{ f(x-1) }}{{ f(x-1) }}{% endif %}{% endmacro %}{{ f(60) }}', /steps/],
    ['work on long texts', '{% for i in range(100000) %}{% set x = messages[0].content | upper | lower %}{% for m in messages %}{{ m.content }}{% endfor %}{% endfor %}', /steps/],
    ['cutting again and again', "{% for i in range(100000) %}{% set x = messages[0].content.split('a') %}{% endfor %}", /steps/],
    ['ways to JavaScript', "{{ messages.constructor.constructor('return process')() }}", /chat template/],
  ])('%s', (_what, template, message) => {
    const error = refusal(() => make(template).render(many));
    expect(error.code).toBe('E_INVALID_REQUEST');
    expect(error.message).toMatch(message);
  }, 30_000);

  test('nothing of Python or JavaScript shows through', () => {
    expect(make("{{ ''.__class__ }}{{ messages.__proto__ }}{{ process }}{{ globalThis }}").render(chat)).toBe('');
  });
});

test('2,048 messages stay far below the limits', () => {
  expect(make(CHATML_TEMPLATE).render(many).length).toBeGreaterThan(2_048_000);
});

describe('range', () => {
  test.each([
    ['range(3)', '[0, 1, 2]'],
    ['range(1, 4)', '[1, 2, 3]'],
    ['range(5, 0, -2)', '[5, 3, 1]'],
    ['range(3, 1)', '[]'],
  ])('%s', (expression, list) => expect(make(`{{ ${expression} | tojson }}`).render([])).toBe(list));

  test.each(['range(0, 1, 0)', "range('a')", 'range(1.5)'])('%s fails', (expression) => {
    expect(refusal(() => make(`{{ ${expression} }}`).render([])).code).toBe('E_INVALID_REQUEST');
  });
});

test('strftime, in English', () => {
  const date = new Date(2026, 6, 4, 15, 5, 9);
  expect(strftime(date, '%d %b %Y, %B %-d, %Y-%m-%d %H:%M:%S %I %p %A %a %y %% %Q')).toBe(
    '04 Jul 2026, July 4, 2026-07-04 15:05:09 03 PM Saturday Sat 26 % %Q',
  );
  expect(make("{{ strftime_now('%Y') }}").render([])).toBe(String(new Date().getFullYear()));
});
