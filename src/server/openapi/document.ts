/** The OpenAPI 3.1 description of the server, made of the schemas that check its requests. */
import { z } from 'zod';
import { FORMS } from '../schemas/fields.js';
import { anthropicError, error } from './answers.js';
import { type Answer, type Body, OPERATIONS, type Operation } from './operations.js';

type Json = Record<string, unknown>;

/** A path of the server and its methods. */
export type RoutePath = readonly [methods: readonly string[], path: string, ...rest: unknown[]];

export interface DocumentOptions {
  version: string;
  routes: readonly RoutePath[];
  /** Paths that ask for no key. */
  openPaths: readonly string[];
}

const REASONS: Record<number, string> = {
  400: 'The request is wrong; `param` names the field',
  401: 'No API key, or a wrong one',
  403: "The request's `Host` is another name than this machine's",
  404: 'Not found',
  413: 'The body is too large',
  429: 'The queue is full; try again after `Retry-After` seconds',
  500: 'The server failed',
  503: 'Starting, draining or failed',
  504: 'No token came within the `timeout` of the request',
};

/** Throws for a route that is not described. */
export function openApiDocument({ version, routes, openPaths }: DocumentOptions): Json {
  const schemas: Record<string, Json> = { Error: toSchema(error), AnthropicError: toSchema(anthropicError) };
  const paths: Record<string, Json> = {};
  for (const [methods, path] of routes) {
    const item: Json = {};
    for (const method of methods) {
      const operation = OPERATIONS[`${method} ${path}`] ?? OPERATIONS[path];
      if (!operation) throw new Error(`${method} ${path} is not described`);
      item[method.toLowerCase()] = describe(operation, method, path, openPaths.includes(path), schemas);
    }
    paths[publicPath(path)] = { ...(paths[publicPath(path)] ?? {}), ...item };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'jsg',
      version,
      description: 'One model behind the APIs of OpenAI, Anthropic and SGLang.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    paths,
    components: {
      schemas,
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer' },
        apiKey: { type: 'apiKey', in: 'header', name: 'x-api-key' },
      },
    },
    // A server may ask for no key at all.
    security: [{ bearer: [] }, { apiKey: [] }, {}],
  };
}

/** `/v1/models/*` and `/v1/responses/:id` as OpenAPI writes them. */
function publicPath(path: string): string {
  return path.replace('*', '{model}').replace(/:(\w+)/, '{$1}');
}

function describe(operation: Operation, method: string, path: string, isOpen: boolean, schemas: Json): Json {
  const parameter = /\{(\w+)\}/.exec(publicPath(path))?.[1];
  const { body } = operation;
  return {
    operationId: `${method.toLowerCase()}${publicPath(path).replace(/\W+/g, '_').replace(/_$/, '')}`,
    summary: operation.summary,
    tags: [operation.tag],
    ...(isOpen ? { security: [] } : {}),
    ...(parameter ? { parameters: [{ name: parameter, in: 'path', required: true, schema: { type: 'string' } }] } : {}),
    ...(body ? { requestBody: { required: true, content: { 'application/json': refer(body, schemas) } } } : {}),
    responses: { ...answersOf(operation, schemas), ...errorsOf(operation, isOpen) },
  };
}

function answersOf({ answer, event, mediaType }: Operation, schemas: Json): Json {
  const content = {
    ...(answer ? { 'application/json': refer(answer, schemas) } : {}),
    ...(event ? { 'text/event-stream': refer(event, schemas) } : {}),
    ...(mediaType ? { [mediaType]: {} } : {}),
  };
  if (Object.keys(content).length === 0) return {};
  const description = event ? 'The answer; with `"stream": true` its events, of which one is described' : 'The answer';
  return { 200: { description, content } };
}

function errorsOf({ tag, body, errors = [] }: Operation, isOpen: boolean): Json {
  const statuses = new Set([...(body ? [400, 413] : []), ...(isOpen ? [] : [401]), 403, ...errors]);
  const schema = { $ref: `#/components/schemas/${tag === 'Anthropic' ? 'AnthropicError' : 'Error'}` };
  return Object.fromEntries(
    [...statuses]
      .sort()
      .map((status) => [
        status,
        { description: REASONS[status] ?? 'Error', content: { 'application/json': { schema } } },
      ]),
  );
}

function refer(named: Body | Answer, schemas: Json): Json {
  schemas[named.name] ??= toSchema(named.schema, 'required' in named ? named.required : []);
  return { schema: { $ref: `#/components/schemas/${named.name}` } };
}

function toSchema(schema: z.ZodType, required: readonly string[] = []): Json {
  const { $schema: _, ...json } = z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
    override({ zodSchema, jsonSchema }) {
      const form = FORMS.get(zodSchema);
      if (form) Object.assign(jsonSchema, toSchema(form()));
    },
  }) as Json;
  if (required.length === 0) return json;
  const properties = json.properties as Record<string, Json>;
  const present = Object.fromEntries(required.map((name) => [name, withoutNull(properties[name] as Json)]));
  return { ...json, properties: { ...properties, ...present }, required };
}

/** Null means absent, which a field that is required cannot be. */
function withoutNull(schema: Json): Json {
  const branches = (schema.anyOf as Json[] | undefined) ?? [];
  const others = branches.filter(({ type }) => type !== 'null');
  if (others.length === branches.length) return schema;
  return others.length === 1 ? (others[0] as Json) : { ...schema, anyOf: others };
}
