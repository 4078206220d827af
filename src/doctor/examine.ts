/** The list of checks, and what they come to. */
import type { Check } from './check.js';
import { gpu } from './checks/gpu.js';
import { cpu, os } from './checks/machine.js';
import { memory } from './checks/memory.js';
import { addon, store } from './checks/runtime.js';
import { pip, toolchain } from './checks/toolchain.js';
import type { Facts } from './facts.js';
import type { Finding, Status } from './finding.js';

const CHECKS: Check[] = [os, cpu, memory, gpu, toolchain, pip, addon, store];
const WORST_FIRST: Status[] = ['fail', 'warn', 'pass', 'skip'];

/** Every finding, worst first. */
export function examine(facts: Facts): Finding[] {
  const findings = CHECKS.flatMap(({ id, group, expected, why, look }) => {
    const seen = look(facts);
    return seen === null ? [] : [{ id, group, expected, why, ...seen }];
  });
  return findings.sort((a, b) => WORST_FIRST.indexOf(a.status) - WORST_FIRST.indexOf(b.status));
}

/** 0: nothing fails. 1: something must be mended. (2, that it could not look, is the command's to say.) */
export function exitCodeOf(findings: Finding[]): 0 | 1 {
  return findings.some(({ status }) => status === 'fail') ? 1 : 0;
}
