// Random JSON schemas of the kinds that people ask of a model, each with at least one value: reproducible by seed.

/** Mulberry32: the same numbers everywhere. */
export function numbers(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}

const NAMES = [
  'name',
  'age',
  'city',
  'price',
  'tags',
  'ok',
  'kind',
  'items',
  'note',
  'größe',
  'a"b',
  'x-y',
  'id',
  'zip',
];
const PATTERNS = ['^[a-z]{2,5}$', '^\\d{3}-\\d{4}$', '^(red|green|blue)$', '^[A-Z][a-z]+$'];
const FORMATS = ['date', 'time', 'date-time', 'email', 'uuid', 'ipv4'];

export function randomSchema(seed) {
  const random = numbers(seed);
  const below = (n) => Math.floor(random() * n);
  const one = (values) => values[below(values.length)];
  const chance = (p) => random() < p;

  function string() {
    const kind = below(6);
    if (kind === 0)
      return { type: 'string', enum: ['Paris', 'London', 'a "quoted" one', 'ünï'].slice(0, 1 + below(4)) };
    if (kind === 1) return { type: 'string', pattern: one(PATTERNS) };
    if (kind === 2) return { type: 'string', format: one(FORMATS) };
    if (kind === 3) return { type: 'string', minLength: below(4), maxLength: 4 + below(12) };
    return { type: 'string', maxLength: 20 };
  }
  function number() {
    const low = below(200) - 100;
    if (chance(0.3)) return { type: 'integer' };
    if (chance(0.5)) return { type: 'integer', minimum: low, maximum: low + below(1000) };
    return chance(0.5) ? { type: 'number' } : { type: 'number', minimum: low, exclusiveMaximum: low + 1 + below(50) };
  }
  function array(depth) {
    if (chance(0.2)) return { type: 'array', prefixItems: [schema(depth), schema(depth)], items: false, minItems: 2 };
    const least = below(3);
    return { type: 'array', items: schema(depth), minItems: least, maxItems: least + 1 + below(3) };
  }
  function object(depth) {
    const names = NAMES.filter(() => chance(0.3));
    const properties = Object.fromEntries(names.map((name) => [name, schema(depth)]));
    const out = { type: 'object', properties, required: names.filter(() => chance(0.7)) };
    if (chance(0.8)) out.additionalProperties = false;
    return out;
  }
  function schema(depth) {
    const kind = below(depth > 0 ? 10 : 6);
    if (kind < 2) return string();
    if (kind < 4) return number();
    if (kind === 4)
      return one([{ type: 'boolean' }, { type: 'null' }, { const: 'fixed' }, { enum: [1, 'two', null, true] }]);
    if (kind === 5) return { type: ['string', 'null'], maxLength: 10 };
    if (kind === 6) return { anyOf: [schema(depth - 1), schema(depth - 1)] };
    if (kind === 7) return array(depth - 1);
    return object(depth - 1);
  }

  const root = object(3);
  if (chance(0.2)) {
    root.$defs = { part: object(1), text: string() };
    root.properties.part = { $ref: '#/$defs/part' };
    root.properties.more = { allOf: [{ $ref: '#/$defs/part' }, { properties: { extra: { $ref: '#/$defs/text' } } }] };
    // Closed parts do not let the other's properties in.
    delete root.$defs.part.additionalProperties;
  }
  return root;
}
