import { expect, it } from 'vitest';
import { parseHierarchies } from './hierarchies.ts';

it('finds hierarchies of both versions, and where this process is in them', () => {
  const mountInfo = [
    '22 1 0:20 / /proc rw,relatime shared:5 - proc proc rw',
    '30 24 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755',
    '31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct',
    '32 30 0:28 / /sys/fs/cgroup/with\\040space rw,relatime - cgroup cgroup rw,memory',
    '33 30 0:29 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd',
    '34 30 0:30 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate',
  ].join('\n');
  const membership = '5:memory:/user/a b\n4:cpu,cpuacct:/\n1:name=systemd:/x\n0::/user.slice/session-1.scope\n';

  expect(parseHierarchies(mountInfo, membership)).toEqual([
    {
      version: 1,
      controllers: ['cpu', 'cpuacct'],
      mountPoint: '/sys/fs/cgroup/cpu,cpuacct',
      ownFolder: '/sys/fs/cgroup/cpu,cpuacct/',
    },
    {
      version: 1,
      controllers: ['memory'],
      mountPoint: '/sys/fs/cgroup/with space',
      ownFolder: '/sys/fs/cgroup/with space/user/a b',
    },
    {
      version: 1,
      controllers: ['name=systemd'],
      mountPoint: '/sys/fs/cgroup/systemd',
      ownFolder: '/sys/fs/cgroup/systemd/x',
    },
    {
      version: 2,
      controllers: [],
      mountPoint: '/sys/fs/cgroup/unified',
      ownFolder: '/sys/fs/cgroup/unified/user.slice/session-1.scope',
    },
  ]);
});

it.each([
  ['/docker/abc', '/docker/abc', '/cg/'],
  ['/docker/abc', '/docker/abc/inner', '/cg/inner'],
  ['/docker/abc', '/docker/abcd', '/cg/'],
  ['/', '/../../outside', '/cg/'],
  ['/docker/abc', '/', '/cg/'],
])('stays below what a container sees: %s, %s', (root, own, folder) => {
  const [hierarchy] = parseHierarchies(`31 30 0:27 ${root} /cg rw - cgroup2 cgroup2 rw`, `0::${own}\n`);

  expect(hierarchy?.ownFolder).toBe(folder);
});

it('finds none where there are none', () => {
  expect(parseHierarchies('', '')).toEqual([]);
  expect(parseHierarchies('31 30 0:27 / /cg rw - cgroup2 cgroup2 rw', '5:memory:/\n')).toEqual([]);
});
