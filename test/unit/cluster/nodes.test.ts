import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type ClusterFile, readClusterFile } from '../../../src/cluster/cluster-file.js';
import { flagWords, nodesOf } from '../../../src/cluster/nodes.js';
import { shellCommand, sshFault, sshWords } from '../../../src/cluster/ssh.js';
import { temporaryDirectory } from '../model/temporary.js';

const file = (text: string): ClusterFile => {
  const path = join(temporaryDirectory(), 'cluster.yaml');
  writeFileSync(path, text);
  return readClusterFile(path);
};

const TWO = 'profile: two-orin-tp2\nhosts:\n  - ssh: nvidia@orin-1\n    address: 10.0.0.1\n  - ssh: orin-2\n';
const TP2 = { engine: 'sglang', 'tp-size': 2, nnodes: 2 };

describe('the machines of a cluster', () => {
  it('of one model have ranks, and meet at the first', () => {
    const nodes = nodesOf(file(TWO), TP2);
    expect(nodes.map(({ rank, address, jsg }) => [rank, address, jsg])).toEqual([
      [0, '10.0.0.1', 'jsg'],
      [1, 'orin-2', 'jsg'],
    ]);
    expect(flagWords(nodes[1]?.flags ?? {}).join(' ')).toBe(
      '--engine sglang --tp-size 2 --nnodes 2 --node-rank 1 --dist-init-addr 10.0.0.1:20000',
    );
  });

  it('of independent servers have none, and settings of their own', () => {
    const nodes = nodesOf(file(`${TWO}    settings: { port: 31000, insecure: true }\nsettings: { port: 30001 }\n`), {});
    expect(nodes.map(({ rank }) => rank)).toEqual([0, 0]);
    expect(nodes.map(({ flags }) => flagWords(flags).join(' '))).toEqual(['--port 30001', '--port 31000 --insecure']);
  });

  it('must be as many as the profile runs on', () => {
    expect(() => nodesOf(file(TWO), { nnodes: 3 })).toThrow('runs on 3 machines, and 2 are listed');
  });

  it('are listed once', () => {
    expect(() => nodesOf(file(`${TWO}  - ssh: orin-2\n`), {})).toThrow('orin-2 is listed twice');
  });
});

describe('a cluster file', () => {
  it.each([
    ['', 'expected a mapping with profile and hosts'],
    ['profile: x\n', 'hosts: missing; expected a list of machines'],
    ['profile: x\nhosts: []\n', 'at least one machine'],
    ['profile: x\nhosts:\n  - ssh: -oProxyCommand=touch\n', 'expected a destination of ssh'],
    ['profile: x\nhosts:\n  - ssh: a\n    jgs: b\n', 'hosts.0.jgs: unknown key'],
    ['profile: x\nhosts:\n  - ssh: a\ndist-init-port: 0\n', 'dist-init-port: 0; expected a port'],
    ['profile: [\n', 'cluster.yaml: '],
  ])('%j is refused', (text, message) => {
    expect(() => file(text)).toThrow(message);
  });
});

describe('ssh', () => {
  it('never asks, and takes the command as one word', () => {
    const words = sshWords(
      'orin-1',
      { config: '/c' },
      shellCommand('jsg', ['launch', '--served-model-name', "it's; rm -rf *"]),
    );
    expect(words.slice(0, 4)).toEqual(['ssh', '-F', '/c', '-T']);
    expect(words).toContain('BatchMode=yes');
    expect(words.slice(-2)).toEqual(['orin-1', "jsg launch --served-model-name 'it'\\''s; rm -rf *'"]);
  });

  it.each([
    ['nvidia@orin-1: Permission denied (publickey).', 'ssh-copy-id orin-1'],
    ['Host key verification failed.', 'take it once by hand: ssh orin-1'],
    ['ssh: connect to host orin-1 port 22: Connection refused', 'ssh -o BatchMode=yes orin-1 true'],
  ])('%s', (stderr, hint) => {
    expect(sshFault('orin-1', stderr)).toMatchObject({ code: 'E_UNAVAILABLE', hint: expect.stringContaining(hint) });
  });
});
