/** What a bench is told that it could not do: said before anything starts, with the flag at fault. */
import { describe, expect, it } from 'vitest';
import { rates, real, whole, wholes } from '../../../src/commands/bench-options.js';
import { endpointOption, requireFitting, urlOption } from '../../../src/commands/bench-target-options.js';
import { datasetOption } from '../../../src/commands/bench-workload.js';

const usage = (message: string) => expect.objectContaining({ code: 'E_USAGE', message });

describe('numbers', () => {
  it('are whole, or not, or several, within their bounds', () => {
    const options = { batch: '1,8,8,2', timeout: '.5', seed: '7', requestRate: '0.5,inf' };
    expect(wholes(options, 'batch', [], { max: 8 })).toEqual([1, 8, 2]);
    expect(real(options, 'timeout', 1, { min: 0.1, max: 9 })).toBe(0.5);
    expect(whole(options, 'seed', 0, { min: 0, max: 9 })).toBe(7);
    expect(whole(options, 'repeats', 3, { max: 9 })).toBe(3);
    expect(rates(options, 'request-rate', 10)).toEqual([0.5, Number.POSITIVE_INFINITY]);
  });

  it.each(['', '0', '1,,2', '-1', '1.5', '1e3', '9', 'x', '0x2'])('refuses %j', (batch) => {
    expect(() => wholes({ batch }, 'batch', [], { max: 8 })).toThrow(
      /^--batch: '.*' is not a whole number from 1 to 8$/,
    );
  });

  it('says that a rate may be inf', () => {
    expect(() => rates({ requestRate: 'fast' }, 'request-rate', 9)).toThrow(
      "--request-rate: 'fast' is not a number from 0.001 to 9 or inf",
    );
  });
});

describe('the server', () => {
  it.each<[object, string]>([
    [{ url: 'ftp://x' }, "--url: 'ftp://x' is not a URL"],
    [{ baseUrl: 'http://u:p@x' }, '--base-url: the URL of x has a user, which would not be sent'],
    [{ url: 'http://x', extraRequestBody: '[1]' }, "--extra-request-body: '[1]' is no JSON object"],
    [{ url: 'http://x', profile: 'p' }, '--profile is of an engine that is started, and --url names one that runs'],
    [
      { url: 'http://x', contextLength: '9' },
      '--context-length is of an engine that is started, and --url names one that runs',
    ],
    [{ model: 'm' }, '--model goes with --url'],
    [{ root: '/no/such/folder' }, '--root: /no/such/folder is no directory'],
    [{ ignoreEos: true, disableIgnoreEos: true }, '--ignore-eos and --disable-ignore-eos: one of them'],
  ])('%j is refused', (options, message) => {
    expect(() => requireFitting({ ...options })).toThrow(usage(message));
  });

  it('takes what fits', () => {
    expect(() => requireFitting({ url: 'http://x/v1/', model: 'm', apiKey: 'k', root: '/' })).not.toThrow();
    expect(() => requireFitting({ profile: 'p', contextLength: '512' })).not.toThrow();
    expect(urlOption({ baseUrl: 'x:1/v1' })).toBe('http://x:1');
    expect(endpointOption({ endpoint: '/v1/chat/completions' })).toBe('chat');
    expect(endpointOption({ backend: 'sglang-oai' })).toBe('completions');
    expect(endpointOption({})).toBeNull();
  });
});

describe('the data set', () => {
  it.each<[object, string]>([
    [{ gspNumGroups: '3' }, '--gsp-num-groups does not go with --dataset-name random'],
    [{ outputLen: '3' }, '--output-len does not go with --dataset-name random'],
    [
      { datasetName: 'generated-shared-prefix', randomInputLen: '9' },
      '--random-input-len does not go with --dataset-name generated-shared-prefix',
    ],
    [
      { datasetName: 'sharegpt', datasetPath: '/x', randomRangeRatio: '0.5' },
      '--random-range-ratio does not go with --dataset-name sharegpt',
    ],
    [{ datasetName: 'custom' }, '--dataset-name custom needs --dataset-path FILE'],
    [{ datasetPath: '/no/such/file' }, '--dataset-path: /no/such/file cannot be read (ENOENT)'],
  ])('%j is refused', (options, message) => {
    expect(() => datasetOption({ ...options })).toThrow(usage(message));
  });

  it('takes ranges of lengths for both that are made of words', () => {
    for (const datasetName of ['random', 'generated-shared-prefix']) {
      expect(datasetOption({ datasetName, randomRangeRatio: '0.5' }).described).toMatchObject({ rangeRatio: 0.5 });
    }
  });
});
