import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { cgroupVersion, findTools } from './machine.ts';

describe('cgroupVersion', () => {
  it.each([
    { mounts: 'cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n', version: 'v2' },
    { mounts: 'cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n', version: 'v1' },
    {
      mounts: 'cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\ncgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n',
      version: 'hybrid',
    },
    { mounts: 'proc /proc proc rw 0 0\n', version: 'none' },
  ])('is $version for $mounts', ({ mounts, version }) => {
    expect(cgroupVersion(mounts)).toBe(version);
  });
});

describe('findTools', () => {
  it('finds what is executable on PATH', async () => {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'kiln-tools-'));
    try {
      await writeFile(path.join(folder, 'newuidmap'), '#!/bin/sh\n', { mode: 0o755 });
      await writeFile(path.join(folder, 'newgidmap'), 'no program', { mode: 0o644 });

      const found = await findTools({ PATH: `relative::${folder}` });

      expect(found.map(({ name, file }) => [name, file])).toEqual([
        ['newuidmap', path.join(folder, 'newuidmap')],
        ['newgidmap', undefined],
        ['mmdebstrap', undefined],
      ]);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
