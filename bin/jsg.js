#!/usr/bin/env node
import { existsSync } from 'node:fs';

if (existsSync(new URL('../dist/cli.js', import.meta.url))) {
  const { main } = await import('../dist/cli.js');
  await main(process.argv);
} else {
  process.stderr.write('jsg: this checkout is not built yet\n     npm ci && npm run build\n');
  process.exitCode = 1;
}
