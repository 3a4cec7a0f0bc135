import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { accountKinds } from '../account.ts';
import { missing } from '../requirements.ts';
import { busyboxProject, type Kiln, openKiln, project } from './kiln.ts';

const needs = ['busybox', 'unprivileged-user', 'overlay'] as const;

/** A context whose base is in the store. */
async function app(kiln: Kiln, steps: string, files: Readonly<Record<string, string>> = {}): Promise<string> {
  await kiln.ok(['build', '-t', 'base:1', busyboxProject(kiln.account, 'base')]);
  return project(kiln.account, 'app', { Buildfile: `from = "base:1"\nsteps = [\n${steps}\n]\n`, ...files });
}

describe.skipIf(missing(...needs)).each(accountKinds())('as %s', (kind) => {
  it('explains which file made a step run again, and what that did to the next', async () => {
    await using kiln = await openKiln(kind);
    const context = await app(
      kiln,
      '{ copy = "src", to = "/src/" },\n{ run = "cat /src/a > /out", env = { MODE = "1" } },',
      {
        'src/a': 'one',
        'src/b': 'same',
      },
    );
    const none = await kiln.run(['explain', '--context', context]);
    await kiln.ok(['build', context]);
    writeFileSync(path.join(context, 'src', 'a'), 'two');
    await kiln.ok(['build', context]);

    const text = await kiln.ok(['explain', '--context', context]);
    const { steps } = JSON.parse(await kiln.ok(['explain', '--json', '--context', context, 'main:1']));
    await kiln.ok(['build', context]);

    expect(none).toMatchObject({ status: 2, stderr: expect.stringContaining('kiln build first') });
    expect(text).toMatch(/RAN {4}\[main 1\/2\] COPY src \/src\/\n +a: sha256:[0-9a-f]{12} → sha256:[0-9a-f]{12}\n/);
    expect(text).toMatch(/RAN {4}\[main 2\/2\] RUN [^\n]*\n +what is below it changed/);
    expect(text).not.toContain('b: sha256');
    expect(steps).toMatchObject([
      { outcome: 'miss', reason: { kind: 'changed', changes: [{ input: 'files', part: 'a' }] } },
    ]);
    expect(await kiln.ok(['explain', '--context', context])).toContain('2 of 2 steps from the cache');
  });

  it('verifies what can be repeated, and names the first difference of what cannot', async () => {
    await using kiln = await openKiln(kind);
    const good = await app(kiln, '{ run = "echo made > /made" },');
    const bad = project(kiln.account, 'bad', {
      Buildfile:
        'from = "base:1"\nsteps = [{ run = "echo made > /made" }, { run = "cat /proc/sys/kernel/random/uuid > /etc/id" }]\n',
    });

    const built = await kiln.ok(['build', '-q', bad]);
    const same = await kiln.run(['verify', good]);
    const other = await kiln.run(['verify', bad]);
    const explained = await kiln.ok(['explain', '--context', bad]);
    const after = await kiln.ok(['build', '-q', bad]);
    const json = await kiln.run(['verify', '--json', bad]);

    expect(same).toMatchObject({ status: 0, stdout: expect.stringContaining('the same again') });
    expect(other.status).toBe(8);
    // A trial changes nothing for the builds after it.
    expect(after).toBe(built);
    expect(explained).toContain('2 of 2 steps from the cache');
    expect(other.stdout).toContain('layer 5 (RUN cat /proc/sys/kernel/random/uuid > /etc/id)');
    expect(other.stdout).toContain('file  /etc/id');
    expect(other.stdout).toMatch(/content: sha256:[0-9a-f]{64} → sha256:/);
    expect(JSON.parse(json.stdout)).toMatchObject({
      reproduced: false,
      difference: { where: 'layer', file: 'etc/id', attribute: 'content' },
    });
  });

  it('verifies an image that was built before, by name', async () => {
    await using kiln = await openKiln(kind);
    const context = await app(kiln, '{ copy = "f", to = "/f" },', { f: 'one' });
    await kiln.ok(['build', '-t', 'app:1', context]);

    const same = await kiln.run(['verify', '--image', 'app:1', context]);
    writeFileSync(path.join(context, 'f'), 'two');
    const other = await kiln.run(['verify', '--image', 'app:1', context]);

    expect(same.status).toBe(0);
    expect(other).toMatchObject({ status: 8, stdout: expect.stringContaining('file  /f') });
  });
});
