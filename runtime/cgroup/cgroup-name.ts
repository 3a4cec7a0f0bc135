import { randomBytes } from 'node:crypto';
import { readFile, readlink } from 'node:fs/promises';

/** Who made a cgroup: the process by its pid namespace, id and start, since ids are used again. */
interface Maker {
  readonly namespace: string;
  readonly pid: number;
  readonly started: string;
}

/** A new name, which tells whether its maker is still there. */
export async function newCgroupName(): Promise<string> {
  const started = (await startOf(process.pid)) ?? '0';
  return `kiln-${await pidNamespace()}-${process.pid}-${started}-${randomBytes(4).toString('hex')}`;
}

/** True for names of this pid namespace whose maker has ended. */
export async function isAbandoned(name: string): Promise<boolean> {
  const maker = parseCgroupName(name);
  if (maker === undefined || maker.namespace !== (await pidNamespace())) return false;
  return (await startOf(maker.pid)) !== maker.started;
}

export function parseCgroupName(name: string): Maker | undefined {
  const match = /^kiln-(\d+)-(\d{1,10})-(\d+)-[0-9a-f]{8}$/.exec(name);
  if (match === null) return undefined;
  const [, namespace = '', pid, started = ''] = match;
  return { namespace, pid: Number(pid), started };
}

async function pidNamespace(): Promise<string> {
  return (await readlink('/proc/self/ns/pid')).replace(/\D/g, '');
}

/** In ticks since the machine started; undefined when there is no such process. proc(5), field 22 of stat. */
async function startOf(pid: number): Promise<string | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'latin1');
    // The name of the program, in parentheses, may hold anything.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}
