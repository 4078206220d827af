/** What a person sees on stderr while an engine starts: a spinner on a terminal, plain lines elsewhere. */
import ora from 'ora';
import type { Progress } from '../engine/engine.js';
import { log } from '../log.js';

/** `tell`: takes the plain lines, one a call. */
export function showProgress(tell: (line: string) => void = log.info): Progress {
  // A terminal that tells no width (0 columns: some containers and test harnesses) would have ora clear lines for ever.
  return process.stderr.isTTY && process.stderr.columns > 0 ? spinner() : lines(tell);
}

function spinner(): Progress {
  const wait = ora({ stream: process.stderr });
  let phase = '';
  return {
    begin(name) {
      phase = name;
      wait.start(name);
    },
    update(fraction, part = phase) {
      wait.text = `${part} ${Math.floor(fraction * 100)} %`;
    },
    end(outcome) {
      wait.succeed(`${phase}: ${outcome}`);
    },
    fail() {
      wait.fail(phase);
    },
  };
}

/** Between two lines about the same phase. */
const LINE_INTERVAL_MS = 5000;

/** One line a finished phase, and now and then one about a long one. */
function lines(tell: (line: string) => void): Progress {
  let phase = '';
  let shownMs = 0;
  return {
    begin(name) {
      phase = name;
      shownMs = Date.now();
    },
    update(fraction, part = phase) {
      if (Date.now() - shownMs < LINE_INTERVAL_MS) return;
      shownMs = Date.now();
      tell(`${part}: ${Math.floor(fraction * 100)} %`);
    },
    end(outcome) {
      tell(`${phase}: ${outcome}`);
    },
    fail() {},
  };
}
