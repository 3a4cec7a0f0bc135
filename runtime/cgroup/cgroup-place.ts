import { constants } from 'node:fs';
import { access, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { ToolError } from '../../core/index.ts';
import type { Hierarchy } from './hierarchies.ts';
import type { Controller } from './limit-settings.ts';

/** A cgroup in which one with these controllers can be made. */
export interface CgroupPlace {
  readonly version: 1 | 2;
  /** Absolute path of the parent. */
  readonly folder: string;
  readonly controllers: readonly Controller[];
}

/**
 * Where the cgroups of a sandbox can be made: below the cgroup of this process in version 1; in version 2, where a
 * cgroup has either processes or children, beside it or beside an ancestor, which is told to pass the controllers on if
 * it does not yet (only asked whether it may be, with `ask`).
 * @throws ToolError ENVIRONMENT_LIMITS
 */
export async function findPlaces(
  hierarchies: readonly Hierarchy[],
  controllers: readonly Controller[],
  mode: 'use' | 'ask' = 'use',
): Promise<readonly CgroupPlace[]> {
  const first = hierarchies.flatMap((hierarchy): CgroupPlace[] => {
    const found = controllers.filter((name) => hierarchy.version === 1 && hierarchy.controllers.includes(name));
    return found.length === 0 ? [] : [{ version: 1, folder: hierarchy.ownFolder, controllers: found }];
  });
  for (const { folder, controllers: wanted } of first) {
    if (!(await isWritable(folder))) throw forbidden(wanted, folder);
  }
  const others = controllers.filter((name) => !first.some((place) => place.controllers.includes(name)));
  if (others.length === 0) return first;
  const unified = hierarchies.find(({ version }) => version === 2);
  if (unified === undefined) throw absent(others);
  return [...first, { version: 2, folder: await findUnifiedPlace(unified, others, mode), controllers: others }];
}

async function findUnifiedPlace(
  hierarchy: Hierarchy,
  controllers: readonly Controller[],
  mode: 'use' | 'ask',
): Promise<string> {
  const root = hierarchy.mountPoint;
  const offered = await words(path.join(root, 'cgroup.controllers'));
  const missing = controllers.filter((name) => !offered.includes(name));
  if (missing.length > 0) throw absent(missing);
  for (const folder of await possibleParents(hierarchy)) {
    if (!(await isWritable(folder))) continue;
    if (await passesOn(folder, controllers, mode)) return folder;
  }
  throw forbidden(controllers, hierarchy.ownFolder);
}

/** The nearest first. Of cgroups with processes only the machine's first one may have children too: it has no type. */
async function possibleParents({ mountPoint, ownFolder }: Hierarchy): Promise<readonly string[]> {
  const parents: string[] = [];
  for (let folder = ownFolder; folder.startsWith(mountPoint); folder = path.dirname(folder)) {
    if (folder !== ownFolder || !(await exists(path.join(folder, 'cgroup.type')))) parents.push(folder);
    if (folder === mountPoint) break;
  }
  return parents;
}

/** Whether children of the cgroup have the controllers, or may be given them. */
async function passesOn(folder: string, controllers: readonly Controller[], mode: 'use' | 'ask'): Promise<boolean> {
  const available = await words(path.join(folder, 'cgroup.controllers'));
  if (!controllers.every((name) => available.includes(name))) return false;
  const file = path.join(folder, 'cgroup.subtree_control');
  const passed = await words(file);
  const missing = controllers.filter((name) => !passed.includes(name));
  if (missing.length === 0) return true;
  try {
    if (mode === 'ask') await access(file, constants.W_OK);
    else await writeFile(file, missing.map((name) => `+${name}`).join(' '));
    return true;
  } catch {
    return false;
  }
}

/** To make a child, and to move a process from a cgroup below into it. */
async function isWritable(folder: string): Promise<boolean> {
  try {
    await access(folder, constants.W_OK);
    await access(path.join(folder, 'cgroup.procs'), constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

async function words(file: string): Promise<readonly string[]> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.split(/\s+/).filter((word) => word !== '');
}

const flags: Readonly<Record<Controller, string>> = { memory: '--memory', cpu: '--cpus', pids: '--pids-limit' };

function absent(controllers: readonly Controller[]): ToolError {
  const names = controllers.join(', ');
  return new ToolError(
    'ENVIRONMENT_LIMITS',
    `${flagsOf(controllers)} cannot be enforced: there is no cgroup controller ${names} here`,
    {
      hint: `leave it out, or mount the cgroups of the machine (kernel option CONFIG_CGROUPS, boot parameter cgroup_enable=${names})`,
    },
  );
}

function forbidden(controllers: readonly Controller[], folder: string): ToolError {
  return new ToolError(
    'ENVIRONMENT_LIMITS',
    `${flagsOf(controllers)} cannot be enforced: no cgroup may be made in or beside ${folder}`,
    {
      hint: 'leave it out, build as root, or, where systemd manages cgroups of version 2, as systemd-run --user --scope -p Delegate=yes kiln build …',
    },
  );
}

function flagsOf(controllers: readonly Controller[]): string {
  return controllers.map((name) => flags[name]).join(' and ');
}
