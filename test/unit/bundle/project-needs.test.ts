/** What a Python project asks pip for. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execaSync } from 'execa';
import { afterAll, describe, expect, it } from 'vitest';
import { projectNeeds } from '../../../src/bundle/project-needs.js';

const root = mkdtempSync(join(tmpdir(), 'jsg-project-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

function project(files: Record<string, string>): string {
  const folder = mkdtempSync(join(root, 'p-'));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return folder;
}

const PYPROJECT = `
[build-system]
requires = ["setuptools>=77", "packaging>=24"]
[project]
name = "demo"
dependencies = ["numpy>=1.20", "torch"]
`;

describe('projectNeeds', () => {
  it('reads pyproject.toml, in a folder and in a source package', async () => {
    const expected = { build: ['setuptools>=77', 'packaging>=24'], run: ['numpy>=1.20', 'torch'] };
    const folder = project({ 'pyproject.toml': PYPROJECT, 'requirements.txt': 'not-read\n' });
    expect(await projectNeeds(folder, 'python3')).toEqual(expected);
    const inner = join(root, 'demo-1.0');
    mkdirSync(inner);
    writeFileSync(join(inner, 'pyproject.toml'), PYPROJECT);
    execaSync('tar', ['-czf', join(root, 'demo-1.0.tar.gz'), '-C', root, 'demo-1.0']);
    expect(await projectNeeds(join(root, 'demo-1.0.tar.gz'), 'python3')).toEqual(expected);
  });

  it('an old project is built with setuptools, and requires what its requirements.txt names', async () => {
    const folder = project({
      'setup.py': '',
      'requirements.txt': '# what it takes\npydantic\n-i http://x\ntorch>=1.10  # any\n\n',
    });
    expect(await projectNeeds(folder, 'python3')).toEqual({
      build: ['setuptools', 'wheel'],
      run: ['pydantic', 'torch>=1.10'],
    });
  });

  it('says what cannot be read', async () => {
    const folder = project({ 'pyproject.toml': '[build-system' });
    await expect(projectNeeds(folder, 'python3')).rejects.toMatchObject({ code: 'E_IO_FAILED' });
    await expect(projectNeeds(folder, 'no-such-python')).rejects.toMatchObject({ code: 'E_IO_FAILED' });
  });
});
