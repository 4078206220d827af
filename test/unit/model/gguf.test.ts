import { closeSync, openSync, truncateSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { JsgError } from '../../../src/errors.js';
import { readGguf } from '../../../src/model/gguf.js';
import { openGgufModel } from '../../../src/model/gguf-model.js';
import { tokenizerFromGguf } from '../../../src/model/gguf-tokenizer.js';
import { buildGguf, type GgufSpec } from './gguf-builder.js';
import { randomNumbers, refusal, temporaryDirectory, writeFile } from './temporary.js';
import { tinyGguf } from './tiny-models.js';

const directory = temporaryDirectory();
const file = join(directory, 'model.gguf');

function read(bytes: Uint8Array) {
  return readGguf(writeFile(file, bytes));
}

const F32 = (name: string, ...dims: (number | bigint)[]) => ({ name, dims });

describe('a sound file', () => {
  test('gives every type of value', () => {
    const { version, metadata } = read(
      buildGguf({
        version: 2,
        keys: [
          { key: 'u8', type: 'u8', value: 200 },
          { key: 'i8', type: 'i8', value: -3 },
          { key: 'u16', type: 'u16', value: 65535 },
          { key: 'i16', type: 'i16', value: -2 },
          { key: 'u32', type: 'u32', value: 4294967295 },
          { key: 'i32', type: 'i32', value: -1 },
          { key: 'f32', type: 'f32', value: 0.5 },
          { key: 'bool', type: 'bool', value: true },
          { key: 'string', type: 'string', value: 'naïve 😀' },
          { key: 'u64', type: 'u64', value: 2 ** 40 },
          { key: 'i64', type: 'i64', value: -5 },
          { key: 'f64', type: 'f64', value: 1e100 },
          { key: 'strings', type: 'array', elementType: 'string', value: ['a', '', 'ü'] },
          { key: 'floats', type: 'array', elementType: 'f32', value: [1, -0.25] },
          { key: 'ints', type: 'array', elementType: 'i32', value: [7, -7] },
          { key: 'bools', type: 'array', elementType: 'bool', value: [true, false] },
          { key: 'none', type: 'array', elementType: 'string', value: [] },
        ],
      }),
    );
    expect(version).toBe(2);
    expect(Object.fromEntries(metadata)).toEqual({
      u8: 200, i8: -3, u16: 65535, i16: -2, u32: 4294967295, i32: -1, f32: 0.5, bool: true, string: 'naïve 😀',
      u64: 2 ** 40, i64: -5, f64: 1e100, strings: ['a', '', 'ü'], floats: new Float32Array([1, -0.25]),
      ints: new Int32Array([7, -7]), bools: [1, 0], none: [],
    }); // biome-ignore format: the list above, in short
  });

  test('gives tensors row-major, at offsets of the file', () => {
    const bytes = buildGguf({
      tensors: [
        { name: 'a', dims: [3, 2], data: new Uint8Array(24).fill(1) },
        { name: 'b', dims: [32], type: 2, data: new Uint8Array(18).fill(2) },
      ],
    });
    const { tensors } = read(bytes);
    expect(tensors.map(({ name, dtype, shape, nbytes }) => ({ name, dtype, shape, nbytes }))).toEqual([
      { name: 'a', dtype: 'F32', shape: [2, 3], nbytes: 24 },
      { name: 'b', dtype: 'Q4_0', shape: [32], nbytes: 18 },
    ]);
    for (const [i, { offset, nbytes }] of tensors.entries()) {
      expect([...new Set(bytes.subarray(offset, offset + nbytes))]).toEqual([i + 1]);
    }
  });

  test('honours general.alignment', () => {
    const bytes = buildGguf({
      alignment: 128,
      keys: [{ key: 'general.alignment', type: 'u32', value: 128 }],
      tensors: [F32('a', 4), F32('b', 4)],
    });
    expect(read(bytes).tensors.map(({ offset }) => offset)).toEqual([128, 256]);
  });
});

// biome-ignore format: a table
const MALFORMED: [what: string, spec: GgufSpec, message: RegExp][] = [
  ['a bad magic', { magic: 'GGML' }, /not a GGUF file/],
  ['version 0', { version: 0 }, /version 0/],
  ['version 1', { version: 1 }, /version 1/],
  ['version 4', { version: 4 }, /version 4/],
  ['a big-endian version', { version: 0x03000000 }, /version 50331648/],
  ['a tensor count of -1', { numTensors: -1n }, /tensor count is absurd/],
  ['a key count of -1', { numKeys: -1n }, /key count is absurd/],
  ['more tensors than bytes', { numTensors: 60_000 }, /claims 60000 tensors/],
  ['more keys than bytes', { numKeys: 2 ** 40 }, /claims 1099511627776 keys/],
  ['an empty key', { keys: [{ key: '', type: 'u64', value: 1 }] }, /a name of 0 bytes/],
  ['an unknown value type', { keys: [{ key: 'k', type: 13, value: 1 }] }, /'k' has unknown type 13/],
  ['a bool of 2', { keys: [{ key: 'k', type: 'bool', value: 2 }] }, /'k' is a bool of value 2/],
  [
    'duplicate keys',
    { keys: [{ key: 'k', type: 'u8', value: 1 }, { key: 'k', type: 'u8', value: 1 }] },
    /duplicate key 'k'/,
  ],
  [
    'an array of -1 elements',
    { keys: [{ key: 'k', type: 'array', value: [], claimedCount: -1n }] },
    /length of 'k' is absurd/,
  ],
  [
    'an array longer than the file',
    { keys: [{ key: 'k', type: 'array', elementType: 'u8', value: [], claimedCount: 3_000_000 }] },
    /claims 3000000 elements of 'k'/,
  ],
  [
    'an array of arrays',
    { keys: [{ key: 'k', type: 'array', elementType: 'array', value: [] }] },
    /'k' is an array of arrays/,
  ],
  ['duplicate tensors', { tensors: [F32('t', 4), F32('t', 4)] }, /duplicate tensor 't'/],
  ['no dimensions', { tensors: [F32('t')] }, /'t' has 0 dimensions/],
  ['5 dimensions', { tensors: [F32('t', 1, 1, 1, 1, 1)] }, /'t' has 5 dimensions/],
  ['a dimension of 0', { tensors: [F32('t', 4, 0)] }, /'t' has shape \[0, 4\]/],
  ['a dimension of -1', { tensors: [F32('t', -1n)] }, /dimension of tensor 't' is absurd/],
  ['a product that overflows', { tensors: [F32('t', 2 ** 32, 2 ** 32)] }, /'t' has shape/],
  ['a byte size that overflows', { tensors: [F32('t', 2 ** 52)] }, /can't have shape/],
  ['an unknown tensor type', { tensors: [{ name: 't', dims: [32], type: 99 }] }, /'t' has unknown type 99/],
  ['a removed tensor type', { tensors: [{ name: 't', dims: [32], type: 4 }] }, /'t' has unknown type 4/],
  ['rows of no whole block', { tensors: [{ name: 't', dims: [33], type: 2 }] }, /Q4_0 can't have shape \[33\]/],
  ['a misaligned offset', { tensors: [{ name: 't', dims: [4], offset: 4 }] }, /'t' is misaligned/],
  ['an offset of -1', { tensors: [{ name: 't', dims: [4], offset: -1n }] }, /offset of tensor 't' is absurd/],
  ['an offset past the end', { tensors: [{ name: 't', dims: [4], offset: 4096 }] }, /truncated: tensor 't'/],
  ['overlapping tensors', { tensors: [F32('t', 64), { name: 'u', dims: [64], offset: 32 }] }, /'t' and 'u' overlap/],
  ['equal offsets', { tensors: [F32('t', 4), { name: 'u', dims: [4], offset: 0 }] }, /overlap/],
  ['short data', { tensors: [F32('t', 64)], cut: 1 }, /truncated: tensor 't' ends at byte/],
  ...[0, 3, 48, 2 ** 21].map((alignment): [string, GgufSpec, RegExp] => [
    `an alignment of ${alignment}`,
    { keys: [{ key: 'general.alignment', type: 'u32', value: alignment }] },
    /general.alignment is/,
  ]),
  [
    'an alignment that is a string',
    { keys: [{ key: 'general.alignment', type: 'string', value: '32' }] },
    /general.alignment is '32'/,
  ],
];

describe('refused in one line that names the file:', () => {
  test.each(MALFORMED)('%s', (_what, spec, message) => {
    const error = refusal(() => read(buildGguf(spec)));
    expect(error.code).toMatch(/^E_MODEL_(INVALID|UNSUPPORTED)$/);
    expect(error.message).toMatch(message);
    expect(error.message.startsWith(`${file}: `)).toBe(true);
  });

  test('a tensor type that ggml knows and this runtime does not', () => {
    const error = refusal(() => read(buildGguf({ tensors: [{ name: 't', dims: [256], type: 23 }] })));
    expect(error).toMatchObject({ code: 'E_MODEL_UNSUPPORTED', message: expect.stringContaining("'t' is IQ4_XS") });
    expect(error.hint).toContain('Q4_K');
  });

  test('an empty file, a directory, no file', () => {
    expect(refusal(() => read(new Uint8Array())).code).toBe('E_MODEL_INVALID');
    expect(refusal(() => readGguf(directory)).message).toBe(`${directory}: not a regular file`);
    expect(refusal(() => readGguf(join(directory, 'none'))).code).toBe('E_MODEL_NOT_FOUND');
  });
});

/** The whole way a file goes (header, configuration, tensor table, tokenizer); only errors of ours may come of it. */
function isRefused(): boolean {
  try {
    const { metadata } = openGgufModel(file);
    tokenizerFromGguf(metadata).encode('hello <|im_start|> world 123');
    return false;
  } catch (error) {
    if (!(error instanceof JsgError)) throw error;
    return true;
  }
}

test('every truncation of a file is refused', () => {
  const bytes = tinyGguf();
  writeFile(file, bytes);
  expect(isRefused()).toBe(false);
  const { tensors } = readGguf(file);
  const end = Math.max(...tensors.map(({ offset, nbytes }) => offset + nbytes));
  const headerEnd = Math.min(...tensors.map(({ offset }) => offset));
  for (let length = end - 1; length >= 0; length -= length > headerEnd ? 97 : 1) {
    truncateSync(file, length);
    expect(isRefused(), `${length} of ${bytes.length} bytes`).toBe(true);
  }
}, 60_000);

test('flipped bits give an error of ours or a valid model, and take no memory', () => {
  const random = randomNumbers(20260901);
  const sound = tinyGguf();
  writeFile(file, sound);
  const headerEnd = Math.min(...readGguf(file).tensors.map(({ offset }) => offset));
  const before = process.memoryUsage().rss;
  const handle = openSync(file, 'r+');
  let refused = 0;
  for (let i = 0; i < 4000; i++) {
    const flips = Array.from({ length: 1 + random(3) }, () => ({ at: random(headerEnd), bit: 1 << random(8) }));
    for (const { at, bit } of flips) writeSync(handle, Uint8Array.of((sound[at] as number) ^ bit), 0, 1, at);
    if (isRefused()) refused++;
    for (const { at } of flips) writeSync(handle, sound, at, 1, at);
  }
  closeSync(handle);
  expect(refused).toBeGreaterThan(400);
  expect(process.memoryUsage().rss - before).toBeLessThan(256 << 20);
}, 60_000);
