import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { SandboxLimits } from '../sandbox/spec.ts';
import { newCgroupName } from './cgroup-name.ts';
import { type CgroupSystem, describeLimits, SandboxCgroup } from './sandbox-cgroup.ts';

const limits: SandboxLimits = { memoryBytes: 64 << 20, cpus: 1.5, pids: 100 };

let root: string;
beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), 'cgroups-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** A cgroup of version 2 that is a plain folder. */
function cgroup(folder: string, controllers: string, passedOn: string): void {
  const made = path.join(root, folder);
  mkdirSync(made, { recursive: true });
  writeFileSync(path.join(made, 'cgroup.controllers'), `${controllers}\n`);
  writeFileSync(path.join(made, 'cgroup.subtree_control'), `${passedOn}\n`);
  writeFileSync(path.join(made, 'cgroup.procs'), '');
  if (folder !== '') writeFileSync(path.join(made, 'cgroup.type'), 'domain\n');
}

function system(membership: string): CgroupSystem {
  return {
    mountInfo: `31 30 0:27 / ${root} rw - cgroup2 cgroup2 rw`,
    membership,
    // Files of a cgroup go with it.
    remove: (folder) => rm(folder, { recursive: true }),
  };
}

function made(folder: string): string[] {
  return readdirSync(path.join(root, folder)).filter((name) => name.startsWith('kiln-'));
}

const all = 'cpuset cpu io memory pids';

it('is made beside the cgroup of this process, whose parent passes the controllers on', async () => {
  cgroup('', all, all);
  cgroup('user.slice', all, 'memory pids');
  cgroup('user.slice/app.slice', all, 'cpu memory pids');
  cgroup('user.slice/app.slice/kiln.scope', 'cpu memory pids', '');
  {
    await using group = await SandboxCgroup.make(limits, system('0::/user.slice/app.slice/kiln.scope\n'));
    const [name = ''] = made('user.slice/app.slice');
    const folder = path.join(root, 'user.slice/app.slice', name);

    const text = (file: string) => readFileSync(path.join(folder, file), 'utf8');
    expect(text('memory.max')).toBe('67108864');
    expect(text('memory.swap.max')).toBe('0');
    expect(text('cpu.max')).toBe('150000 100000');
    expect(text('pids.max')).toBe('101');
    expect(group.processFiles).toEqual([path.join(folder, 'cgroup.procs')]);
    expect(await group.hits()).toEqual([]);
    writeFileSync(path.join(folder, 'memory.events'), 'low 0\nmax 12\noom 1\noom_kill 1\n');
    writeFileSync(path.join(folder, 'pids.events'), 'max 0\n');
    expect(await group.hits()).toEqual([{ limit: 'memory', bytes: 64 << 20 }]);
  }
  expect(made('user.slice/app.slice')).toEqual([]);
});

it('has controllers passed on where that is allowed', async () => {
  cgroup('', all, all);
  cgroup('system.slice', all, 'memory');
  cgroup('system.slice/ci.service', 'memory', '');

  await using _group = await SandboxCgroup.make(limits, system('0::/system.slice/ci.service\n'));

  expect(made('system.slice')).toHaveLength(1);
  expect(readFileSync(path.join(root, 'system.slice/cgroup.subtree_control'), 'utf8')).toBe('+cpu +pids');
});

it('can be asked about without changing anything', async () => {
  cgroup('', 'memory pids', 'memory');

  const problems = await describeLimits(system('0::/\n'));

  expect(problems).toEqual({ memory: undefined, cpu: expect.stringMatching(/^--cpus cannot/), pids: undefined });
  expect(readFileSync(path.join(root, 'cgroup.subtree_control'), 'utf8')).toBe('memory\n');
});

it('is made in the first cgroup of a machine, which may have processes and children', async () => {
  cgroup('', all, all);

  await using _group = await SandboxCgroup.make({ pids: 3 }, system('0::/\n'));

  const [name = ''] = made('');
  expect(existsSync(path.join(root, name, 'pids.max'))).toBe(true);
  expect(existsSync(path.join(root, name, 'memory.max'))).toBe(false);
});

it('is refused where a container has nothing above its own cgroup', async () => {
  cgroup('', all, '');
  writeFileSync(path.join(root, 'cgroup.type'), 'domain\n');

  const making = SandboxCgroup.make(limits, system('0::/\n'));

  await expect(making).rejects.toMatchObject({
    code: 'ENVIRONMENT_LIMITS',
    message: expect.stringMatching(/^--memory and --cpus and --pids-limit cannot be enforced/),
  });
});

it.skipIf(process.getuid?.() === 0)('is refused where this user may not write', async () => {
  cgroup('', all, all);
  cgroup('a', all, all);
  cgroup('a/b', all, '');
  for (const folder of ['a', '']) chmodSync(path.join(root, folder), 0o555);

  const making = SandboxCgroup.make({ pids: 3 }, system('0::/a/b\n'));

  await expect(making).rejects.toMatchObject({
    code: 'ENVIRONMENT_LIMITS',
    hint: expect.stringContaining('systemd-run'),
  });
  for (const folder of ['a', '']) chmodSync(path.join(root, folder), 0o755);
});

it('is refused without the controller, by the flag that asks for it', async () => {
  cgroup('', 'memory pids', 'memory pids');
  const asked = [
    { limits: { cpus: 1 }, on: system('0::/\n'), message: /^--cpus cannot be enforced/ },
    { limits: { memoryBytes: 1 << 30 }, on: { ...system('0::/\n'), mountInfo: '' }, message: /^--memory cannot be/ },
  ];
  for (const { limits, on, message } of asked) {
    await expect(SandboxCgroup.make(limits, on)).rejects.toMatchObject({
      code: 'ENVIRONMENT_LIMITS',
      message: expect.stringMatching(message),
    });
  }
});

it('uses version 1 for the controllers that are there', async () => {
  mkdirSync(path.join(root, 'memory/job'), { recursive: true });
  writeFileSync(path.join(root, 'memory/job/cgroup.procs'), '');
  cgroup('unified', 'pids', 'pids');
  rmSync(path.join(root, 'unified/cgroup.type'));
  const mixed = {
    ...system('3:memory:/job\n0::/\n'),
    mountInfo: [
      `31 30 0:27 / ${root}/memory rw - cgroup cgroup rw,memory`,
      `32 30 0:28 / ${root}/unified rw - cgroup2 cgroup2 rw`,
    ].join('\n'),
  };

  await using group = await SandboxCgroup.make({ memoryBytes: 1000, pids: 5 }, mixed);

  const [name = ''] = made('memory/job');
  expect(readFileSync(path.join(root, 'memory/job', name, 'memory.limit_in_bytes'), 'utf8')).toBe('1000');
  expect(group.processFiles.map((file) => path.dirname(path.dirname(file)))).toEqual([
    path.join(root, 'memory/job'),
    path.join(root, 'unified'),
  ]);
  writeFileSync(path.join(root, 'memory/job', name, 'memory.oom_control'), 'under_oom 0\noom_kill 2\n');
  expect(await group.hits()).toEqual([{ limit: 'memory', bytes: 1000 }]);
});

it('removes what processes that are gone left behind, and nothing else', async () => {
  cgroup('', all, all);
  const alive = await newCgroupName();
  const [, namespace] = alive.split('-');
  const gone = `kiln-${namespace}-${process.pid}-1-00000000`;
  const foreign = 'kiln-1-1-1-00000000';
  for (const name of [alive, gone, foreign, 'kiln-other', 'other']) mkdirSync(path.join(root, name));

  await using _group = await SandboxCgroup.make({ pids: 3 }, system('0::/\n'));

  const names = readdirSync(root);
  expect(names).not.toContain(gone);
  expect(names).toEqual(expect.arrayContaining([alive, foreign, 'kiln-other', 'other']));
});
