/** The built command line, as a person runs it. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const BIN = fileURLToPath(new URL('../../bin/jsg.js', import.meta.url));

export interface Finished {
  code: number | null;
  stdout: string;
  stderr: string;
  elapsedMs: number;
}

/** A jsg that is running; its output is collected. */
export class Jsg {
  stdout = '';
  stderr = '';
  readonly child: ChildProcessWithoutNullStreams;
  readonly finished: Promise<Finished>;

  constructor(args: string[], env: Record<string, string> = {}) {
    const begunMs = performance.now();
    this.child = spawn(process.execPath, [BIN, ...args], { env: { ...process.env, NO_COLOR: '1', ...env } });
    this.child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    this.child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.finished = new Promise((resolve) => {
      this.child.once('close', (code) => {
        resolve({ code, stdout: this.stdout, stderr: this.stderr, elapsedMs: performance.now() - begunMs });
      });
    });
  }

  /** The first match in stdout, once it is there; rejects when jsg ends without it. */
  async waitFor(pattern: RegExp): Promise<RegExpExecArray> {
    let ended: Finished | null = null;
    void this.finished.then((finished) => {
      ended = finished;
    });
    for (;;) {
      const match = pattern.exec(this.stdout);
      if (match) return match;
      if (ended) throw new Error(`jsg ended without ${pattern}:\n${this.stdout}${this.stderr}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Sends a signal and waits for the end. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<Finished> {
    this.child.kill(signal);
    return this.finished;
  }
}

/** Runs jsg to its end, with `input` on its stdin. */
export async function jsg(args: string[], { input = '', env = {} as Record<string, string> } = {}): Promise<Finished> {
  const running = new Jsg(args, env);
  running.child.stdin.end(input);
  return running.finished;
}
