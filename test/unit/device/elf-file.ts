/** Makes small ELF libraries with fat binaries in them, as nvcc lays them out. */

export interface Entry {
  kind: 'sass' | 'ptx' | 'lto';
  arch: number;
  suffix?: 'a' | 'f';
  payloadBytes?: number;
}

const KINDS = { ptx: 1, sass: 2, lto: 8 };
const FLAGS = { a: 1n << 20n, f: 1n << 21n };

export function fatbin(entries: Entry[]): Buffer {
  const bodies = entries.map(({ kind, arch, suffix, payloadBytes = 24 }, i) => {
    // nvcc's headers have 64 to 120 bytes, by version and options.
    const headerBytes = 64 + 8 * (i % 4);
    const entry = Buffer.alloc(headerBytes + payloadBytes, 0x55);
    entry.fill(0, 0, headerBytes);
    entry.writeUInt16LE(KINDS[kind], 0);
    entry.writeUInt16LE(0x101, 2);
    entry.writeUInt32LE(headerBytes, 4);
    entry.writeBigUInt64LE(BigInt(payloadBytes), 8);
    entry.writeUInt32LE(arch, 28);
    entry.writeBigUInt64LE(0x2011n | (suffix ? FLAGS[suffix] : 0n), 40);
    return entry;
  });
  const body = Buffer.concat(bodies);
  const header = Buffer.alloc(16);
  header.writeUInt32LE(0xba55ed50, 0);
  header.writeUInt16LE(1, 4);
  header.writeUInt16LE(16, 6);
  header.writeBigUInt64LE(BigInt(body.length), 8);
  return Buffer.concat([header, body]);
}

export interface Library {
  machine?: 'arm64' | 'x64';
  /** Section name -> content. */
  sections?: Record<string, Buffer>;
  needed?: string[];
}

/** Sections: none, .dynstr, .dynamic, the given ones, .shstrtab; the table of sections comes last. */
export function elf({ machine = 'arm64', sections = {}, needed = [] }: Library): Buffer {
  const dynstr = Buffer.from(`\0${needed.map((name) => `${name}\0`).join('')}`, 'latin1');
  const dynamic = Buffer.alloc(16 * (needed.length + 1));
  let nameAt = 1;
  needed.forEach((name, i) => {
    dynamic.writeBigUInt64LE(1n, i * 16);
    dynamic.writeBigUInt64LE(BigInt(nameAt), i * 16 + 8);
    nameAt += name.length + 1;
  });
  const parts = [
    { name: '', type: 0, link: 0, content: Buffer.alloc(0) },
    { name: '.dynstr', type: 3, link: 0, content: dynstr },
    { name: '.dynamic', type: 6, link: 1, content: dynamic },
    ...Object.entries(sections).map(([name, content]) => ({ name, type: 1, link: 0, content })),
    { name: '.shstrtab', type: 3, link: 0, content: Buffer.alloc(0) },
  ];
  const names = Buffer.from(parts.map(({ name }) => `${name}\0`).join(''), 'latin1');
  (parts.at(-1) as { content: Buffer }).content = names;
  const file: Buffer[] = [Buffer.alloc(64)];
  const table = Buffer.alloc(64 * parts.length);
  let at = 64;
  let textAt = 0;
  parts.forEach(({ name, type, link, content }, i) => {
    const padding = (8 - (at % 8)) % 8;
    file.push(Buffer.alloc(padding), content);
    at += padding;
    table.writeUInt32LE(textAt, i * 64);
    table.writeUInt32LE(type, i * 64 + 4);
    table.writeBigUInt64LE(BigInt(at), i * 64 + 24);
    table.writeBigUInt64LE(BigInt(content.length), i * 64 + 32);
    table.writeUInt32LE(link, i * 64 + 40);
    at += content.length;
    textAt += name.length + 1;
  });
  const header = file[0] as Buffer;
  header.write('\x7fELF', 0, 'latin1');
  header.writeUInt8(2, 4);
  header.writeUInt8(1, 5);
  header.writeUInt16LE(machine === 'arm64' ? 183 : 62, 18);
  header.writeBigUInt64LE(BigInt(at), 40);
  header.writeUInt16LE(64, 58);
  header.writeUInt16LE(parts.length, 60);
  header.writeUInt16LE(parts.length - 1, 62);
  return Buffer.concat([...file, table]);
}
