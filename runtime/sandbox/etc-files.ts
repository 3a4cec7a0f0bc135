import { access, chmod, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { SandboxMount, SandboxSpec } from './spec.ts';

/**
 * The files by which programs find names: with the host's network the host's own; otherwise ones that know this
 * machine alone, and the given text for name servers. They are written to `folder`. A file that the spec mounts itself
 * is left to it.
 */
export async function etcMounts(
  spec: SandboxSpec,
  resolvConf: string,
  folder: string,
): Promise<readonly SandboxMount[]> {
  const hosts = `127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.1.1\t${spec.hostname}\n`;
  const sources = new Map([
    ['/etc/hostname', await write(folder, 'hostname', `${spec.hostname}\n`)],
    ['/etc/hosts', await hostFileOr(spec, '/etc/hosts', () => write(folder, 'hosts', hosts))],
    ['/etc/resolv.conf', await hostFileOr(spec, '/etc/resolv.conf', () => write(folder, 'resolv.conf', resolvConf))],
  ]);
  const taken = new Set(spec.mounts.map((mount) => path.posix.normalize(mount.destination)));
  return [...sources]
    .filter(([destination]) => !taken.has(destination))
    .map(([destination, source]) => ({ kind: 'bind', source, destination, readOnly: true }));
}

async function hostFileOr(spec: SandboxSpec, file: string, otherwise: () => Promise<string>): Promise<string> {
  if (spec.network !== 'host') return otherwise();
  try {
    await access(file);
    return file;
  } catch {
    return otherwise();
  }
}

async function write(folder: string, name: string, text: string): Promise<string> {
  const file = path.join(folder, name);
  await writeFile(file, text);
  await chmod(file, 0o644);
  return file;
}
