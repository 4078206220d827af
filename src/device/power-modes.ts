/** Power modes of the modules as NVIDIA ships them, for boards whose /etc/nvpmodel.conf cannot be read. Data. */

export interface PowerTable {
  /** Part numbers, or the first half of them. */
  parts: readonly string[];
  /** Of a board flashed for Super. */
  isSuper: boolean;
  /** First L4T that has these modes. */
  from?: string;
  /** Id -> name. */
  modes: readonly string[];
}

/**
 * Modes of the nvpmodel configurations of L4T. A table of a whole part number comes before one of its family.
 */
export const POWER_TABLES: readonly PowerTable[] = [
  { parts: ['p3834'], isSuper: false, modes: ['MAXN', '120W', '90W', '70W'] },
  {
    parts: ['p3701-0004'],
    isSuper: false,
    modes: ['MAXN', 'MODE_15W', 'MODE_30W', 'MODE_40W'],
  },
  {
    parts: ['p3701'],
    isSuper: false,
    modes: ['MAXN', 'MODE_15W', 'MODE_30W', 'MODE_50W'],
  },
  {
    parts: ['p3767-0000'],
    isSuper: false,
    modes: ['MAXN', '10W', '15W', '25W'],
  },
  {
    parts: ['p3767-0000'],
    isSuper: true,
    modes: ['MAXN_SUPER', '10W', '15W', '25W', '40W'],
  },
  {
    parts: ['p3767-0001'],
    isSuper: false,
    modes: ['MAXN', '10W', '15W', '20W'],
  },
  {
    parts: ['p3767-0001'],
    isSuper: true,
    modes: ['MAXN_SUPER', '10W', '15W', '20W', '40W'],
  },
  {
    parts: ['p3767-0003', 'p3767-0005'],
    isSuper: false,
    modes: ['15W', '7W'],
  },
  {
    parts: ['p3767-0003', 'p3767-0005'],
    isSuper: true,
    modes: ['15W', '25W', 'MAXN_SUPER', '7W'],
  },
  {
    parts: ['p3767-0004'],
    isSuper: false,
    modes: ['10W', '7W_AI', '7W_CPU'],
  },
  {
    parts: ['p3767-0004'],
    isSuper: true,
    modes: ['10W', '25W', 'MAXN_SUPER', '7W_AI', '7W_CPU'],
  },
  {
    parts: ['p2888'],
    isSuper: false,
    modes: [
      'MAXN',
      'MODE_10W',
      'MODE_15W',
      'MODE_30W_ALL',
      'MODE_30W_6CORE',
      'MODE_30W_4CORE',
      'MODE_30W_2CORE',
      'MODE_15W_DESKTOP',
    ],
  },
  {
    // JetPack 4.6 brought the 20 W modes.
    parts: ['p3668'],
    isSuper: false,
    from: '32.6',
    modes: [
      'MODE_15W_2CORE',
      'MODE_15W_4CORE',
      'MODE_15W_6CORE',
      'MODE_10W_2CORE',
      'MODE_10W_4CORE',
      'MODE_10W_DESKTOP',
      'MODE_20W_2CORE',
      'MODE_20W_4CORE',
      'MODE_20W_6CORE',
    ],
  },
  {
    parts: ['p3668'],
    isSuper: false,
    modes: ['MODE_15W_2CORE', 'MODE_15W_4CORE', 'MODE_15W_6CORE', 'MODE_10W_2CORE', 'MODE_10W_4CORE'],
  },
  { parts: ['p3448'], isSuper: false, modes: ['MAXN', '5W'] },
  {
    parts: ['p3310', 'p3489', 'p3636'],
    isSuper: false,
    modes: ['MAXN', 'MAXQ', 'MAXP_CORE_ALL', 'MAXP_CORE_ARM', 'MAXP_CORE_DENVER'],
  },
];
