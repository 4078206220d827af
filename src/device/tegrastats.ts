/** A line of tegrastats, from R28 to R39. Pure. */

export interface Stats {
  /** MiB, as printed. Null: the field is not there. */
  ramTotalMib: number | null;
  /** No field in a line that is otherwise whole: the board has no swap at all. */
  swapTotalMib: number | null;
  /** Percent. */
  gpuLoad: number | null;
  gpuMhz: number | null;
  emcMhz: number | null;
  /** Sensor -> degrees Celsius. */
  celsius: Record<string, number>;
  /** Rail -> milliwatts now. */
  milliwatts: Record<string, number>;
}

/** The last whole line; null: no such text. */
export function parseTegrastats(text: string): Stats | null {
  const line = text.split('\n').findLast((each) => /\bRAM \d+\/\d+MB/.test(each));
  if (line === undefined) return null;
  const number = (pattern: RegExp) => {
    const digits = pattern.exec(line)?.[1];
    return digits === undefined ? null : Number(digits);
  };
  // `tj@52.8C`; older releases print `GPU@45C`. PMIC@100C is a constant of R32, not a reading.
  const sensors = [...line.matchAll(/\b([\w.-]+)@(-?\d+(?:\.\d+)?)C\b/g)].filter(([, name]) => name !== 'PMIC');
  // `VDD_IN 4543mW/4543mW`; R32 leaves the unit out.
  const rails = [...line.matchAll(/\b((?:VDD|VIN|POM|NC|CPU|GPU|SOC|CV|SYS)\w*) (\d+)(?:mW)?\/(\d+)(?:mW)?(?=\s|$)/g)];
  return {
    ramTotalMib: number(/\bRAM \d+\/(\d+)MB/),
    swapTotalMib: number(/\bSWAP \d+\/(\d+)MB/),
    gpuLoad: number(/\bGR3D_FREQ (\d+)%/),
    gpuMhz: number(/\bGR3D_FREQ \d+%@\[?(\d+)/),
    emcMhz: number(/\bEMC_FREQ \d+%@(\d+)/),
    celsius: Object.fromEntries(sensors.map(([, name = '', degrees]) => [name, Number(degrees)])),
    milliwatts: Object.fromEntries(rails.map(([, name = '', now]) => [name, Number(now)])),
  };
}
