import { readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { accountKinds } from '../account.ts';
import { missing } from '../requirements.ts';
import { busyboxProject, type Kiln, openKiln, project } from './kiln.ts';

/** When a build was last carried out: one that is known to be unchanged leaves no trace. */
function lastCarriedOut(kiln: Kiln): number {
  const folder = path.join(kiln.store, 'records', 'traces-v1');
  return Math.max(...readdirSync(folder).map((name) => statSync(path.join(folder, name)).mtimeMs));
}

const common = (text: string) => `[stages.common]\nfrom = "base:1"\nsteps = [{ run = "echo ${text} > /g" }]\n`;

/** Files younger than two seconds may change unseen, so builds of them are not remembered. */
const untilFilesAreOld = () => sleep(2_200);

describe.skipIf(missing('busybox', 'unprivileged-user', 'overlay')).each(accountKinds())('as %s', (kind) => {
  it('a build in which nothing changed says at once what it said before; any change is seen', async () => {
    await using kiln = await openKiln(kind);
    await kiln.ok(['build', '-t', 'base:1', busyboxProject(kiln.account, 'base')]);
    const context = project(kiln.account, 'app', {
      Buildfile: 'from = "base:1"\nsteps = [{ copy = "src", to = "/src/" }, { run = "cat /src/* > /all" }]\n',
      'src/a': 'one',
    });
    const words = ['build', '--progress', 'plain', '-t', 'app:1', context];
    const all = () => kiln.ok(['run', '--rm', 'app:1', 'cat', '/all']);
    await kiln.ok(words);
    await untilFilesAreOld();
    const whole = await kiln.run(words);
    const before = lastCarriedOut(kiln);

    const again = await kiln.run(words);

    expect(again).toEqual(whole);
    expect(again.stderr).toContain('CACHED');
    expect(lastCarriedOut(kiln)).toBe(before);

    const changes: [string, () => unknown, string][] = [
      ['a file with other content', () => writeFileSync(path.join(context, 'src/a'), 'two'), 'two'],
      ['a file that came', () => writeFileSync(path.join(context, 'src/b'), '+b'), 'two+b'],
      ['a file that went', () => rmSync(path.join(context, 'src/b')), 'two'],
      ['a name that was taken away', () => kiln.ok(['rmi', 'app:1']), 'two'],
    ];
    for (const [, change, expected] of changes) {
      await change();
      await kiln.ok(words);
      expect(await all()).toBe(expected);
    }
    expect(lastCarriedOut(kiln)).toBeGreaterThan(before);
  });

  it('what steps said while they ran is not said again', async () => {
    await using kiln = await openKiln(kind);
    const context = project(kiln.account, 'app', {
      Buildfile: 'from = "scratch"\nsteps = [{ copy = "f", to = "/f" }]\n',
      f: 'x',
    });
    await kiln.ok(['build', '-q', '-t', 'base:1', busyboxProject(kiln.account, 'base')]);
    await untilFilesAreOld();
    expect((await kiln.run(['build', context])).stderr).toContain('DONE');

    expect((await kiln.run(['build', context])).stderr).toContain('CACHED');
  });

  it.each<[string, (more: string, context: string) => void, string]>([
    ['a named context', (more) => writeFileSync(path.join(more, 'f'), 'two'), 'twoone\n'],
    ['an included file', (_, context) => writeFileSync(path.join(context, 'common.toml'), common('two')), 'onetwo\n'],
  ])('a change in %s is seen', async (_what, change, expected) => {
    await using kiln = await openKiln(kind);
    await kiln.ok(['build', '-t', 'base:1', busyboxProject(kiln.account, 'base')]);
    const more = project(kiln.account, 'more', { f: 'one' });
    const context = project(kiln.account, 'app', {
      Buildfile: 'include = ["common.toml"]\nfrom = "common"\nsteps = [{ copy = "f", from = "more", to = "/f" }]\n',
      'common.toml': common('one'),
    });
    const words = ['build', '-t', 'app:1', '--build-context', `more=${more}`, context];
    await kiln.ok(words);
    await untilFilesAreOld();
    await kiln.ok(words);
    const before = lastCarriedOut(kiln);
    await kiln.ok(words);
    expect(lastCarriedOut(kiln)).toBe(before);

    change(more, context);
    await kiln.ok(words);
    expect(await kiln.ok(['run', '--rm', 'app:1', 'cat', '/f', '/g'])).toBe(expected);
  });

  it('a change in a layout that is built on is seen', async () => {
    await using kiln = await openKiln(kind);
    const makeBase = (text: string) =>
      kiln.ok([
        ...['build', '-q', '--no-lock', '-o', `type=oci,dest=${kiln.account.folder('layouts')}/base,tar=false`],
        project(kiln.account, `base-${text}`, {
          Buildfile: 'from = "scratch"\nsteps = [{ copy = "f", to = "/f" }]\n',
          f: text,
        }),
      ]);
    await makeBase('one');
    const context = project(kiln.account, 'app', {
      Buildfile: 'from = "oci:../layouts/base"\nsteps = [{ env = { A = "1" } }]\n',
    });
    const words = ['build', '-q', '--no-lock', context];
    await kiln.ok(words);
    await untilFilesAreOld();
    const digest = await kiln.ok(words);

    await makeBase('two');

    expect(await kiln.ok(words)).not.toBe(digest);
  });

  it('a result that was removed is made again', async () => {
    await using kiln = await openKiln(kind);
    const context = project(kiln.account, 'app', {
      Buildfile: 'from = "scratch"\nsteps = [{ copy = "f", to = "/f" }]\n',
      f: 'x',
    });
    await kiln.ok(['build', '-q', context]);
    await untilFilesAreOld();
    const digest = (await kiln.ok(['build', '-q', context])).trim();
    expect((await kiln.ok(['build', '-q', context])).trim()).toBe(digest);

    await kiln.ok(['prune', '--all']);

    expect((await kiln.ok(['build', '-q', context])).trim()).toBe(digest);
    expect(JSON.parse(await kiln.ok(['inspect', digest]))).toBeDefined();
  });
});
