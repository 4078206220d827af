import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Explainer, explain } from '../../../src/doctor/failures.js';
import { requiredLiterals } from '../../../src/doctor/failures-literal.js';
import { knownFailures, parseFailures } from '../../../src/doctor/failures-table.js';
import { FAILING, HEALTHY } from './failures-texts.js';

const findings = (text: string) => explain(text).map(({ finding }) => finding);

describe('explain', () => {
  it.each(FAILING)('%s: %s', (finding, text) => {
    expect(findings(text)[0]).toBe(finding);
  });

  it.each(HEALTHY)('finds nothing in %s', (_, text) => {
    expect(explain(text)).toEqual([]);
  });

  it('gives why and fix with what the line tells, and no placeholder left', () => {
    const [first] = explain('x\nImportError: libcudart.so.12: cannot open shared object file');
    expect(first).toMatchObject({ finding: 'missing-library', lineNumber: 2 });
    expect(first?.why).toContain('libcudart.so.12');
    for (const [, text] of FAILING) {
      for (const { line, why, fix } of explain(text)) {
        expect(`${why}\n${fix}`).not.toMatch(/\{\w+\}/);
        expect(text).toContain(line);
      }
    }
  });

  it('names each failure once, with its first line, what the rest comes from first', () => {
    const text = [
      'Can not import sgl_kernel.',
      'libcublas.so.12: cannot open shared object file',
      'Can not import sgl_kernel.',
    ];
    const seen = explain(text).map(({ finding, lineNumber }) => [finding, lineNumber]);
    expect(seen).toEqual([
      ['missing-library', 2],
      ['sgl-kernel-import', 1],
    ]);
  });

  it('reads colours, carriage returns, timestamps and prefixes of other programs', () => {
    const killed =
      '\u001b[01m\u001b[Kc++:\u001b[m\u001b[K \u001b[01;31m\u001b[Kfatal error: \u001b[m\u001b[KKilled\u001b[m\u001b[K signal terminated program cc1plus';
    expect(findings(killed)).toEqual(['build-oom']);
    expect(findings('50%\r100%\r#12 345.6 OSError: [Errno 28] No space left on device\r\n')).toEqual(['disk-full']);
    expect(findings('\u001b]0;a title\u0007[rank0]: torch.OutOfMemoryError: CUDA out of memory.')).toEqual([
      'cuda-oom',
    ]);
  });

  it('does not depend on how the log comes', () => {
    for (const [finding, text] of FAILING) {
      const explainer = new Explainer();
      for (const byte of Buffer.from(text)) explainer.push(Buffer.of(byte));
      expect(explainer.explanations()[0]?.finding).toBe(finding);
    }
  });

  it('tells while the log still grows', () => {
    const explainer = new Explainer();
    explainer.push('one\ntwo: CUDA out of mem');
    expect(explainer.explanations()).toEqual([]);
    const whole = new Explainer();
    whole.push('one\ntwo: No space left on device');
    expect(whole.explanations()[0]).toMatchObject({ finding: 'disk-full', lineNumber: 2 });
    whole.push('\nCUDA out of memory\n');
    expect(whole.explanations().map(({ finding }) => finding)).toEqual(['disk-full', 'cuda-oom']);
  });

  it.each([
    ['', 0],
    ['one', 1],
    ['one\n', 1],
    ['one\ntwo', 2],
    ['\n\n', 2],
  ])('counts the lines of %j', (text, lines) => {
    const explainer = new Explainer();
    explainer.push(text);
    explainer.explanations();
    expect(explainer.numLines).toBe(lines);
  });

  it('takes back what came right later', () => {
    const retry = "WARNING: Retrying after connection broken by 'ReadTimeoutError(x)': /simple/torch/";
    expect(findings(retry)).toEqual(['index-down']);
    expect(findings(`${retry}\nSuccessfully installed torch-2.8.0`)).toEqual([]);
  });

  it('wants the lines of one failure near one another', () => {
    const far = 'ordinary line\n'.repeat(400);
    expect(findings('[1/2] Building CXX object a.o\nKilled')).toEqual(['build-oom']);
    expect(findings(`[1/2] Building CXX object a.o\n${far}Killed`)).toEqual([]);
  });

  it('takes binary data and endless lines', () => {
    const noise = Buffer.alloc(300_000, Buffer.from([0x1b, 0x5d, 0xff, 0x7f, 0x41, 0x0a, 0x5b, 0x00]));
    const explainer = new Explainer();
    explainer.push(noise);
    explainer.push(`\n${'x'.repeat(100_000)} No space left on device ${'y'.repeat(100_000)}`);
    expect(explainer.explanations()[0]?.line).toMatch(/^x{1,400} No space left on device/);
  });

  const folder = '/work/shared/jetson/failures';
  it.skipIf(!existsSync(folder))('knows every captured failure', () => {
    const expected = JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8')) as Record<
      string,
      { finding: string }
    >;
    for (const [file, { finding }] of Object.entries(expected)) {
      expect([file, findings(readFileSync(join(folder, file), 'utf8'))[0]]).toEqual([file, finding]);
    }
  });
});

describe('the table', () => {
  it('has a command or a flag in every fix', () => {
    for (const { id, fix } of knownFailures()) {
      expect([
        id,
        /--\w|\b(?:sudo|export|pip|git|curl|docker|python3|grep|jsg|ls|head|ldd|strings|cd|CXXFLAGS|ulimit|OPENBLAS|CUDA_|MAX_JOBS|nvcc|file|df|free|date|ss|printf|timeout|ps|cat|getent)\b/.test(
          fix,
        ),
      ]).toEqual([id, true]);
    }
  });

  it('has no expression that a long line makes slow', () => {
    const parts = knownFailures().flatMap(({ patterns }) => patterns.flatMap((pattern) => pattern.parts));
    expect(parts.length).toBeGreaterThan(300);
    for (const part of parts) {
      for (const literal of requiredLiterals(part.source)) {
        const line = `${literal} x: `.repeat(2 ** 14 / literal.length).slice(0, 2 ** 14);
        const start = performance.now();
        part.test(line);
        expect([part.source, performance.now() - start < 200]).toEqual([part.source, true]);
      }
    }
  });

  it.each([
    ['- { id: a, priority: 50, patterns: ["foo(bar"], why: w, fix: f }', /patterns/],
    ['- { id: a, priority: 50, patterns: ["a.b"], why: w, fix: f }', /plain characters/],
    ['- { id: a, priority: 50, patterns: ["some.*thing"], why: w, fix: f }', /bound/],
    ['- { id: a, priority: 50, patterns: ["something"], why: "{x}", fix: f }', /\{x\} has no default/],
    ['- { id: a, priority: 50, patterns: ["something"], why: w, fix: f, typo: 1 }', /typo/],
  ])('refuses %s', (text, message) => {
    expect(() => parseFailures(text, 'x.yaml')).toThrow(message);
  });
});

describe('requiredLiterals', () => {
  it.each([
    ['No space left', ['no space left']],
    ['a+bcd? e', ['bc']],
    ['(?:foo|quux) x', ['foo', 'quux']],
    ['(?:foo|quux)?barbaz', ['barbaz']],
    ['one|three', ['one', 'three']],
    ['\\.so[.\\d]{0,4}: cannot', [': cannot']],
    ['(?<!not )ready(?! yet)', ['ready']],
    ['(?<name>\\w{1,9})(?= is gone)', [' is gone']],
    ['.{0,9}', ['']],
  ])('%s', (source, literals) => {
    expect(requiredLiterals(source)).toEqual(literals);
  });
});
