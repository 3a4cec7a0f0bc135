import path from 'node:path';

/** A mounted tree of cgroups. cgroups(7) */
export interface Hierarchy {
  readonly version: 1 | 2;
  /** Of version 1; those of version 2 are told cgroup by cgroup. */
  readonly controllers: readonly string[];
  /** Absolute paths. */
  readonly mountPoint: string;
  /** The cgroup of this process; never above the mount point. */
  readonly ownFolder: string;
}

/** Reads the text of /proc/self/mountinfo and /proc/self/cgroup. */
export function parseHierarchies(mountInfo: string, membership: string): readonly Hierarchy[] {
  const own = membership
    .split('\n')
    .map((line) => /^\d+:([^:]*):(\/.*)$/.exec(line))
    .filter((match) => match !== null)
    .map(([, controllers = '', folder = '']) => ({ controllers: controllers.split(','), folder }));
  return mountInfo.split('\n').flatMap((line): Hierarchy[] => {
    const [mount = '', source = ''] = line.split(' - ');
    const [, , , root = '/', mountPoint = ''] = mount.split(' ').map(unescaped);
    const [type, , options = ''] = source.split(' ');
    if (type !== 'cgroup' && type !== 'cgroup2') return [];
    const words = options.split(',');
    const member = own.find(({ controllers }) =>
      type === 'cgroup2' ? controllers[0] === '' : controllers.every((name) => words.includes(name)),
    );
    if (member === undefined) return [];
    const ownFolder = path.join(mountPoint, below(root, member.folder));
    if (type === 'cgroup2') return [{ version: 2, controllers: [], mountPoint, ownFolder }];
    return [{ version: 1, controllers: member.controllers, mountPoint, ownFolder }];
  });
}

/** A container often sees its own part of the tree only, under a root of another name. */
function below(root: string, folder: string): string {
  if (folder.split('/').includes('..')) return '/';
  if (root === '/') return folder;
  if (folder === root) return '/';
  return folder.startsWith(`${root}/`) ? folder.slice(root.length) : '/';
}

/** proc(5): space, tab, line end and backslash are octal. */
function unescaped(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
