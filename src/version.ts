import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The package's folder: both src/ and dist/ lie directly in it. */
export const packageRoot = fileURLToPath(new URL('..', import.meta.url));

export function version(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
