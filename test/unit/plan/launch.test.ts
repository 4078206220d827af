/** A launch refuses what does not fit before it downloads it. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { NativeBinding } from '../../../src/addon/binding.js';
import { SILENT } from '../../../src/engine/engine.js';
import { nativeEngine } from '../../../src/engine/native.js';
import { resolveSettings } from '../../../src/profile/resolve.js';
import { laptop } from '../device/machines.js';

vi.mock('../../../src/addon/binding.js', async (original) => ({
  ...(await original()),
  loadBinding: async (): Promise<Partial<NativeBinding>> => ({ hasCuda: false, cudaDevice: () => null }),
}));

const fetched = vi.fn(() => Promise.reject(new Error('no network in this test')));
beforeEach(() => {
  vi.stubGlobal('fetch', fetched);
  vi.stubEnv('HF_HUB_CACHE', '/no/such/cache');
  vi.stubEnv('HF_HUB_OFFLINE', '1');
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.unstubAllEnvs();
});

const { settings } = resolveSettings(null, laptop, {
  'model-path': 'meta-llama/Llama-3.1-70B-Instruct',
  device: 'cpu',
  port: 0,
});

it('with the table of bytes, and no download', async () => {
  await expect(nativeEngine.start(settings, laptop, SILENT)).rejects.toMatchObject({
    code: 'E_OUT_OF_MEMORY',
    message: expect.stringMatching(/weights +13\d{4}\.\d MiB/),
    hint: expect.stringContaining('--force'),
  });
  expect(fetched).not.toHaveBeenCalled();
});

it('unless --force: then it goes on to find the model', async () => {
  await expect(nativeEngine.start(settings, laptop, SILENT, { force: true })).rejects.toMatchObject({
    code: 'E_MODEL_NOT_FOUND',
  });
});
