import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { accountKinds, signalGroup } from '../account.ts';
import { startDockerRegistry } from '../docker-registry.ts';
import { firstAnswer, freePort } from '../loopback.ts';
import { missing } from '../requirements.ts';
import { finished, openKiln } from './kiln.ts';
import { stillRunning } from './nothing-left.ts';

const site = path.join(path.dirname(path.dirname(import.meta.dirname)), 'fixtures', 'projects', 'site');
const needs = ['apt', 'mmdebstrap', 'docker-registry', 'unprivileged-user', 'overlay'] as const;

/** Takes a minute or two for each account: the only tests that install real packages. */
describe.each(accountKinds())('as %s', (kind) => {
  it.skipIf(missing(...needs))(
    'installs nginx on a bootstrapped Debian, and serves a page from what was pulled',
    async () => {
      await using registry = await startDockerRegistry();
      await using kiln = await openKiln(kind);
      const name = `${registry.host}/site:1`;
      await kiln.ok(['build', '--no-lock', '-t', name, '--push', site], { timeoutMs: 480_000 });
      const port = await freePort();
      const elsewhere = kiln.withStore('elsewhere');
      await elsewhere.ok(['pull', name]);

      const server = elsewhere.start(['run', '--rm', '--network', 'host', '-e', `PORT=${port}`, name]);
      const outcome = finished(server);
      const page = await firstAnswer(`http://127.0.0.1:${port}/`);
      signalGroup(server, 'SIGTERM');

      expect(page).toContain('Fired in the kiln');
      expect(await outcome).toMatchObject({ status: 0 });
      expect(await stillRunning(kiln)).toEqual([]);
    },
  );
});
