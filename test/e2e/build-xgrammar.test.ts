/**
 * One real build: XGrammar from its source package, compiled and imported here. It takes minutes and 6 GB, most of it torch, so
 * it is run when asked for: JSG_TEST_XGRAMMAR=1 npx vitest run test/e2e/build-xgrammar.test.ts
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { jsg } from './jsg.js';

const TIMEOUT_MS = 30 * 60_000;
const root = mkdtempSync(join(tmpdir(), 'jsg-build-xgrammar-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

it('XGrammar is compiled from its source package and imported', { timeout: TIMEOUT_MS }, async ({ skip }) => {
  if (process.env.JSG_TEST_XGRAMMAR !== '1') return skip('it takes minutes: JSG_TEST_XGRAMMAR=1 runs it');
  const args = ['build', 'xgrammar', '--variant', 'latest', '--build-dir', root];
  const { code, stdout, stderr } = await jsg(args);
  expect(code, stderr).toBe(0);
  expect(stdout).toContain('Successfully installed xgrammar-0.2.8');
  const [report] = JSON.parse((await jsg(['build', '--status', '--build-dir', root, '--json'])).stdout);
  expect(report).toMatchObject({
    artefacts: [{ path: expect.stringMatching(/xgrammar-0\.2\.8-\S+\.whl$/) }],
    checks: [
      { kind: 'wheel', status: 'passed' },
      { kind: 'import', status: 'passed', detail: expect.stringContaining('import xgrammar') },
    ],
  });
});
