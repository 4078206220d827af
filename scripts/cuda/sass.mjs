// Reads what `cuobjdump -sass` and `cuobjdump --dump-resource-usage` print. Pure functions over text.

/**
 * An instruction of a kernel: its address, its opcode with modifiers (`LDG.E.128`), for a branch its target's address, and
 * whether what follows may be reached from it.
 * @typedef {{ address: number, opcode: string, target: number | null, goesOn: boolean }} Instruction
 */

const FUNCTION = /^\s*Function : (\S+)/;
const INSTRUCTION = /^\s+\/\*([0-9a-f]{4,})\*\/\s+(@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]*)\s*([^;]*);/;

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
    const [whole, address, predicate, opcode, operands] = INSTRUCTION.exec(line) ?? [];
    if (whole === undefined || instructions === null) continue;
    const target = /^BRA\b/.test(opcode) ? /\b0x([0-9a-f]+)\s*$/.exec(operands) : null;
    // `BRA 0x10` always jumps; `BRA P1, 0x10` and `BRA.DIV ~URZ, 0x10` may go on.
    const leaves = /^(EXIT|RET|BRX)\b/.test(opcode) || (opcode === 'BRA' && !operands.includes(','));
    instructions.push({
      address: Number.parseInt(address, 16),
      opcode,
      target: target && Number.parseInt(target[1], 16),
      goesOn: !leaves || predicate !== undefined,
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

/** Writes of global memory, among them reductions and atomics. */
export const isWrite = ({ opcode }) => /^(STG|ATOM|ATOMG|RED)\b/.test(opcode);

/**
 * The steady state of the loops that stream operands: of each smallest loop that both loads global memory and multiplies,
 * on tensor cores where the kernel uses them at all, the way around that loads the most bytes while it writes nothing. So
 * what a loop does now and then, such as writing a finished tile, is left out. The whole kernel where no loop is like that.
 * @param {Instruction[]} instructions
 * @returns {Instruction[][]}
 */
export function streamingLoops(instructions) {
  const multiplies = instructions.some(isTensorCore) ? isTensorCore : isMultiply;
  const loops = instructions
    .filter(({ address, target }) => target !== null && target <= address)
    .map(({ address, target }) => ({ from: target, to: address }))
    .map((loop) => ({ ...loop, round: steadyRound(instructions, loop, multiplies) }))
    .filter(({ round }) => round !== null);
  const contains = (outer, inner) => outer.from <= inner.from && outer.to >= inner.to;
  const smallest = loops.filter((loop) => !loops.some((other) => contains(loop, other) && !contains(other, loop)));
  return smallest.length > 0 ? smallest.map(({ round }) => round) : [instructions];
}

/** See streamingLoops; null where no way around both loads and multiplies. Loops inside are passed once. */
function steadyRound(instructions, { from, to }, multiplies) {
  const body = instructions.filter(({ address }) => address >= from && address <= to);
  const indexOf = new Map(body.map(({ address }, i) => [address, i]));
  const isBetter = (way, other) =>
    !other || way.bytes > other.bytes || (way.bytes === other.bytes && way.length < other.length);
  // The best way to each instruction, apart for those that have multiplied; jumps back lead nowhere but to the beginning.
  const ways = body.map(() => [null, null]);
  ways[0][0] = { bytes: 0, length: 0, index: 0, before: null };
  let round = null;
  body.forEach((instruction, index) => {
    if (isWrite(instruction)) return;
    const followers = instruction.goesOn ? [index + 1] : [];
    if (instruction.target !== null) followers.push(indexOf.get(instruction.target));
    for (const multiplied of [0, 1]) {
      const way = ways[index][multiplied];
      if (way === null) continue;
      const after = multiplied || multiplies(instruction) ? 1 : 0;
      const bytes = way.bytes + (loadBytes(instruction.opcode) ?? 0);
      for (const next of followers) {
        const longer = { bytes, length: way.length + 1, index: next, before: way };
        if (next === 0 && after === 1 && bytes > 0 && isBetter(longer, round)) round = longer;
        if (next > index && next < body.length && isBetter(longer, ways[next][after])) ways[next][after] = longer;
      }
    }
  });
  if (round === null) return null;
  const instructionsOfRound = [];
  for (let at = round.before; at !== null; at = at.before) instructionsOfRound.push(body[at.index]);
  return instructionsOfRound.reverse();
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
