// Reads what `cuobjdump -sass` and `cuobjdump --dump-resource-usage` print. Pure functions over text.

/**
 * An instruction of a kernel: its address, its opcode with modifiers (`LDG.E.128`), and for a branch its target's address.
 * @typedef {{ address: number, opcode: string, target: number | null }} Instruction
 */

const FUNCTION = /^\s*Function : (\S+)/;
const INSTRUCTION = /^\s+\/\*([0-9a-f]{4,})\*\/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]*)\s*([^;]*);/;

/** The kernels of `cuobjdump -sass`, by mangled name. */
export function parseSass(text) {
  /** @type {Map<string, Instruction[]>} */
  const kernels = new Map();
  let instructions = null;
  for (const line of text.split('\n')) {
    const name = FUNCTION.exec(line)?.[1];
    if (name !== undefined) {
      instructions = [];
      kernels.set(name, instructions);
    }
    const [whole, address, opcode, operands] = INSTRUCTION.exec(line) ?? [];
    if (whole === undefined || instructions === null) continue;
    const target = /^BRA\b/.test(opcode) ? /\b0x([0-9a-f]+)\s*$/.exec(operands) : null;
    instructions.push({
      address: Number.parseInt(address, 16),
      opcode,
      target: target && Number.parseInt(target[1], 16),
    });
  }
  return kernels;
}

/** Registers a thread, and bytes of stack and shared memory, by mangled name. */
export function parseResources(text) {
  const usage = new Map();
  let name = null;
  for (const line of text.split('\n')) {
    name = /^\s*Function (\S+):/.exec(line)?.[1] ?? name;
    const [, registers, stack, shared] = /\bREG:(\d+) STACK:(\d+) SHARED:(\d+)/.exec(line) ?? [];
    if (registers !== undefined && name !== null) {
      usage.set(name, { registers: Number(registers), stack: Number(stack), shared: Number(shared) });
    }
  }
  return usage;
}

/** Bytes a thread that a load of global memory moves, null for other instructions. LDGSTS is cp.async. */
export function loadBytes(opcode) {
  if (!/^(LDG|LDGSTS)\./.test(opcode)) return null;
  const parts = opcode.split('.');
  const bits = parts.find((part) => /^(32|64|128)$/.test(part));
  if (bits !== undefined) return Number(bits) / 8;
  if (parts.some((part) => /^[US]8$/.test(part))) return 1;
  return parts.some((part) => /^[US]16$/.test(part)) ? 2 : 4;
}

/** Loads and stores of local memory: spilled registers, and arrays indexed by what the compiler does not know. */
export const isLocal = ({ opcode }) => /^(LDL|STL)\b/.test(opcode);

const isTensorCore = ({ opcode }) => /^[HIDBQO]G?MMA\b/.test(opcode);
const isMultiply = ({ opcode }) => /^(HFMA2|FFMA|DP4A|IDP)\b/.test(opcode);

/**
 * The loops that stream operands: the smallest that both load global memory and multiply, on tensor cores where the kernel
 * uses them at all. The whole kernel where there is no such loop.
 * @param {Instruction[]} instructions
 * @returns {Instruction[][]}
 */
export function streamingLoops(instructions) {
  const multiplies = instructions.some(isTensorCore) ? isTensorCore : isMultiply;
  const streams = (body) => body.some(multiplies) && body.some(({ opcode }) => loadBytes(opcode) !== null);
  const loops = instructions
    .filter(({ address, target }) => target !== null && target < address)
    .map(({ address, target }) => ({ from: target, to: address }))
    .map((range) => ({
      ...range,
      body: instructions.filter((at) => at.address >= range.from && at.address <= range.to),
    }))
    .filter(({ body }) => streams(body));
  const contains = (outer, inner) => outer !== inner && outer.from <= inner.from && outer.to >= inner.to;
  const smallest = loops.filter((loop) => !loops.some((other) => contains(loop, other) && !contains(other, loop)));
  return smallest.length > 0 ? smallest.map(({ body }) => body) : [instructions];
}

/** Share of the bytes loaded from global memory that 128-bit loads move, of the worst of these loops; null without loads. */
export function wideShare(loops) {
  const shares = loops.flatMap((body) => {
    const bytes = body.map(({ opcode }) => loadBytes(opcode)).filter((count) => count !== null);
    const total = bytes.reduce((sum, count) => sum + count, 0);
    return total === 0 ? [] : [bytes.filter((count) => count === 16).reduce((sum, count) => sum + count, 0) / total];
  });
  return shares.length === 0 ? null : Math.min(...shares);
}
