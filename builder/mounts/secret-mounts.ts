import { type CallOptions, ToolError } from '../../core/index.ts';
import type { SandboxMount, UserIds } from '../../runtime/index.ts';
import type { SecretSource } from '../engine/build-context.ts';
import type { Mount } from '../plan/plan.ts';

type SecretMount = Extract<Mount, { kind: 'secret' }>;

/** A secret that a step gets. */
export interface FoundSecret {
  readonly mount: SecretMount;
  readonly value: Buffer;
}

/** One string of the environment, name and `=` included. linux/binfmts.h, MAX_ARG_STRLEN */
const longestVariableBytes = 128 * 1024 - 1;

/**
 * Asks for the secrets of a step. One that is not there and not required is left out.
 * @throws ToolError SECRET_MISSING, SECRET_INVALID
 */
export async function findSecrets(
  mounts: readonly Mount[],
  source: SecretSource,
  options: CallOptions,
): Promise<readonly FoundSecret[]> {
  const found: FoundSecret[] = [];
  for (const mount of mounts) {
    if (mount.kind !== 'secret') continue;
    const value = await source.find(mount.id, options);
    if (value === undefined && mount.required) throw missing(mount.id, absenceOf(source, mount.id));
    if (value === undefined) continue;
    if (mount.env !== undefined) checkVariable(mount.id, mount.env, value);
    found.push({ mount, value });
  }
  return found;
}

/** Where a secret's file is seen, as written; undefined when it is in the environment only. */
export function secretFile({ id, to, env }: SecretMount): string | undefined {
  return to ?? (env === undefined ? `/run/secrets/${id}` : undefined);
}

/** The file is the step's user's alone, and lies in memory only. */
export function secretFileMount(value: Buffer, destination: string, user: UserIds): SandboxMount {
  return { kind: 'file', destination, content: value, mode: 0o400, uid: user.uid, gid: user.gid };
}

export function secretVariables(secrets: readonly FoundSecret[]): Record<string, string> {
  return Object.fromEntries(
    secrets.flatMap(({ mount, value }) => (mount.env === undefined ? [] : [[mount.env, value.toString('utf8')]])),
  );
}

function absenceOf(source: SecretSource, id: string): string | undefined {
  const why = source.absence?.(id);
  return why === undefined ? undefined : `but ${why}`;
}

function missing(id: string, why = 'which was not given'): ToolError {
  return new ToolError('SECRET_MISSING', `the step needs the secret ${id}, ${why}`, {
    hint: `give it: --secret id=${id},src=FILE, or --secret id=${id},env=NAME`,
  });
}

/** What is wrong is said without the value. */
function checkVariable(id: string, name: string, value: Buffer): void {
  const problem = value.includes(0)
    ? 'it holds a NUL byte'
    : !Buffer.from(value.toString('utf8')).equals(value)
      ? 'it is not UTF-8'
      : value.length + name.length + 1 > longestVariableBytes
        ? 'it is longer than 128 KiB'
        : undefined;
  if (problem === undefined) return;
  throw new ToolError('SECRET_INVALID', `the secret ${id} cannot be in the variable ${name}: ${problem}`, {
    hint: 'mount it as a file instead: to = "/run/secrets/…"',
  });
}
