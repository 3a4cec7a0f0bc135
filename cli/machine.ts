import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import path from 'node:path';
import type { Environment } from './context.ts';

export type CgroupVersion = 'v1' | 'v2' | 'hybrid' | 'none';

/** Which cgroup hierarchies are mounted, from the text of /proc/mounts. */
export function cgroupVersion(mounts: string): CgroupVersion {
  const types = new Set(mounts.split('\n').map((line) => line.split(' ')[2]));
  if (types.has('cgroup')) return types.has('cgroup2') ? 'hybrid' : 'v1';
  return types.has('cgroup2') ? 'v2' : 'none';
}

/** Programs of the machine that Kiln makes use of, and for what. */
const tools = {
  newuidmap: 'root file systems without being root',
  newgidmap: 'root file systems without being root',
  mmdebstrap: 'bases made from Debian packages',
} as const;

export interface Tool {
  readonly name: string;
  readonly use: string;
  /** Absolute path; undefined when it is not installed. */
  readonly file: string | undefined;
}

export function findTools(env: Environment): Promise<Tool[]> {
  return Promise.all(
    Object.entries(tools).map(async ([name, use]) => ({ name, use, file: await findProgram(name, env.PATH) })),
  );
}

async function findProgram(name: string, searchPath = '/usr/bin:/bin:/usr/sbin:/sbin'): Promise<string | undefined> {
  for (const folder of searchPath.split(':').filter((entry) => path.isAbsolute(entry))) {
    const file = path.join(folder, name);
    try {
      await access(file, constants.X_OK);
      return file;
    } catch {
      // Not here: the next folder of PATH.
    }
  }
  return undefined;
}
