/** Logs go to stderr, one line each; results go to stdout. */
export const LOG_LEVELS = ['debug', 'info', 'warning', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

let threshold = LOG_LEVELS.indexOf('info');

export function setLogLevel(level: LogLevel): void {
  threshold = LOG_LEVELS.indexOf(level);
}

/** `2026-09-01 10:00:00` in local time, as SGLang writes it. */
export function timestamp(date = new Date()): string {
  const pad = (n: number) => String(n).padStart(2, '0');
  const day = `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
  return `${day} ${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
}

function write(level: LogLevel, message: string): void {
  if (LOG_LEVELS.indexOf(level) < threshold) return;
  const label = level === 'info' ? '' : `${level}: `;
  process.stderr.write(`[${timestamp()}] ${label}${message}\n`);
}

export const log = {
  debug: (message: string) => write('debug', message),
  info: (message: string) => write('info', message),
  warning: (message: string) => write('warning', message),
  error: (message: string) => write('error', message),
  /** A line that another program has written to its log, with its own time. */
  raw: (line: string) => {
    if (LOG_LEVELS.indexOf('info') >= threshold) process.stderr.write(`${line}\n`);
  },
};
