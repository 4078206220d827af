import { truncateSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { JsgError } from '../../../src/errors.js';
import { readSafetensors } from '../../../src/model/safetensors.js';
import { randomNumbers, refusal, temporaryDirectory, writeFile } from './temporary.js';
import { buildSafetensors, withHeader } from './tiny-models.js';

const file = join(temporaryDirectory(), 'model.safetensors');

function read(bytes: Uint8Array) {
  return readSafetensors(writeFile(file, bytes));
}

const sound = buildSafetensors({
  a: { dtype: 'F32', shape: [2, 3], data: new Uint8Array(24) },
  'naïve "b"': { dtype: 'BF16', shape: [], data: new Uint8Array(2) },
  c: { dtype: 'I64', shape: [0, 4], data: new Uint8Array(0) },
});

test('a sound file', () => {
  const start = sound.length - 26;
  expect(read(sound)).toEqual([
    { name: 'a', dtype: 'F32', shape: [2, 3], offset: start, nbytes: 24 },
    { name: 'naïve "b"', dtype: 'BF16', shape: [], offset: start + 24, nbytes: 2 },
    { name: 'c', dtype: 'I64', shape: [0, 4], offset: start + 26, nbytes: 0 },
  ]);
});

/** A header of one tensor (and maybe more) over `size` bytes of data. */
const header = (text: string, size = 16): Buffer => withHeader(text, new Uint8Array(size));
const one = (info: string, size = 16): Buffer => header(`{"t":${info}}`, size);
const two = (t: string, u: string, size = 16): Buffer =>
  header(
    `{"t":{"dtype":"F32","shape":[2],"data_offsets":${t}},"u":{"dtype":"F32","shape":[2],"data_offsets":${u}}}`,
    size,
  );

// biome-ignore format: a table
const MALFORMED: [what: string, bytes: Uint8Array, message: RegExp][] = [
  ['no file to speak of', new Uint8Array(7), /truncated/],
  ['a header longer than 100 MB', withHeader('{}', new Uint8Array(), 100_000_001), /more than 100000000/],
  ['a header longer than the file', withHeader('{}', new Uint8Array(), 3), /truncated: header of 3 bytes/],
  ['a header length of -1', Buffer.concat([Buffer.alloc(8, 0xff), Buffer.from('{}')]), /header length is absurd/],
  ['a header that is not JSON', header('{"t":'), /not valid JSON/],
  ['a header that is a list', header('[]'), /no JSON object/],
  ['a header that is null', header('null'), /no JSON object/],
  ['duplicate tensors', header('{"t":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},"t":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}'), /duplicate keys/],
  ['duplicate fields', one('{"dtype":"F16","dtype":"F32","shape":[4],"data_offsets":[0,16]}'), /duplicate keys/],
  ['duplicate __proto__', header('{"__proto__":{},"__proto__":{}}', 0), /duplicate keys/],
  ['a tensor that is a string', one('"F32"'), /'t' is described by/],
  ['an unknown dtype', one('{"dtype":"F31","shape":[4],"data_offsets":[0,16]}'), /'t' has unknown dtype 'F31'/],
  ['a dtype out of Object', one('{"dtype":"constructor","shape":[4],"data_offsets":[0,16]}'), /unknown dtype/],
  ['no dtype', one('{"shape":[4],"data_offsets":[0,16]}'), /unknown dtype/],
  ['a shape that is a number', one('{"dtype":"F32","shape":4,"data_offsets":[0,16]}'), /has shape '4'/],
  ['a negative dimension', one('{"dtype":"F32","shape":[-4],"data_offsets":[0,16]}'), /has shape/],
  ['a fraction', one('{"dtype":"F32","shape":[4.5],"data_offsets":[0,18]}'), /has shape/],
  ['9 dimensions', one('{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,4],"data_offsets":[0,16]}'), /has shape/],
  ['a product that overflows', one('{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,16]}'), /span of 16 bytes/],
  ['one offset', one('{"dtype":"F32","shape":[4],"data_offsets":[16]}'), /data_offsets/],
  ['a negative offset', one('{"dtype":"F32","shape":[4],"data_offsets":[-16,0]}'), /data_offsets/],
  ['an end before the begin', one('{"dtype":"F32","shape":[4],"data_offsets":[16,0]}'), /ends at 0, before it begins at 16/],
  ['a span that differs from the shape', one('{"dtype":"F32","shape":[3],"data_offsets":[0,16]}'), /F32 \[3\] has a span of 16/],
  ['overlapping tensors', two('[0,8]', '[4,12]', 12), /'u' overlaps/],
  ['equal spans', two('[0,8]', '[0,8]', 8), /overlaps/],
  ['a hole', two('[0,8]', '[12,20]', 20), /hole of 4 bytes before tensor 'u'/],
  ['a hole at the start', one('{"dtype":"F32","shape":[3],"data_offsets":[4,16]}'), /hole of 4 bytes/],
  ['short data', one('{"dtype":"F32","shape":[4],"data_offsets":[0,16]}', 15), /truncated: tensor 't'/],
  ['data past the end of the file', one('{"dtype":"F32","shape":[1024],"data_offsets":[0,4096]}'), /truncated/],
  ['bytes after the last tensor', one('{"dtype":"F32","shape":[4],"data_offsets":[0,16]}', 17), /1 bytes after the last/],
];

describe('refused in one line that names the file:', () => {
  test.each(MALFORMED)('%s', (_what, bytes, message) => {
    const error = refusal(() => read(bytes));
    expect(error.code).toBe('E_MODEL_INVALID');
    expect(error.message).toMatch(message);
    expect(error.message.startsWith(`${file}: `)).toBe(true);
  });
});

test('every truncation is refused', () => {
  writeFile(file, sound);
  for (let length = sound.length - 1; length >= 0; length--) {
    truncateSync(file, length);
    expect(refusal(() => readSafetensors(file)).code).toBe('E_MODEL_INVALID');
  }
});

test('flipped bits give an error of ours or tensors inside the file', () => {
  const random = randomNumbers(42);
  for (let i = 0; i < 2000; i++) {
    const bytes = Buffer.from(sound);
    const at = random(bytes.length - 26);
    bytes[at] = (bytes[at] as number) ^ (1 << random(8));
    try {
      for (const { offset, nbytes } of read(bytes)) expect(offset + nbytes).toBeLessThanOrEqual(bytes.length);
    } catch (error) {
      if (!(error instanceof JsgError)) throw error;
    }
  }
}, 60_000);
