import path from 'node:path';
import type { Account } from '../account.ts';

/** The other tools that must accept what kiln pushed. Each leaves what it makes in the account's home. */

export interface SkopeoInspection {
  readonly Digest: string;
  readonly Architecture: string;
  readonly Os: string;
  readonly Labels: Readonly<Record<string, string>> | null;
  readonly Layers: readonly string[];
}

export async function skopeoInspect(account: Account, image: string): Promise<SkopeoInspection> {
  return JSON.parse(await output(account, ['skopeo', 'inspect', '--tls-verify=false', image]));
}

/** Copies the image from its registry and unpacks it; gives the root file system's folder. */
export async function unpackWithUmoci(account: Account, image: string): Promise<string> {
  const layout = path.join(account.home, 'layout');
  const bundle = path.join(account.home, 'bundle');
  const rootless = account.kind === 'root' ? [] : ['--rootless'];
  const policy = ['--insecure-policy', '--src-tls-verify=false'];
  await output(account, ['skopeo', 'copy', '--quiet', ...policy, `docker://${image}`, `oci:${layout}:image`]);
  await output(account, ['umoci', 'unpack', ...rootless, '--image', `${layout}:image`, bundle]);
  return path.join(bundle, 'rootfs');
}

/** Standard output of a command in a container of buildah's, which needs no daemon and no network of its own. */
export async function runWithBuildah(account: Account, image: string, argv: readonly string[]): Promise<string> {
  const storage = ['--root', path.join(account.home, 'storage'), '--runroot', path.join(account.home, 'runroot')];
  const buildah = ['buildah', ...storage, '--storage-driver', 'vfs'];
  const container = (await output(account, [...buildah, 'from', '--quiet', '--tls-verify=false', image])).trim();
  try {
    return await output(account, [...buildah, 'run', '--isolation', 'chroot', container, '--', ...argv]);
  } finally {
    await output(account, [...buildah, 'rm', container]);
  }
}

async function output(account: Account, argv: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await account.run(argv);
  if (status === 0) return stdout;
  throw new Error(`${argv.join(' ')} ended with ${status}: ${stderr}`);
}
