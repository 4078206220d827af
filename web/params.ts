/** The parameters of a request that the page has fields for; an empty field leaves the choice to the server. */
import { effect, signal } from '@preact/signals';
import { kept } from './kept.js';

export interface Parameter {
  /** As the API calls it. */
  name: string;
  label: string;
  min: number;
  max?: number;
  step: number;
  help: string;
  /** Shown without asking. */
  isMain?: boolean;
}

export const PARAMETERS: readonly Parameter[] = [
  {
    name: 'temperature',
    label: 'Temperature',
    min: 0,
    max: 2,
    step: 0.1,
    help: '0 always takes the likeliest token',
    isMain: true,
  },
  {
    name: 'top_p',
    label: 'Top p',
    min: 0,
    max: 1,
    step: 0.05,
    help: 'Smallest set of tokens with this probability',
    isMain: true,
  },
  { name: 'max_tokens', label: 'Max tokens', min: 1, step: 1, help: 'Longest answer', isMain: true },
  { name: 'seed', label: 'Seed', min: 0, step: 1, help: 'Equal seeds give equal answers', isMain: true },
  { name: 'top_k', label: 'Top k', min: -1, step: 1, help: 'So many of the likeliest tokens; 0 is all' },
  { name: 'min_p', label: 'Min p', min: 0, max: 1, step: 0.05, help: "Share of the likeliest token's probability" },
  {
    name: 'frequency_penalty',
    label: 'Frequency penalty',
    min: -2,
    max: 2,
    step: 0.1,
    help: 'For each time a token was used',
  },
  {
    name: 'presence_penalty',
    label: 'Presence penalty',
    min: -2,
    max: 2,
    step: 0.1,
    help: 'For a token that was used',
  },
  { name: 'repetition_penalty', label: 'Repetition penalty', min: 0.01, max: 2, step: 0.05, help: '1 is none' },
];

const FIELDS: readonly string[] = [
  ...PARAMETERS.map(({ name }) => name),
  'stop',
  'chat_template_kwargs',
  'response_format',
];

/** `param` of an error names a field, or a place inside of it: `stop[2]`. Null: the page has none for it. */
export function fieldOf(param: string | null): string | null {
  const name = param?.split(/[.[]/, 1)[0] ?? '';
  return FIELDS.includes(name) ? name : null;
}

export type Thinking = '' | 'on' | 'off';
export type FormatKind = 'text' | 'json_object' | 'json_schema';

export interface Choices {
  system: string;
  /** Parameter -> what was typed. */
  numbers: Record<string, string>;
  /** One a line. */
  stop: string;
  thinking: Thinking;
  format: FormatKind;
  /** Of json_schema, as typed. */
  schema: string;
}

/** As `jsg chat` begins. */
const FIRST_NUMBERS = { temperature: '0.5', top_p: '0.9' };

export const DEFAULTS: Choices = {
  system: '',
  numbers: FIRST_NUMBERS,
  stop: '',
  thinking: '',
  format: 'text',
  schema: '',
};

export const choices = signal<Choices>(readKept());
export const change = (part: Partial<Choices>) => {
  choices.value = { ...choices.value, ...part };
};

effect(() => kept.write('choices', JSON.stringify(choices.value)));

function readKept(): Choices {
  try {
    return choicesFrom(JSON.parse(kept.read('choices') ?? '{}'));
  } catch {
    return DEFAULTS;
  }
}

/** What was kept may be another version's: what is no text is left out. Pure. */
export function choicesFrom(value: unknown): Choices {
  const isRecord = typeof value === 'object' && value !== null;
  const read = isRecord ? (value as Record<string, unknown>) : {};
  const texts = Object.entries(read).filter(([name, text]) => name in DEFAULTS && typeof text === 'string');
  const numbers = Object.entries(read.numbers ?? DEFAULTS.numbers).filter(([, text]) => typeof text === 'string');
  return { ...DEFAULTS, ...Object.fromEntries(texts), numbers: Object.fromEntries(numbers) };
}

/** A schema that was typed; throws SyntaxError where it is no JSON object. */
export function parseSchema(text: string): Record<string, unknown> {
  const schema: unknown = JSON.parse(text);
  if (typeof schema === 'object' && schema !== null && !Array.isArray(schema)) return schema as Record<string, unknown>;
  throw new SyntaxError('A schema is a JSON object.');
}

/** The fields of a request body, messages left out. Throws SyntaxError for a schema that is no JSON. Pure. */
export function requestFields(chosen: Choices): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  for (const { name } of PARAMETERS) {
    const typed = chosen.numbers[name]?.trim();
    if (typed) fields[name] = Number(typed);
  }
  const stop = chosen.stop.split('\n').filter((line) => line !== '');
  if (stop.length > 0) fields.stop = stop;
  if (chosen.thinking !== '') fields.chat_template_kwargs = { enable_thinking: chosen.thinking === 'on' };
  if (chosen.format === 'json_object') fields.response_format = { type: 'json_object' };
  if (chosen.format === 'json_schema') {
    fields.response_format = {
      type: 'json_schema',
      json_schema: { name: 'answer', schema: parseSchema(chosen.schema) },
    };
  }
  return fields;
}

export const EXAMPLE_SCHEMA = JSON.stringify(
  {
    type: 'object',
    properties: {
      city: { type: 'string', maxLength: 40 },
      country: { type: 'string', maxLength: 40 },
      population_millions: { type: 'number' },
      is_capital: { type: 'boolean' },
    },
    required: ['city', 'country', 'population_millions', 'is_capital'],
  },
  null,
  2,
);
