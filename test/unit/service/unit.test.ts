import { describe, expect, it } from 'vitest';
import { environmentFileText, type UnitSpec, unitText } from '../../../src/service/unit.js';

const spec: UnitSpec = {
  title: 'triton on port 30000',
  scope: 'system',
  command: ['/usr/bin/node', '/opt/jsg/bin/jsg.js', 'launch', '--profile', 'triton'],
  workingDirectory: '/',
  user: 'nvidia',
  groups: ['video', 'render'],
  environment: { PATH: '/usr/local/cuda/bin:/usr/bin' },
  environmentFile: '/etc/jsg/triton.env',
  memoryMax: '90%',
  drainTimeoutSeconds: 30,
};

describe('a unit', () => {
  it('of the machine is run by a user who may use the GPU', () => {
    const text = unitText(spec);
    expect(text).toContain('ExecStart=/usr/bin/node /opt/jsg/bin/jsg.js launch --profile triton\n');
    expect(text).toContain('User=nvidia\nSupplementaryGroups=video render\n');
    expect(text).toContain('Environment=PATH=/usr/local/cuda/bin:/usr/bin\n');
    expect(text).toContain('Type=notify\nNotifyAccess=all\n');
    expect(text).toMatch(/TimeoutStopSec=45\n[^[]*KillMode=mixed\n/);
    expect(text).toContain('WantedBy=multi-user.target\n');
  });

  it('of a user names none', () => {
    const text = unitText({ ...spec, scope: 'user', environmentFile: null });
    expect(text).not.toMatch(/^(User|SupplementaryGroups|EnvironmentFile)=/m);
    expect(text).toContain('WantedBy=default.target\n');
  });

  it.each([
    ['90%', '85%', '90%'],
    ['24G', '23347M', '24G'],
    ['512M', '486M', '512M'],
  ])('limits memory to %s, and pushes back before', (memoryMax, high, max) => {
    expect(unitText({ ...spec, memoryMax })).toContain(`MemoryHigh=${high}\nMemoryMax=${max}\n`);
  });

  it('takes words literally, whatever systemd would make of them', () => {
    const command = ['/usr/bin/node', 'a b', 'it"s', '50%', '$HOME', 'back\\slash', 'two\nlines'];
    const line = unitText({ ...spec, command })
      .split('\n')
      .find((each) => each.startsWith('ExecStart='));
    expect(line).toBe('ExecStart=/usr/bin/node "a b" "it\\"s" 50%% $$HOME "back\\\\slash" "two lines"');
  });
});

it('secrets are written as systemd reads them back', () => {
  expect(environmentFileText({ JSG_API_KEY: 'a"b\\c$d' })).toBe('JSG_API_KEY="a\\"b\\\\c\\$d"\n');
});
