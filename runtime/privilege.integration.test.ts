import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Account, openAccount } from '../test/account.ts';
import { missing, requirement } from '../test/requirements.ts';
import { openLauncher } from './launcher.ts';
import { describePrivilege } from './privilege.ts';

const packageRoot = path.resolve(import.meta.dirname, '..');
const node = path.join(packageRoot, 'node_modules', '.bin', 'node');

describe.skipIf(missing('cc', 'unprivileged-user'))('an unprivileged user', () => {
  let account: Account;
  let launcher: string;
  beforeAll(async () => {
    account = openAccount('unprivileged');
    launcher = (await openLauncher()).file;
  });
  afterAll(() => account[Symbol.asyncDispose]());

  it('becomes uid 0 of a user namespace with the same process id', async () => {
    const script = `
      const { openLauncher } = await import('${packageRoot}/runtime/launcher.ts');
      const { describePrivilege, enterUserNamespace } = await import('${packageRoot}/runtime/privilege.ts');
      const before = await describePrivilege();
      if (before.kind === 'unprivileged') {
        console.log(process.pid, JSON.stringify(before));
        enterUserNamespace(await openLauncher(), [process.execPath, ...process.execArgv], { MARK: 'kept' });
      }
      const { readFileSync } = await import('node:fs');
      console.log(process.pid, JSON.stringify(before), process.getuid(), process.getgid(), process.env.MARK);
      console.log(readFileSync('/proc/self/uid_map', 'utf8'));
    `;

    const outcome = await account.run([
      node,
      '--disable-warning=ExperimentalWarning',
      '--input-type=module',
      '-e',
      script,
    ]);

    const [first = '', second = '', ...map] = outcome.stdout.trim().split('\n');
    const pid = first.split(' ')[0];
    const { uid } = account;
    expect(outcome.stderr).toBe('');
    expect(first).toContain(`"kind":"unprivileged","uid":${uid}`);
    expect(first).toContain('"subordinate":true,"problems":[]');
    expect(second).toBe(`${pid} {"kind":"user-namespace"} 0 0 kept`);
    expect(map[0]?.trim().split(/\s+/)).toEqual(['0', String(uid), '1']);
    expect(Number(map[1]?.trim().split(/\s+/)[2])).toBeGreaterThanOrEqual(65_536);
  });

  it('gets a mount namespace of its own', async () => {
    const ids = ['--uids', '0', String(account.uid), '1', '--gids', '0', String(account.uid), '1'];
    const namespace = ['/bin/sh', '-c', 'readlink /proc/self/ns/mnt; mount -t tmpfs none /mnt && echo mounted'];

    const outcome = await account.run([launcher, 'enter', ...ids, '--', ...namespace]);

    expect(outcome).toMatchObject({ status: 0, stdout: expect.stringMatching(/^mnt:.*\nmounted\n$/), stderr: '' });
    expect(readFileSync('/proc/self/mounts', 'utf8')).not.toContain(' /mnt tmpfs ');
  });

  it('is told of ids that it may not have, and of a command that is missing', async () => {
    const own = ['--uids', '0', String(account.uid), '1', '--gids', '0', String(account.uid), '1'];

    const stolen = await account.run([
      launcher,
      'enter',
      '--uids',
      '0',
      '0',
      '1',
      '--gids',
      '0',
      '0',
      '1',
      '--',
      '/bin/true',
    ]);
    const absent = await account.run([launcher, 'enter', ...own, '--', '/no/such']);
    const nothing = await account.run([launcher, 'enter', ...own]);

    expect(stolen).toMatchObject({ status: 125, stderr: expect.stringContaining('/etc/subuid') });
    expect(absent).toMatchObject({ status: 125, stderr: expect.stringContaining('/no/such: No such file') });
    expect(nothing).toMatchObject({ status: 125, stderr: expect.stringContaining('there is no command') });
  });
});

describe.skipIf(requirement('root') !== undefined)('root', () => {
  it('needs no user namespace', async () => {
    expect((await describePrivilege()).kind).toMatch(/^(root|user-namespace)$/);
  });
});
