import { ToolError } from '../../core/index.ts';

/** One step of the launcher; runtime/native/spec.h says what each does, and what its fields are. */
export type Operation =
  | readonly ['parent', pid: string]
  | readonly ['namespace', name: 'mount' | 'pid' | 'ipc' | 'uts' | 'net' | 'cgroup']
  | readonly ['terminal']
  | readonly ['network-arg', argument: string]
  | readonly ['cgroup', file: string]
  | readonly ['cgroup-namespace']
  | readonly ['layer', folder: string]
  | readonly ['upper', folder: string, workFolder: string]
  | readonly ['overlay-option', key: string, value: string, need: 'required' | 'optional']
  | readonly ['old-mount-api']
  | readonly ['root', place: string]
  | readonly ['overlay', place: string]
  | readonly ['memory', place: string]
  | readonly ['file', path: string, mode: string, owner: string, content: string]
  | readonly ['mount', type: string, destination: string, flags: string, options: string]
  | readonly ['sysfs', whose: 'own' | 'host']
  | readonly ['bind', source: string, destination: string, flags: string]
  | readonly ['symlink', text: string, destination: string]
  | readonly ['mask', path: string]
  | readonly ['read-only', path: string]
  | readonly ['read-only-root']
  | readonly ['pivot']
  | readonly ['hostname', name: string]
  | readonly ['loopback']
  | readonly ['rlimit', resource: string, soft: string, hard: string]
  | readonly ['capabilities', mask: string]
  | readonly ['seccomp', program: string]
  | readonly ['user', uid: string, gid: string]
  | readonly ['group', gid: string]
  | readonly ['cwd', folder: string]
  | readonly ['env', assignment: string]
  | readonly ['arg', argument: string];

/**
 * The list as the launcher reads it: the length of the rest in decimal digits, and then each word; all ended by NUL.
 * @throws ToolError SANDBOX_SPEC_INVALID when a field holds a NUL
 */
export function encodeOperations(operations: readonly Operation[]): Buffer {
  for (const [name, ...fields] of operations) {
    const bad = fields.find((field) => field.includes('\0'));
    if (bad === undefined) continue;
    throw new ToolError('SANDBOX_SPEC_INVALID', `${name} ${JSON.stringify(bad)} of a sandbox holds a NUL byte`, {
      hint: 'remove the \\u0000 from it',
    });
  }
  const list = Buffer.from(operations.map((operation) => `${operation.join('\0')}\0`).join(''));
  return Buffer.concat([Buffer.from(`${list.byteLength}\0`), list]);
}
