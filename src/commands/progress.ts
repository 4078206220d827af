/** What a person sees on stderr while an engine starts: a spinner on a terminal, plain lines elsewhere. */
import ora from 'ora';
import type { Progress } from '../engine/engine.js';
import { log } from '../log.js';

export function showProgress(): Progress {
  return process.stderr.isTTY ? spinner() : lines();
}

function spinner(): Progress {
  const wait = ora({ stream: process.stderr });
  let phase = '';
  return {
    begin(name) {
      phase = name;
      wait.start(name);
    },
    update(fraction) {
      wait.text = `${phase} ${Math.floor(fraction * 100)} %`;
    },
    end(outcome) {
      wait.succeed(`${phase}: ${outcome}`);
    },
    fail() {
      wait.fail(phase);
    },
  };
}

/** One line a finished phase, and one each tenth of a long one. */
function lines(): Progress {
  let phase = '';
  let shown = 0;
  let beganMs = 0;
  return {
    begin(name) {
      phase = name;
      shown = 0;
      beganMs = Date.now();
    },
    update(fraction) {
      const tenth = Math.floor(fraction * 10);
      if (tenth <= shown || Date.now() - beganMs < 2000) return;
      shown = tenth;
      log.info(`${phase}: ${tenth * 10} %`);
    },
    end(outcome) {
      log.info(`${phase}: ${outcome}`);
    },
    fail() {},
  };
}
