import { describe, expect, it } from 'vitest';
import { givenFlags } from '../../../src/commands/settings.js';
import { FLAG_NAMES } from '../../../src/profile/flags.js';
import { loadProfile, parseProfile } from '../../../src/profile/profile.js';
import { resolveSettings } from '../../../src/profile/resolve.js';
import { requireSuitable } from '../../../src/profile/suitability.js';
import { laptop, orin } from '../device/machines.js';

describe('resolveSettings', () => {
  const profile = parseProfile('description: x\nport: 1111\ndtype: half\n', 'p.yaml');

  it('puts flags over the profile, the profile over the defaults', () => {
    const { settings, origins } = resolveSettings(profile, laptop, { port: 2222 });
    expect(settings).toMatchObject({ port: 2222, dtype: 'half', host: '127.0.0.1', device: 'cpu' });
    expect(origins).toMatchObject({ port: 'flag', dtype: 'profile', host: 'default', device: 'device' });
  });

  it('decides every setting', () => {
    const { settings, origins } = resolveSettings(null, laptop, {});
    expect(Object.keys(settings)).toEqual(FLAG_NAMES);
    expect(Object.keys(origins)).toEqual(FLAG_NAMES);
    expect(Object.values(settings)).not.toContain(undefined);
  });

  it("keeps SGLang's defaults", () => {
    const { settings } = resolveSettings(null, laptop, {});
    expect(settings).toMatchObject({ host: '127.0.0.1', port: 30000, dtype: 'auto', 'max-queued-requests': 256 });
  });

  it('lets a flag that is false or 0 win as well', () => {
    const loud = parseProfile('description: x\ninsecure: true\nnum-threads: 4\n', 'p.yaml');
    const { settings } = resolveSettings(loud, laptop, { insecure: false, 'num-threads': 0 });
    expect(settings).toMatchObject({ insecure: false, 'num-threads': 0 });
  });
});

describe('a key on the command line', () => {
  const withFile = parseProfile('description: x\napi-key-file: /etc/keys\n', 'p.yaml');

  it("stands over a profile's file of keys, which is followed only where its keys are in use", () => {
    const own = resolveSettings(withFile, laptop, { 'api-key': 'k' });
    expect(own.settings).toMatchObject({ 'api-key': 'k', 'api-key-file': null });
    const ofFile = resolveSettings(withFile, laptop, { 'api-key': 'k', 'api-key-file': '/etc/keys' });
    expect(ofFile.settings).toMatchObject({ 'api-key': 'k', 'api-key-file': '/etc/keys' });
  });
});

describe('givenFlags', () => {
  it('reads the texts of a command line', () => {
    const flags = givenFlags({ port: '0', memFractionStatic: '0.5', insecure: true, modelPath: 'x', profile: 'y' });
    expect(flags).toEqual({ port: 0, 'mem-fraction-static': 0.5, insecure: true, 'model-path': 'x' });
  });

  it.each([
    [{ port: 'http' }, "--port: 'http' is not a whole number from 0 to 65535"],
    [{ port: '' }, '--port'],
    [{ port: '0x10' }, '--port'],
    [{ port: '70000' }, '--port'],
    [{ port: '-1' }, '--port'],
    [{ port: '1e3' }, '--port'],
    [{ contextLength: '0' }, '--context-length'],
    [{ dtype: 'fp16' }, "--dtype: 'fp16' is not one of auto, half, float16, bfloat16, float32"],
    [{ modelPath: '' }, '--model-path'],
  ])('refuses %j', (options, message) => {
    expect(() => givenFlags(options)).toThrow(message);
  });
});

describe('requireSuitable', () => {
  const resolve = (name: string, flags = {}) => resolveSettings(loadProfile(name), laptop, flags).settings;

  it('lets the embedded default run anywhere', () => {
    for (const device of [laptop, orin]) {
      expect(() => requireSuitable('profile smollm2', resolve('smollm2'), device)).not.toThrow();
    }
  });

  it.each(['flashinfer-fp16', 'torch-native', 'triton', 'flashinfer-int4wo-128', 'xgrammar-int4wo-128'])(
    'refuses %s without a GPU, in one line that names what would run',
    (name) => {
      const refuse = () => requireSuitable(`profile ${name}`, resolve(name), laptop);
      expect(refuse).toThrow(expect.objectContaining({ code: 'E_DEVICE_UNSUITABLE' }));
      expect(refuse).toThrow(new RegExp(`^profile ${name} needs CUDA: [^\\n]*jsg launch --profile smollm2[^\\n]*$`));
    },
  );

  it.each(['flashinfer-fp16', 'torch-native', 'triton', 'flashinfer-int4wo-128', 'xgrammar-int4wo-128'])(
    'lets %s run where there is a GPU',
    (name) => {
      expect(() => requireSuitable('x', resolve(name), orin)).not.toThrow();
    },
  );

  it.each([
    ['flashinfer-fp16', { 'torchao-config': 'fp8wo' }, '--torchao-config fp8wo'],
    ['flashinfer-fp16', { dtype: 'float32' }, '--dtype float32'],
    ['flashinfer-fp16', { 'kv-cache-dtype': 'float32' }, '--kv-cache-dtype float32'],
  ])('refuses what the GPU does not have yet: %s with %j', (name, flags, message) => {
    expect(() => requireSuitable(`profile ${name}`, resolve(name, flags), orin)).toThrow(message);
  });

  it('lets the profiles with int4 weights run on a CPU, but for their attention kernels', () => {
    const flags = { device: 'cpu', 'attention-backend': 'auto' } as const;
    const settings = resolve('flashinfer-int4wo-128', flags);
    expect(() => requireSuitable('x', settings, laptop)).not.toThrow();
  });

  it.each([
    ['flashinfer-int4wo-128', { device: 'cpu' }, '--attention-backend flashinfer'],
    ['smollm2', { 'torchao-config': 'fp8wo' }, 'int8wo takes as many bytes'],
    ['triton', { device: 'cpu' }, '--attention-backend triton'],
    ['smollm2', { dtype: 'bfloat16' }, '--dtype bfloat16'],
    ['smollm2', { 'kv-cache-dtype': 'bfloat16' }, '--kv-cache-dtype bfloat16 needs a GPU'],
    ['smollm2', { 'kv-cache-dtype': 'fp8_e4m3' }, 'add --kv-cache-dtype auto or float16 or float32'],
    ['smollm2', { 'kv-cache-dtype': 'int8' }, '--kv-cache-dtype int8 needs a GPU'],
    ['smollm2', { 'prefill-dtype': 'int8' }, '--prefill-dtype int8 needs a GPU'],
    ['smollm2', { 'tp-size': 2 }, "--tp-size 2 is SGLang's; add --engine sglang"],
    ['smollm2', { nnodes: 2 }, "--nnodes 2 is SGLang's"],
    ['smollm2', { restart: 'on-failure' }, 'jsg service install'],
    ['two-orin-tp2', {}, 'needs CUDA'],
  ])('%s with %j: never ignored, refused', (name, flags, message) => {
    expect(() => requireSuitable(`profile ${name}`, resolve(name, flags), laptop)).toThrow(message);
  });
});
