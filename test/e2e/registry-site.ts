import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Account, RunOptions } from '../account.ts';
import { type KeyPair, makeAuthority, makeCertificate } from '../certificates.ts';
import { type DockerRegistry, type ServerTls, startDockerRegistry } from '../docker-registry.ts';
import { type Kiln, openKiln, project } from './kiln.ts';

export interface PrivateSite extends AsyncDisposable {
  readonly kiln: Kiln;
  readonly registry: DockerRegistry;
  readonly authority: KeyPair;
  readonly client: KeyPair;
}

/** A registry with a certificate of a private authority, and an account that does not know of it. */
export async function openSite(
  kind: Account['kind'],
  tls: { readonly wantsClients?: boolean } = {},
): Promise<PrivateSite> {
  await using stack = new AsyncDisposableStack();
  const kiln = stack.use(await openKiln(kind));
  const folder = kiln.account.folder('certificates');
  const authority = await makeAuthority(folder, 'authority');
  const server: ServerTls = await makeCertificate(folder, 'server', authority);
  const client = await makeCertificate(folder, 'client', authority);
  const clientAuthorities = tls.wantsClients ? [authority.certificate] : [];
  const registry = stack.use(await startDockerRegistry({ tls: { ...server, clientAuthorities } }));
  const kept = stack.move();
  own(kiln.account, folder);
  return { kiln, registry, authority, client, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** openssl makes keys that only their owner may read. */
export function own(account: Account, folder: string): void {
  if (account.kind === 'root' || process.getuid?.() !== 0) return;
  execFileSync('chown', ['-R', String(account.uid), folder]);
}

/** Writes a file below the account's ~/.config. */
export function configure(account: Account, file: string, text: string): void {
  const absolute = path.join(account.home, '.config', file);
  mkdirSync(path.dirname(absolute), { recursive: true });
  writeFileSync(absolute, text);
}

export function certs(account: Account, folder: string, files: Readonly<Record<string, string>>): void {
  const absolute = path.join(account.home, '.config', folder);
  mkdirSync(absolute, { recursive: true });
  for (const [name, source] of Object.entries(files)) {
    writeFileSync(path.join(absolute, name), readFileSync(source), { mode: 0o644 });
  }
}

/** A tiny image in the store; no container is needed to make it. */
export async function built(kiln: Kiln, name: string): Promise<string> {
  const folder = project(kiln.account, 'tiny', {
    Buildfile: 'from = "scratch"\n[[steps]]\ncopy = "a"\nto = "/a"\n',
    a: 'a file\n',
  });
  await kiln.ok(['build', '-t', name, folder]);
  return name;
}

/** 7 when the registry let us in and has no such image, 4 when it did not let us in. */
export async function letIn(
  kiln: Kiln,
  host: string,
  options: RunOptions & { readonly args?: readonly string[] } = {},
) {
  const { args = [], ...rest } = options;
  const { status, stderr } = await kiln.run(['pull', ...args, `${host}/team/none:1`], rest);
  if (status !== 7 && status !== 4) throw new Error(`pull ended with ${status}: ${stderr}`);
  return status === 7;
}
