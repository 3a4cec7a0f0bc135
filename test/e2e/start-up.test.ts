import { describe, expect, it } from 'vitest';
import { accountKinds } from '../account.ts';
import { startDockerRegistry } from '../docker-registry.ts';
import { missing } from '../requirements.ts';
import { busyboxProject, openKiln } from './kiln.ts';

/** Tells at the end of a process which of Node's own modules it loaded. */
const tellModules = "process.on('exit', () => process.stderr.write(JSON.stringify(process.moduleLoadList)))";
const told = `--import=data:text/javascript;base64,${Buffer.from(tellModules).toString('base64')}`;

describe.skipIf(missing('busybox', 'docker-registry')).each(accountKinds().slice(0, 1))('a push, as %s', (kind) => {
  it('loads nothing of the fetch that Node brings, which would take longer than asking the registry', async () => {
    await using kiln = await openKiln(kind);
    await using registry = await startDockerRegistry();
    const image = `${registry.host}/app:1`;
    await kiln.ok(['build', '-q', '-t', image, busyboxProject(kiln.account, 'app')]);

    const pushed = await kiln.run(['push', '-q', image], { env: { NODE_OPTIONS: told } });

    expect(pushed.status).toBe(0);
    expect(pushed.stderr).toContain('NativeModule http"');
    expect(pushed.stderr).not.toContain('undici');
  });
});
