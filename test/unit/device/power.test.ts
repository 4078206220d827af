import { describe, expect, it } from 'vitest';
import { identifyBoard } from '../../../src/device/board.js';
import { parseLiveCeilings, parseModesConf, parsePowerQuery, parsePowerStatus } from '../../../src/device/nvpmodel.js';
import { highestMode, identifyPower, type PowerTexts } from '../../../src/device/power.js';

const heads = (...names: string[]) => names.map((name, id) => `< POWER_MODEL ID=${id} NAME=${name} >\n`).join('');
const query = (name: string, id?: number) => parsePowerQuery(`NV Power Mode: ${name}\n${id ?? ''}\n`);
const boardOf = (part: string, isSuper = false) =>
  identifyBoard({
    model: null,
    compatible: `nvidia,p0000-0000+${part}${isSuper ? '-super' : ''}\0`,
    bootControl: null,
    memoryBytes: 0,
  });
const nothing: PowerTexts = { conf: null, status: null, query: null, clocksMode: null };
const power = (texts: Partial<PowerTexts>, part: string | null = null, isSuper = false, l4t: string | null = null) =>
  identifyPower({ ...nothing, ...texts }, part === null ? null : boardOf(part, isSuper), l4t);

describe('parsePowerQuery', () => {
  it.each([
    ['NV Power Mode: MAXN\n0\n', { id: 0, name: 'MAXN' }],
    ['NVPM WARN: fan mode is not set!\nNV Power Mode: MAXN\n0\n', { id: 0, name: 'MAXN' }],
    ['NV Fan Mode:quiet\nNV Power Mode: MODE_30W\n2\n', { id: 2, name: 'MODE_30W' }],
    ['NV Power Mode: 15W\r\n\r\n1\r\n', { id: 1, name: '15W' }],
    ['NV Power Mode: MODE_15W_6CORE\nNV Fan Mode:cool\n2\n', { id: 2, name: 'MODE_15W_6CORE' }],
    [
      'NVPM VERB: Config file: /etc/nvpmodel.conf\nNVPM VERB: Current mode: NV Power Mode: 25W\n1\nNVPM VERB: PARAM EMC: x\n',
      { id: 1, name: '25W' },
    ],
    ['NV Power Mode[3]: MODE_40W\n', { id: 3, name: 'MODE_40W' }],
    ['NV Power Mode: MAXN_SUPER', { id: null, name: 'MAXN_SUPER' }],
  ])('%j', (text, mode) => {
    expect(parsePowerQuery(text.replaceAll('\r\n', '\n'))).toEqual(mode);
  });

  it('tells nothing of an error', () => {
    expect(parsePowerQuery('NVPM ERROR: failed to open /etc/nvpmodel.conf\n')).toBeNull();
    expect(parsePowerQuery('')).toBeNull();
  });
});

describe('parseModesConf', () => {
  const conf = `# comment < POWER_MODEL ID=9 NAME=NOT_ME >
< PARAM TYPE=FILE NAME=GPU >
MAX_FREQ /sys/devices/platform/17000000.gpu/devfreq_dev/max_freq
< POWER_MODEL ID=0 NAME=15W >
CPU_ONLINE CORE_0 1
CPU_ONLINE CORE_1 1
CPU_ONLINE CORE_2 0
TPC_POWER_GATING TPC_PG_MASK 240
GPU MAX_FREQ 612000000
EMC MAX_FREQ 2133000000
< POWER_MODEL ID=2 NAME=MAXN_SUPER >
GPU MAX_FREQ -1
EMC MAX_FREQ 0
< PM_CONFIG DEFAULT=2 >
`;

  it('reads heads, parameters and the default', () => {
    expect(parseModesConf(conf)).toEqual({
      modes: [
        {
          id: 0,
          name: '15W',
          gpuMaxHz: 612e6,
          emcMaxHz: 2133e6,
          numCpus: 2,
          gating: 'TPC_POWER_GATING TPC_PG_MASK 240;',
        },
        { id: 2, name: 'MAXN_SUPER', gpuMaxHz: Infinity, emcMaxHz: Infinity, numCpus: null, gating: '' },
      ],
      defaultId: 2,
    });
  });

  it('takes attributes in any order, and leaves a head that breaks off', () => {
    const { modes } = parseModesConf(
      '<POWER_MODEL NAME=7W ID=3>\n12:< POWER_MODEL ID=1 NAME=15W >\n< POWER_MODEL ID=4 NA',
    );
    expect(modes.map(({ id, name }) => [id, name])).toEqual([
      [3, '7W'],
      [1, '15W'],
    ]);
    expect(parseModesConf('\u0001\u0002')).toEqual({ modes: [], defaultId: null });
  });
});

it('parsePowerStatus', () => {
  expect(parsePowerStatus('pmode:0002 fmode:fan_mode_quiet\n')).toBe(2);
  expect(parsePowerStatus('pmode:0000')).toBe(0);
  expect(parsePowerStatus('')).toBeNull();
});

it('parseLiveCeilings reads the parameters of the verbose answer', () => {
  const text =
    'NVPM VERB: PARAM GPU: ARG MAX_FREQ: PATH /sys/x: REAL_VAL: 918000000 CONF_VAL: 918000000\n' +
    'NVPM VERB: PARAM EMC: ARG MAX_FREQ: PATH /sys/y: REAL_VAL: 0 CONF_VAL: 0\n';
  expect(parseLiveCeilings(text)).toEqual({ gpuHz: 918e6, emcHz: null });
});

describe('the highest mode', () => {
  it.each([
    [['MAXN', 'MODE_15W', 'MODE_30W', 'MODE_50W'], 'MAXN'],
    [['15W', '25W', 'MAXN_SUPER', '7W'], 'MAXN_SUPER'],
    [['15W', '7W'], '15W'],
    [['10W', '7W_AI', '7W_CPU'], '10W'],
    [['MODE_15W_2CORE', 'MODE_15W_6CORE', 'MODE_20W_2CORE', 'MODE_20W_6CORE', 'MODE_20W_4CORE'], 'MODE_20W_6CORE'],
    [['MODE_30W_2CORE', 'MODE_30W_ALL', 'MODE_30W_4CORE'], 'MODE_30W_ALL'],
  ])('of %j', (names, highest) => {
    expect(highestMode(parseModesConf(heads(...names)).modes)?.name).toBe(highest);
  });

  it('has the highest GPU ceiling before the most watts', () => {
    const text =
      '< POWER_MODEL ID=0 NAME=25W >\nGPU MAX_FREQ 408000000\n< POWER_MODEL ID=1 NAME=15W >\nGPU MAX_FREQ 612000000\n';
    expect(highestMode(parseModesConf(text).modes)?.name).toBe('15W');
  });

  it('is none of no modes', () => {
    expect(highestMode([])).toBeNull();
  });
});

describe('identifyPower', () => {
  const nanoSuper = heads('15W', '25W', 'MAXN_SUPER', '7W');

  it.each([
    ['25W', 1, nanoSuper, false, 'MAXN_SUPER'],
    ['15W', 0, nanoSuper, false, 'MAXN_SUPER'],
    ['MAXN_SUPER', 2, nanoSuper, true, 'MAXN_SUPER'],
    ['15W', 0, heads('15W', '7W'), true, '15W'],
    ['40W', 4, heads('MAXN_SUPER', '10W', '15W', '25W', '40W'), false, 'MAXN_SUPER'],
    ['120W', 1, heads('MAXN', '120W', '90W', '70W'), false, 'MAXN'],
  ])('%s (%i)', (name, id, conf, isMax, max) => {
    const found = power({ conf, query: query(name, id) });
    expect(found).toMatchObject({ current: { id, name }, isMax, max: { name: max }, isFromConf: true });
  });

  it('finds the id of a name, with or without MODE_, and the name of an id', () => {
    const conf = heads('MAXN', 'MODE_15W', 'MODE_30W', 'MODE_50W');
    expect(power({ conf, query: query('30W') })?.current).toEqual({ id: 2, name: '30W' });
    expect(power({ conf, status: 'pmode:0003 fmode:quiet' })).toMatchObject({
      current: { id: 3, name: 'MODE_50W' },
      source: 'status file',
      isMax: false,
    });
    expect(power({ conf, clocksMode: 'MAXN' })).toMatchObject({ current: { id: 0, name: 'MAXN' }, isMax: true });
  });

  it('asks nvpmodel before the status file', () => {
    const found = power({ conf: nanoSuper, status: 'pmode:0002', query: query('25W', 1) });
    expect(found).toMatchObject({ current: { id: 1 }, source: 'nvpmodel', savedId: 2 });
  });

  it.each([
    ['p3767-0005', true, '25W', 1, 'MAXN_SUPER'],
    ['p3767-0005', false, '15W', 0, '15W'],
    ['p3767-0001', true, '20W', 3, 'MAXN_SUPER'],
    ['p3767-0000', false, '25W', 3, 'MAXN'],
    ['p3701-0004', false, 'MODE_40W', 3, 'MAXN'],
    ['p3834-0008', false, '120W', 1, 'MAXN'],
    ['p2888-0004', false, 'MODE_30W_ALL', 3, 'MAXN'],
    ['p3448-0000', false, '5W', 1, 'MAXN'],
    ['p3310-1000', false, 'MAXP_CORE_ARM', 3, 'MAXN'],
  ])("%s without its file is judged by NVIDIA's list (Super: %s)", (part, isSuper, name, id, max) => {
    const found = power({ query: query(name, id) }, part, isSuper);
    expect(found).toMatchObject({ isFromConf: false, max: { name: max }, isMax: name === max });
  });

  it('Xavier NX has 20 W modes from JetPack 4.6 on', () => {
    const at = (l4t: string) => power({ query: query('MODE_15W_6CORE', 2) }, 'p3668-0001', false, l4t);
    expect(at('32.7.1')).toMatchObject({ isMax: false, max: { name: 'MODE_20W_6CORE' } });
    expect(at('32.4.4')).toMatchObject({ isMax: true });
  });

  it('a file without the current mode is not the active one', () => {
    const found = power({ conf: heads('15W', '7W'), query: query('MAXN_SUPER', 2) }, 'p3767-0003');
    expect(found).toMatchObject({ isFromConf: false, hasSuperMode: true, isMax: true });
  });

  it('of an unknown board only MAXN is known to be the highest', () => {
    expect(power({ query: query('MAXN', 0) })).toMatchObject({ isMax: true });
    expect(power({ query: query('15W', 2) })).toMatchObject({ isMax: null, max: null });
    expect(power({})).toBeNull();
  });
});
