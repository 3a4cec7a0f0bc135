import { describe, expect, it } from 'vitest';
import { accountKinds } from '../account.ts';
import { missing } from '../requirements.ts';
import { busyboxProject, type Kiln, openKiln, project } from './kiln.ts';

/** A context on a busybox base that is in the store. */
async function contextOf(kiln: Kiln, buildfile: string, files: Readonly<Record<string, string>> = {}): Promise<string> {
  await kiln.ok(['build', '-t', 'base:1', busyboxProject(kiln.account, 'base')]);
  return project(kiln.account, 'app', { Buildfile: buildfile, ...files });
}

/** Titles of steps that ran. */
function ranIn(progress: string): string[] {
  const titles = new Map([...progress.matchAll(/^#(\d+) (\[.*)$/gm)].map(([, id, title]) => [id, title]));
  return [...progress.matchAll(/^#(\d+) DONE/gm)].map(([, id]) => titles.get(id) ?? '');
}

describe.skipIf(missing('busybox', 'unprivileged-user', 'overlay')).each(accountKinds())('as %s', (kind) => {
  it('builds several targets in one run, names each, and does shared work once', async () => {
    await using kiln = await openKiln(kind);
    const context = await contextOf(
      kiln,
      `
[stages.shared]
from = "base:1"
steps = [{ run = "cat /proc/sys/kernel/random/uuid > /id" }]
[stages.one]
from = "shared"
image = { cmd = ["cat", "/id"] }
[stages.two]
from = "shared"
steps = [{ run = "echo two >> /id" }]
image = { cmd = ["cat", "/id"] }
`,
    );

    const both = ['build', '--progress', 'plain', '--target', 'one', '--target', 'two'];
    const built = await kiln.run([...both, '-t', 'one=one:1', '-t', 'two=two:1', context]);
    const all = JSON.parse(await kiln.ok(['build', '--all', '--json', context]));
    const unnamed = await kiln.run([...both, '-t', 'x:1', context]);

    expect(built.status).toBe(0);
    expect(ranIn(built.stderr).filter((title) => title.includes('uuid'))).toHaveLength(1);
    expect(built.stdout).toMatch(/^sha256:[0-9a-f]{64} one\nsha256:[0-9a-f]{64} two\n$/);
    const id = await kiln.ok(['run', '--rm', 'one:1']);
    expect(await kiln.ok(['run', '--rm', 'two:1'])).toBe(`${id}two\n`);
    expect(all.targets.map(({ target }: { target: string }) => target)).toEqual(['shared', 'one', 'two']);
    expect(all.cachedSteps).toBeGreaterThanOrEqual(2);
    expect(unnamed).toMatchObject({ status: 2, stderr: expect.stringContaining('STAGE=x:1') });
  });

  it('gives an index for several platforms, and each of them its image', async () => {
    await using kiln = await openKiln(kind);
    const context = project(kiln.account, 'app', {
      Buildfile: `from = "scratch"\nsteps = [{ copy = "a.txt", to = "/\${TARGETARCH}.txt" }]\n`,
      'a.txt': 'a',
    });

    const built = ['build', '--json', '--platform', 'linux/amd64,linux/arm64', '-t', 'many:1', context];
    const { digest, platforms } = JSON.parse(await kiln.ok(built));

    expect(Object.keys(platforms)).toEqual(['linux/amd64', 'linux/arm64']);
    expect(new Set([digest, ...Object.values(platforms)]).size).toBe(3);
    expect(await kiln.digest('many:1')).toBe(digest);
  });

  it('two builds at once do the same step once', async () => {
    await using kiln = await openKiln(kind);
    const context = await contextOf(
      kiln,
      'from = "base:1"\nsteps = [{ run = "sleep 1; cat /proc/sys/kernel/random/uuid > /id" }]\n',
    );

    const build = (name: string) => kiln.run(['build', '--progress', 'plain', '-t', name, context]);
    const [a, b] = await Promise.all([build('a:1'), build('b:1')]);

    expect([a.status, b.status]).toEqual([0, 0]);
    expect(a.stdout).toBe(b.stdout);
    expect([...ranIn(a.stderr), ...ranIn(b.stderr)].filter((title) => title.includes('uuid'))).toHaveLength(1);
  });

  it('the first failure ends the others, and is the one that is told', async () => {
    await using kiln = await openKiln(kind);
    const context = await contextOf(
      kiln,
      `
[stages.slow]
from = "base:1"
steps = [{ run = "sleep 300" }]
[stages.bad]
from = "base:1"
steps = [{ run = "sleep 0.3; echo wrong >&2; exit 9" }]
[stages.both]
from = "base:1"
steps = [{ copy = "/x", from = "slow" }, { copy = "/x", from = "bad" }]
`,
    );

    const outcome = await kiln.run(['build', context], { timeoutMs: 60_000 });

    expect(outcome.status).toBe(3);
    expect(outcome.stderr).toContain('wrong');
    expect(outcome.stderr).toContain('exit code 9');
  });
});
