/**
 * The boards that `jsg plan` knows, as data. A mode's clocks are those of NVIDIA's nvpmodel configurations (L4T R35 and
 * R36, as LineageOS' device trees for Orin and Xavier carry them), unbounded clocks those of jetson_clocks on a board or of
 * the data sheet. Null: not known, and then nothing is predicted from it.
 */

export interface PowerMode {
  /** `nvpmodel -m` takes it. */
  id: number;
  name: string;
  /** Budget of the mode; where it has none, the most that NVIDIA says the module draws. */
  watts: number | null;
  gpuMhz: number | null;
  /** Streaming multiprocessors that are powered; a TPC has two. */
  numSms: number | null;
  emcMhz: number | null;
}

export interface BoardSpec {
  id: string;
  name: string;
  /** Other names a person may give. */
  aliases: readonly string[];
  partNumbers: readonly string[];
  /** The clocks of a Super flash. */
  isSuper: boolean;
  /** As sold. */
  ramGib: number;
  /** What Linux calls MemTotal, from tegrastats of such a board; null: not seen. */
  memTotalMib: number | null;
  /** At `emcMhz`, as NVIDIA states it. */
  nominalGBs: number;
  /** Of the memory, at its fastest. */
  emcMhz: number;
  /** The most that a public run has read; null: none known. */
  provenGBs: number | null;
  /** Compute capability times ten. */
  sm: number;
  /** Dense tensor-core operations of one SM in one clock; a fused multiply-add counts as two. */
  fp16PerSmClock: number;
  int8PerSmClock: number;
  /** The fastest first: it is what a plan takes unless told otherwise. */
  modes: readonly PowerMode[];
}

const mode = (
  id: number,
  name: string,
  watts: number | null,
  gpuMhz: number | null,
  numSms: number | null,
  emcMhz: number | null,
): PowerMode => ({ id, name, watts, gpuMhz, numSms, emcMhz });

/** 64 tensor cores at 1.3 GHz are 85 dense int8 TOPS, half of them in fp16. */
const ORIN = { sm: 87, fp16PerSmClock: 2048, int8PerSmClock: 4096 } as const;
/** Memory of 128 bits, at LPDDR5-6400 and as JetPack 5 bounds it on the Orin Nano. */
const NARROW = { nominalGBs: 102.4, emcMhz: 3199, provenGBs: null } as const;
const NARROW_2133 = { nominalGBs: 68.3, emcMhz: 2133, provenGBs: null } as const;

export const BOARDS: readonly BoardSpec[] = [
  {
    ...ORIN,
    id: 'agx-orin-64gb',
    name: 'Jetson AGX Orin 64GB',
    aliases: ['agx-orin', 'orin-agx', 'orin-agx-64gb'],
    partNumbers: ['p3701-0005', 'p3701-0000', 'p3701-0001', 'p3701-0002', 'p3701-0008'],
    isSuper: false,
    ramGib: 64,
    memTotalMib: 62841,
    nominalGBs: 204.8,
    emcMhz: 3199,
    // SGLang's documented 11.19 and 11.34 token/s of an 8B model in fp16.
    provenGBs: 170,
    modes: [
      mode(0, 'MAXN', 60, 1300.5, 16, 3199),
      mode(3, 'MODE_50W', 50, 816, 16, 3199),
      mode(2, 'MODE_30W', 30, 612, 8, 3199),
      mode(1, 'MODE_15W', 15, 408, 6, 2133),
    ],
  },
  {
    ...ORIN,
    id: 'agx-orin-32gb',
    name: 'Jetson AGX Orin 32GB',
    aliases: ['orin-agx-32gb'],
    partNumbers: ['p3701-0004', 'p3701-0000', 'p3701-0001'],
    isSuper: false,
    ramGib: 32,
    memTotalMib: 30697,
    nominalGBs: 204.8,
    emcMhz: 3199,
    provenGBs: null,
    modes: [
      mode(0, 'MAXN', 40, 930.75, 14, 3199),
      mode(3, 'MODE_40W', 40, 816, 14, 3199),
      mode(2, 'MODE_30W', 30, 612, 8, 3199),
      mode(1, 'MODE_15W', 15, 408, 6, 2133),
    ],
  },
  {
    ...ORIN,
    ...NARROW,
    id: 'orin-nx-16gb',
    name: 'Jetson Orin NX 16GB',
    aliases: ['orin-nx'],
    partNumbers: ['p3767-0000'],
    isSuper: false,
    ramGib: 16,
    memTotalMib: 15656,
    modes: [
      mode(0, 'MAXN', 25, 918, 8, 3199),
      mode(2, '15W', 15, 612, 4, 3199),
      mode(1, '10W', 10, 612, 4, 2133),
      mode(3, '25W', 25, 408, 8, 3199),
    ],
  },
  {
    ...ORIN,
    ...NARROW,
    id: 'orin-nx-16gb-super',
    name: 'Jetson Orin NX 16GB Super',
    aliases: ['orin-nx-super'],
    partNumbers: ['p3767-0000'],
    isSuper: true,
    ramGib: 16,
    memTotalMib: 15656,
    modes: [
      mode(0, 'MAXN_SUPER', 40, 1173, 8, 3199),
      mode(4, '40W', 40, 1173, 8, 3199),
      mode(2, '15W', 15, 612, 4, 3199),
      mode(1, '10W', 10, 612, 4, 2133),
      mode(3, '25W', 25, 408, 8, 3199),
    ],
  },
  {
    ...ORIN,
    ...NARROW,
    id: 'orin-nx-8gb',
    name: 'Jetson Orin NX 8GB',
    aliases: [],
    partNumbers: ['p3767-0001'],
    isSuper: false,
    ramGib: 8,
    memTotalMib: null,
    modes: [
      mode(0, 'MAXN', 20, 765, 8, 3199),
      mode(2, '15W', 15, 612, 4, 3199),
      mode(1, '10W', 10, 612, 4, 2133),
      mode(3, '20W', 20, 408, 8, 3199),
    ],
  },
  {
    ...ORIN,
    ...NARROW,
    id: 'orin-nx-8gb-super',
    name: 'Jetson Orin NX 8GB Super',
    aliases: [],
    partNumbers: ['p3767-0001'],
    isSuper: true,
    ramGib: 8,
    memTotalMib: null,
    modes: [
      mode(0, 'MAXN_SUPER', 40, 1173, 8, 3199),
      mode(4, '40W', 40, 1173, 8, 3199),
      mode(2, '15W', 15, 612, 4, 3199),
      mode(1, '10W', 10, 612, 4, 2133),
      mode(3, '20W', 20, 408, 8, 3199),
    ],
  },
  {
    ...ORIN,
    ...NARROW_2133,
    id: 'orin-nano-8gb',
    name: 'Jetson Orin Nano 8GB',
    aliases: ['orin-nano'],
    partNumbers: ['p3767-0003', 'p3767-0005'],
    isSuper: false,
    ramGib: 8,
    memTotalMib: 7620,
    modes: [mode(0, '15W', 15, 624.75, 8, 2133), mode(1, '7W', 7, 408, 4, 2133)],
  },
  {
    ...ORIN,
    ...NARROW,
    id: 'orin-nano-8gb-super',
    name: 'Jetson Orin Nano 8GB Super',
    aliases: ['orin-nano-super', 'orin-nano-super-8gb'],
    partNumbers: ['p3767-0003', 'p3767-0005'],
    isSuper: true,
    ramGib: 8,
    memTotalMib: 7620,
    modes: [
      mode(2, 'MAXN_SUPER', 25, 1020, 8, 3199),
      mode(1, '25W', 25, 918, 8, 3199),
      mode(0, '15W', 15, 612, 8, 2133),
      mode(3, '7W', 7, 408, 4, 2133),
    ],
  },
  {
    ...ORIN,
    id: 'orin-nano-4gb',
    name: 'Jetson Orin Nano 4GB',
    aliases: [],
    partNumbers: ['p3767-0004'],
    isSuper: false,
    ramGib: 4,
    memTotalMib: null,
    nominalGBs: 34.1,
    emcMhz: 2133,
    provenGBs: null,
    modes: [mode(0, '10W', 10, 624.75, 4, 2133), mode(1, '7W_AI', 7, 408, 4, 2133), mode(2, '7W_CPU', 7, 306, 4, 2133)],
  },
  {
    ...ORIN,
    id: 'orin-nano-4gb-super',
    name: 'Jetson Orin Nano 4GB Super',
    aliases: ['orin-nano-super-4gb'],
    partNumbers: ['p3767-0004'],
    isSuper: true,
    ramGib: 4,
    memTotalMib: null,
    nominalGBs: 51.2,
    emcMhz: 3199,
    provenGBs: null,
    modes: [
      mode(2, 'MAXN_SUPER', 25, 1020, 4, 3199),
      mode(1, '25W', 25, 1020, 4, 3199),
      mode(0, '10W', 10, 612, 4, 2133),
    ],
  },
  {
    id: 'agx-thor',
    name: 'Jetson AGX Thor',
    aliases: ['thor', 'agx-thor-128gb', 't5000'],
    partNumbers: ['p3834-0008'],
    isSuper: false,
    ramGib: 128,
    memTotalMib: 125771,
    nominalGBs: 273,
    emcMhz: 4266,
    provenGBs: null,
    sm: 110,
    // NVIDIA's 1035 dense fp4 TFLOPS are 258 in fp16 at 20 SMs and 1575 MHz.
    fp16PerSmClock: 8192,
    int8PerSmClock: 16384,
    // The clocks of the bounded modes are in none of our sources.
    modes: [
      mode(0, 'MAXN', 130, 1575, 20, 4266),
      mode(1, '120W', 120, null, 20, null),
      mode(2, '90W', 90, null, null, null),
      mode(3, '70W', 70, null, null, null),
    ],
  },
  {
    id: 'agx-xavier',
    name: 'Jetson AGX Xavier 32GB',
    aliases: ['xavier', 'agx-xavier-32gb'],
    partNumbers: ['p2888-0004', 'p2888-0003', 'p2888-0001'],
    isSuper: false,
    ramGib: 32,
    memTotalMib: 31919,
    nominalGBs: 136.5,
    emcMhz: 2133,
    provenGBs: null,
    sm: 72,
    // 64 tensor cores at 1.377 GHz: 11 TFLOPS in fp16, 22 TOPS in int8.
    fp16PerSmClock: 1024,
    int8PerSmClock: 2048,
    modes: [
      mode(0, 'MAXN', null, 1377, 8, 2133),
      ...['ALL', '6CORE', '4CORE', '2CORE'].map((cores, i) => mode(3 + i, `MODE_30W_${cores}`, 30, 900, 8, 1600)),
      mode(2, 'MODE_15W', 15, 670, 8, 1331.2),
      mode(7, 'MODE_15W_DESKTOP', 15, 670, 8, 1331.2),
      mode(1, 'MODE_10W', 10, 520, 4, 1065.6),
    ],
  },
];
