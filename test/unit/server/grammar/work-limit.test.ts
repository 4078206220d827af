/** One request may bring many schemas: what they cost together is limited, not what each of them costs. */
import { describe, expect, it } from 'vitest';
import { parseStructuralTag } from '../../../../src/server/grammar/structural-tag.js';
import { TOOL_FORMATS } from '../../../../src/server/tools/tool-formats.js';
import { toolCallsFormat } from '../../../../src/server/tools/tool-grammar.js';
import { type Json, testApp } from '../test-app.js';

const list = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index));
const object = (count: number, property: (index: number) => object) => ({
  type: 'object',
  properties: Object.fromEntries(list(count, (index) => [`p${index}`, property(index)])),
});
/** Patterns with lengths are made one expression by an automaton. */
const costly = (salt: number) =>
  object(20, (index) => ({
    type: 'string',
    pattern: `^([a-z]{1,4}-?${index}){1,6}${salt}$`,
    minLength: 4,
    maxLength: 30,
  }));
const ordinary = () => object(20, () => ({ type: 'string', description: 'x', enum: ['a', 'b'] }));

const callsOf = (schemas: object[]) =>
  toolCallsFormat(TOOL_FORMATS.qwen25, {
    tools: schemas.map((parameters, index) => {
      const param = `tools.${index}.function.parameters`;
      return { name: `f${index}`, description: null, parameters, param };
    }),
    raw: [],
    choice: 'required',
    isParallel: true,
  });
const isLimit = (param: RegExp) =>
  expect.objectContaining({ code: 'E_GRAMMAR_LIMIT', param: expect.stringMatching(param) });

describe('the schemas of one request', () => {
  it('that are many may be ordinary', () => {
    expect(JSON.stringify(callsOf(list(128, ordinary)))).toContain('f127');
    expect(JSON.stringify(callsOf([costly(0)]))).toContain('p19');
  });

  it('of tools cost together what one may cost', () => {
    expect(() => callsOf(list(128, costly))).toThrowError(isLimit(/^tools\.\d+\.function\.parameters$/));
  });

  it('of structural tags too', () => {
    const format = {
      type: 'sequence',
      elements: list(20, (salt) => ({ type: 'json_schema', json_schema: costly(salt) })),
    };
    expect(() => parseStructuralTag({ format }, 'tag')).toThrowError(
      isLimit(/^tag\.format\.elements\.\d+\.json_schema$/),
    );
    const structures = list(20, (salt) => ({ begin: '<a>', schema: costly(salt), end: '</a>' }));
    expect(() => parseStructuralTag({ structures, triggers: ['<a>'] }, 'tag')).toThrowError(
      isLimit(/^tag\.structures/),
    );
  });

  it('of prompts that have each their own, but not of prompts that share one', async () => {
    const { post } = testApp();
    const text = list(64, String);
    const faultOf = async (sampling_params: object) =>
      ((await (await post('/generate', { text, sampling_params })).json()) as Json).error;
    const each = list(64, (salt) => ({ json_schema: costly(salt) }));
    expect(await faultOf(each)).toMatchObject({
      code: 'E_GRAMMAR_LIMIT',
      param: expect.stringMatching(/^sampling_params\.\d+\.json_schema$/),
    });
    // There are no grammars here; what is said is that, and not that it is too much.
    expect(await faultOf({ json_schema: costly(0) })).toMatchObject({ code: 'E_INVALID_REQUEST' });
  });
});
