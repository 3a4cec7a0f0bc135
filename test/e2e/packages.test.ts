import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { accountKinds } from '../account.ts';
import { missing } from '../requirements.ts';
import { type Kiln, openKiln, project } from './kiln.ts';
import { stillRunning } from './nothing-left.ts';

const needs = ['apt', 'mmdebstrap', 'unprivileged-user', 'overlay'] as const;
const longMs = { timeoutMs: 480_000 };

const buildfile = `
from = "bootstrap:debian/bookworm"

[[steps]]
packages = ["netbase", "openssl"]

[[steps]]
test = "openssl version && test -s /etc/services && ! ls /var/lib/apt/lists/*_InRelease"

[[steps]]
packages = ["netbase"]
`;

/** Takes a minute for each account: real packages of Debian. */
describe.skipIf(missing(...needs))('packages on Debian', () => {
  it('gives the same image to everyone, whoever resolved the set, and again without a network', async () => {
    const digests = new Set<string>();
    let lock: string | undefined;
    for (const kind of accountKinds()) {
      await using kiln = await openKiln(kind);
      const folder = project(kiln.account, 'project', {
        Buildfile: buildfile,
        ...(lock === undefined ? {} : { 'Buildfile.lock': lock }),
      });
      await kiln.ok(['build', '-t', 'one', folder], longMs);
      digests.add(await kiln.digest('one'));
      await kiln.ok(['build', '--no-cache', '--network', 'none', '-t', 'again', folder], longMs);
      digests.add(await kiln.digest('again'));
      lock = readFileSync(path.join(folder, 'Buildfile.lock'), 'utf8');

      expect(lock).toMatch(/apt:debian\/12 linux\/\w+ netbase openssl on [0-9a-f]{12}/);
      expect(await stillRunning(kiln)).toEqual([]);
    }

    expect([...digests]).toHaveLength(1);
  });

  it('says which package there is not', async () => {
    await using kiln = await openKiln(accountKinds()[0] ?? 'unprivileged');
    const folder = project(kiln.account, 'project', { Buildfile: buildfile.replace('"openssl"', '"opensll"') });

    const outcome = await failing(kiln, folder);

    expect(outcome.status).toBe(2);
    expect(outcome.stderr).toContain('there is no package opensll; is openssl meant?');
    expect(outcome.stderr).toContain('Buildfile:5');
  });
});

function failing(kiln: Kiln, folder: string) {
  return kiln.run(['build', folder], longMs);
}
