/** Proves what a build has made: the file, its contents, its GPU code, and that a clean interpreter takes it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { JsgError } from '../../errors.js';
import type { Check, Plan } from '../plan.js';
import { type CheckContext, type Finding, failed } from './checks/finding.js';
import { examineGpuCode } from './checks/gpu-code.js';
import { examineImport, examineKernel } from './checks/python.js';
import { examineTorch } from './checks/torch.js';
import { examineContents, examineWheel } from './checks/wheel.js';
import type { CommandResult } from './command.js';

export interface Verdict extends Finding {
  check: Check;
}

/** Kernels may be compiled at their first launch. */
const TIMEOUT_MS = 30 * 60_000;

export interface Verifier {
  build: string;
  /** Whose environment is asked; null: there is none, and nothing needs it. */
  python: string | null;
  env: NodeJS.ProcessEnv;
  /** Takes what each check has come to. */
  tell: (line: string) => void;
  run: (command: { argv: string[]; cwd: string; env: NodeJS.ProcessEnv; timeoutMs: number }) => Promise<CommandResult>;
}

/** Never throws for what an artefact is like. Throws E_INTERRUPTED. */
export async function verify(
  { checks, device }: Plan,
  { build, python, env, run, tell }: Verifier,
): Promise<Verdict[]> {
  const cwd = mkdtempSync(join(tmpdir(), 'jsg-verify-'));
  const context: CheckContext = {
    build,
    sm: device.sm,
    isTegra: device.isJetson,
    python: (code, ...args) =>
      run({ argv: [python ?? 'python3', '-I', '-c', code, ...args], cwd, env, timeoutMs: TIMEOUT_MS }),
  };
  try {
    const verdicts: Verdict[] = [];
    for (const check of checks) {
      const finding = await examine(check, context).catch((error: unknown) => {
        if (error instanceof JsgError && error.code === 'E_INTERRUPTED') throw error;
        return failed(error instanceof Error ? error.message : String(error));
      });
      tell(`${finding.status}: ${finding.detail}`);
      verdicts.push({ check, ...finding });
    }
    return verdicts;
  } finally {
    rmSync(cwd, { recursive: true, force: true });
  }
}

async function examine(check: Check, context: CheckContext): Promise<Finding> {
  if (check.kind === 'wheel') return examineWheel(check, context);
  if (check.kind === 'contents') return examineContents(check, context);
  if (check.kind === 'sm') return examineGpuCode(check, context);
  if (check.kind === 'import') return examineImport(check, context);
  if (check.kind === 'torch') return examineTorch(check, context);
  return examineKernel(check, context);
}
