/** Every route that takes a body, with a body that is fine; and ways to walk through what the API's description says of them. */
import { ROUTES } from '../../../src/server/app.js';
import type { Json } from './test-app.js';

const CHAT = { messages: [{ role: 'user', content: 'Hi' }], max_tokens: 2 };

export const BODIES: Record<string, Json> = {
  '/v1/chat/completions': CHAT,
  '/v1/completions': { prompt: 'Hi', max_tokens: 2 },
  '/v1/responses': { input: 'Hi', max_output_tokens: 2 },
  '/v1/responses/input_tokens': { input: 'Hi' },
  '/v1/messages': CHAT,
  '/v1/messages/count_tokens': { messages: CHAT.messages },
  '/generate': { text: 'Hi', sampling_params: { max_new_tokens: 2 } },
  '/tokenize': { prompt: 'Hi' },
  '/v1/tokenize': { prompt: 'Hi' },
  '/detokenize': { tokens: [1] },
  '/v1/detokenize': { tokens: [1] },
  '/abort_request': { rid: 'nobody' },
};

/** Routes that read no body. */
const BODILESS = ['/flush_cache', '/save_cache', '/v1/embeddings'];

/** Throws where a route that takes POST is none of the above: it would go untested. */
export function postRoutes(): string[] {
  const paths = ROUTES.filter(([methods]) => methods.includes('POST')).map(([, path]) => path);
  const unknown = paths.filter((path) => !(path in BODIES) && !BODILESS.includes(path));
  if (unknown.length > 0) throw new Error(`no body is known for ${unknown.join(', ')}`);
  return paths.filter((path) => path in BODIES);
}

/** A path into a body: names of fields and indexes. */
export type FieldPath = (string | number)[];

/** Where a body may hold a number, by its schema. Of lists the first entry, of unions every branch. */
export function numericFields(document: Json, schema: Json, path: FieldPath = []): FieldPath[] {
  if (schema.$ref) return numericFields(document, document.components.schemas[schema.$ref.split('/').at(-1)], path);
  const found: FieldPath[] = [];
  const types = [schema.type].flat();
  if (types.includes('number') || types.includes('integer')) found.push(path);
  for (const branch of [...(schema.anyOf ?? []), ...(schema.allOf ?? [])]) {
    found.push(...numericFields(document, branch, path));
  }
  for (const [name, field] of Object.entries<Json>(schema.properties ?? {})) {
    found.push(...numericFields(document, field, [...path, name]));
  }
  if (schema.items) found.push(...numericFields(document, schema.items, [...path, 0]));
  if (typeof schema.additionalProperties === 'object') {
    found.push(...numericFields(document, schema.additionalProperties, [...path, '5']));
  }
  const seen = new Set<string>();
  return found.filter((each) => {
    const key = each.join('.');
    return !seen.has(key) && seen.add(key);
  });
}

/** A copy of `body` with `value` at `path`, as JSON; `raw` stands in it as written. */
export function jsonWith(body: Json, path: FieldPath, raw: string): string {
  const mark = '\u0001value\u0001';
  const copy = structuredClone(body);
  let at = copy;
  for (const [index, step] of path.slice(0, -1).entries()) {
    const isList = typeof path[index + 1] === 'number';
    if (
      isList ? !Array.isArray(at[step]) : typeof at[step] !== 'object' || at[step] === null || Array.isArray(at[step])
    ) {
      at[step] = isList ? [] : {};
    }
    at = at[step];
  }
  at[path.at(-1) as string | number] = mark;
  return JSON.stringify(copy).replace(JSON.stringify(mark), () => raw);
}
