import path from 'node:path';
import { expect, it } from 'vitest';
import { planSandbox, type SandboxPlace } from './plan.ts';
import type { SandboxSpec } from './spec.ts';

const spec: SandboxSpec = {
  layers: ['/store/base', '/store/step'],
  writable: { upper: '/store/active/upper', work: '/store/active/work' },
  argv: ['/bin/sh', '-e', '-c', 'true'],
  env: { PATH: '/bin', A: 'b=c' },
  cwd: '/src',
  user: { uid: 1000, gid: 1001, additionalGids: [5, 27] },
  hostname: 'box',
  network: 'none',
  mounts: [
    { kind: 'tmpfs', destination: '/cache/inner', sizeBytes: 4096 },
    { kind: 'bind', source: '/host/cache', destination: '/cache', readOnly: false },
  ],
  terminal: false,
  volatile: true,
};

const place: SandboxPlace = {
  parentPid: 42,
  userNamespace: false,
  skeletons: ['/scratch/skeleton'],
  root: '/scratch/root',
  seccomp: Uint8Array.of(1, 255),
  generatedMounts: [{ kind: 'bind', source: '/scratch/hosts', destination: '/etc/hosts', readOnly: true }],
  networkCommand: [],
  cgroups: [],
  staging: ['/scratch/memory', '/scratch/overlay'],
  overlaySkeletons: new Map(),
};

function planText(changedSpec: Partial<SandboxSpec>, changedPlace: Partial<SandboxPlace>): string {
  const operations = planSandbox({ ...spec, ...changedSpec }, { ...place, ...changedPlace });
  return `${operations.map((operation) => operation.join(' | ')).join('\n')}\n`;
}

function golden(name: string): string {
  return path.join(import.meta.dirname, 'golden', name);
}

it('plans a build step as root', async () => {
  await expect(planText({}, {})).toMatchFileSnapshot(golden('build-step.txt'));
});

it('plans a container with a terminal and the network of the host, in a user namespace', async () => {
  const text = planText({ network: 'host', terminal: true, volatile: false }, { userNamespace: true });

  await expect(text).toMatchFileSnapshot(golden('terminal.txt'));
});

it('plans a step with a network of its own and limits', async () => {
  const limits = {
    memoryBytes: 1 << 20,
    shmBytes: 4096,
    ulimits: new Map([['nofile', { soft: 10, hard: 20 }]]),
  };
  const changes = {
    networkCommand: ['/usr/bin/pasta', '--quiet'],
    cgroups: ['/sys/fs/cgroup/memory/kiln-1/cgroup.procs', '/sys/fs/cgroup/pids/kiln-1/cgroup.procs'],
  };

  const text = planText({ network: 'default', limits }, changes);

  await expect(text).toMatchFileSnapshot(golden('limited.txt'));
});

it('plans no place for changes when there is none', () => {
  const { writable: _, ...readOnly } = spec;

  const operations = planSandbox(readOnly, place);

  const names: readonly string[] = operations.map(([name]) => name);
  expect(names).not.toContain('upper');
  expect(names).toContain('read-only-root');
  expect(operations).not.toContainEqual(['overlay-option', 'volatile', '', 'optional']);
});

it('covers everything before the host is left behind, and gives up privileges after', () => {
  const names = planSandbox(spec, place).map(([name]) => name);

  expect(names.lastIndexOf('mask')).toBeLessThan(names.indexOf('pivot'));
  expect(names.indexOf('pivot')).toBeLessThan(names.indexOf('capabilities'));
});
