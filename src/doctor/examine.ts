/** The list of checks, and what they come to. */
import type { Check } from './check.js';
import { board, jetpack, knownBad } from './checks/board.js';
import { clocksLocked, powerRails, temperature, throttling } from './checks/clocks.js';
import { gpu, gpuAccess } from './checks/gpu.js';
import { cuda, cudnn, distribution, jetpackPackage, tensorrt } from './checks/libraries.js';
import { cpu, os } from './checks/machine.js';
import { desktop, memory, swap, zram } from './checks/memory.js';
import { powerDefault, powerMode } from './checks/power.js';
import { profile, profiles } from './checks/profile.js';
import { indexAnswer, pipIndex, python, pythonEnvironment } from './checks/python.js';
import { torch, torchArch, torchCopies, torchCuda, torchLaunch } from './checks/python-torch.js';
import { addon, store } from './checks/runtime.js';
import { container, disk, docker } from './checks/storage.js';
import { ceilings, superFlash } from './checks/super.js';
import { pip, toolchain } from './checks/toolchain.js';
import { cudaLibraries, sglKernel, wheelArch, wheelCpu } from './checks/wheels.js';
import { flashinfer, torchao, triton } from './checks/wheels-packages.js';
import { numpyAbi, wheelTwins, wheelVersions } from './checks/wheels-versions.js';
import type { Facts } from './facts.js';
import { type Finding, WORST_FIRST } from './finding.js';

const CHECKS: Check[] = [
  ...[board, os, cpu, gpu, gpuAccess, container, disk],
  ...[powerMode, powerDefault, superFlash, ceilings, clocksLocked, temperature, throttling, powerRails],
  ...[memory, profiles, swap, zram, desktop],
  ...[jetpack, knownBad, jetpackPackage, cuda, cudnn, tensorrt, distribution, toolchain, docker],
  ...[pip, python, pythonEnvironment, pipIndex, indexAnswer],
  ...[torch, torchCuda, torchArch, torchLaunch, torchCopies],
  ...[wheelVersions, wheelTwins, wheelCpu, wheelArch, cudaLibraries, numpyAbi, sglKernel, flashinfer, triton, torchao],
  ...[profile, addon, store],
];

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
