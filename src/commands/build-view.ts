/** What a person sees on stderr while a build runs: a list with the live tail of each task on a terminal, plain lines elsewhere. */
import { Listr, ListrLogger, ProcessOutput } from 'listr2';
import type { OnEvent, RunEvent } from '../recipe/run/events.js';
import { durationText, progressText } from '../recipe/run/progress.js';
import type { Task } from '../recipe/run/tasks.js';

export interface BuildView {
  onEvent: OnEvent;
  /** All is done. */
  end: () => Promise<void>;
  /** The task that runs has failed, or was interrupted. */
  fail: () => Promise<void>;
}

export function showBuild(tasks: Task[]): BuildView {
  return process.stderr.isTTY && process.stderr.columns > 0 ? listView(tasks) : lineView(tasks);
}

const TAIL_LINES = 5;
const TICK_MS = 1000;

interface Shown {
  title: string;
  output: string;
}

/** A task of the list waits for the event that ends it. */
interface Waiting {
  task: Task;
  done: Promise<void>;
  resolve: () => void;
  reject: (error: Error) => void;
  shown: Shown | null;
  /** Its title when it has ended. */
  ended: string | null;
  beganAt: number;
  share: number | null;
}

function listView(tasks: Task[]): BuildView {
  const waiting = new Map(tasks.map((task) => [task.id, waitingFor(task)]));
  const logger = new ListrLogger({ processOutput: new ProcessOutput(process.stderr, process.stderr) });
  const list = new Listr(
    [...waiting.values()].map((entry) => ({
      title: entry.task.title,
      task: async (_: unknown, shown: Shown) => {
        entry.shown = shown;
        // It may have ended before the list came to it.
        if (entry.ended !== null) shown.title = entry.ended;
        await entry.done;
      },
      rendererOptions: { outputBar: TAIL_LINES },
    })),
    {
      renderer: 'default',
      rendererOptions: { logger, collapseErrors: false, showErrorMessage: false },
      registerSignalListeners: false,
    },
  );
  let running: Waiting | null = null;
  const timer = setInterval(() => running !== null && retitle(running), TICK_MS);
  const finished = list.run().then(
    () => {},
    () => {},
  );
  const stop = async () => {
    clearInterval(timer);
    await finished;
  };
  return {
    onEvent: (event) => {
      if (event.kind === 'note') {
        if (running?.shown) running.shown.output = event.text;
        return;
      }
      const entry = waiting.get(event.id);
      if (entry === undefined) return;
      running = event.kind === 'end' ? null : entry;
      tell(entry, event);
    },
    end: async () => {
      for (const entry of waiting.values()) entry.resolve();
      await stop();
    },
    fail: async () => {
      for (const entry of waiting.values()) entry.reject(new Error(entry.task.title));
      await stop();
    },
  };
}

function waitingFor(task: Task): Waiting {
  let [resolve, reject]: [() => void, (error: Error) => void] = [() => {}, () => {}];
  const done = new Promise<void>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  // It may fail before the list has come to it.
  done.catch(() => {});
  return { task, done, resolve, reject, shown: null, ended: null, beganAt: 0, share: null };
}

function tell(entry: Waiting, event: Exclude<RunEvent, { kind: 'note' }>): void {
  if (event.kind === 'begin') entry.beganAt = Date.now();
  if (event.kind === 'progress') {
    entry.share = event.share ?? entry.share;
    if (entry.shown) entry.shown.output = event.line;
  }
  if (event.kind === 'end') {
    entry.ended = `${entry.task.title}  ${howLong(event)}`;
    if (entry.shown) entry.shown.title = entry.ended;
    entry.resolve();
  }
}

function retitle({ task, shown, share, beganAt }: Waiting): void {
  if (shown) shown.title = `${task.title}  ${progressText(share, Date.now() - beganAt)}`;
}

const howLong = ({ isCached, elapsedMs }: { isCached: boolean; elapsedMs: number }) =>
  isCached ? 'is done already' : durationText(elapsedMs / 1000);

/** Between two lines about the same task. */
const LINE_INTERVAL_MS = 15_000;
/** Command lines of compilers have thousands. */
const MAX_SHOWN_CHARS = 120;

function lineView(tasks: Task[]): BuildView {
  const say = (text: string) => process.stderr.write(`${text}\n`);
  const titles = new Map(tasks.map(({ id, title }) => [id, title]));
  let shownAt = 0;
  return {
    onEvent: (event) => {
      if (event.kind === 'note') return void say(event.text);
      const title = titles.get(event.id) ?? event.id;
      if (event.kind === 'begin') shownAt = Date.now();
      if (event.kind === 'end') say(`${title}: ${howLong(event)}`);
      if (event.kind === 'progress' && Date.now() - shownAt >= LINE_INTERVAL_MS) {
        shownAt = Date.now();
        say(`${title}: ${progressText(event.share, event.elapsedMs)}: ${event.line.trim().slice(0, MAX_SHOWN_CHARS)}`);
      }
    },
    end: async () => {},
    fail: async () => {},
  };
}
