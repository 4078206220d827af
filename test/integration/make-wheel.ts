/** Wheels as small as pip takes them. */
import { crc32 } from 'node:zlib';
import type { ServedFile } from './registry-server.js';

export interface WheelSpec {
  version?: string;
  /** `cp311-cp311-linux_x86_64`; default: any machine. */
  tag?: string;
  requires?: string[];
  /** Path -> text; default: an empty module of the wheel's name. */
  files?: Record<string, string>;
}

/** As an index serves it. */
export function makeWheel(name: string, spec: WheelSpec = {}, more: Partial<ServedFile> = {}): ServedFile {
  const { version = '1.0', tag = 'py3-none-any', requires = [] } = spec;
  const module = name.replaceAll('-', '_');
  const info = `${module}-${version}.dist-info`;
  const head = ['Metadata-Version: 2.1', `Name: ${name}`, `Version: ${version}`];
  const metadata = [...head, ...requires.map((text) => `Requires-Dist: ${text}`), '', 'A wheel of a test.'];
  const content = zip({
    ...(spec.files ?? { [`${module}/__init__.py`]: `__version__ = '${version}'\n` }),
    [`${info}/METADATA`]: `${metadata.join('\n')}\n`,
    [`${info}/WHEEL`]: `Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: ${tag.endsWith('any')}\nTag: ${tag}\n`,
    [`${info}/RECORD`]: '',
  });
  return { filename: `${module}-${version}-${tag}.whl`, content, ...more };
}

/** A zip of stored files. */
function zip(files: Record<string, string>): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, text] of Object.entries(files)) {
    const data = Buffer.from(text);
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt32LE(0x5a210000, 6);
    common.writeUInt32LE(crc32(data), 10);
    common.writeUInt32LE(data.length, 14);
    common.writeUInt32LE(data.length, 18);
    common.writeUInt16LE(Buffer.byteLength(name), 22);
    const local = Buffer.concat([word(0x04034b50), common, Buffer.from(name), data]);
    const tail = Buffer.alloc(14);
    // A plain file, mode 644.
    tail.writeUInt32LE(0o100644 * 65_536, 6);
    tail.writeUInt32LE(offset, 10);
    directory.push(Buffer.concat([word(0x02014b50), Buffer.from([20, 3]), common, tail, Buffer.from(name)]));
    parts.push(local);
    offset += local.length;
  }
  const size = directory.reduce((sum, entry) => sum + entry.length, 0);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(directory.length, 4);
  end.writeUInt16LE(directory.length, 6);
  end.writeUInt32LE(size, 8);
  end.writeUInt32LE(offset, 12);
  return Buffer.concat([...parts, ...directory, word(0x06054b50), end]);
}

function word(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32LE(value);
  return buffer;
}
