import { symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { accountKinds } from '../account.ts';
import { missing } from '../requirements.ts';
import { busyboxProject, type Kiln, openKiln, project } from './kiln.ts';

const needs = ['busybox', 'unprivileged-user', 'overlay'] as const;

const base = `
[stages.base]
from = "scratch"
steps = [
  { copy = "busybox", to = "/bin/busybox", mode = "0755" },
  { run = ["/bin/busybox", "sh", "-c", "/bin/busybox --install -s /bin"] },
]
`;

const app = `
[stages.app]
from = "base"
steps = [
  { run = "echo \${KIND} > /kind" },
  { run = "echo debug >> /kind", when = { DEBUG = { not = "" } } },
  { copy = "extra", from = "extras", to = "/", optional = true },
]

[stages.extras]
from = "scratch"
when = { KIND = "worker" }
steps = [{ copy = "a.txt", to = "/extra" }]
`;

const args = `
[args]
KIND = { default = "web", allowed = ["web", "worker"] }
DEBUG = ""
`;

describe.each(accountKinds())('as %s', (kind) => {
  it.skipIf(missing(...needs))(
    'what is included builds the image that it builds when it is written in one file',
    async () => {
      await using kiln = await openKiln(kind);
      const files = {
        'a.txt': 'a\n',
        'shared/args.toml': args,
        'shared/base.toml': `include = ["args.toml"]\n${base}`,
      };
      const context = busyboxProject(kiln.account, 'app', {
        ...files,
        Buildfile: `default = "app"\n${args}${base}${app}`,
        Parts: `default = "app"\ninclude = ["shared/base.toml"]\n${app}`,
      });

      const whole = await digest(kiln, context, 'Buildfile');
      const parts = await digest(kiln, context, 'Parts');

      expect(whole).toMatch(/^sha256:/);
      expect(parts).toBe(whole);
    },
  );

  it.skipIf(missing(...needs))('a `when` decides which steps and stages there are', async () => {
    await using kiln = await openKiln(kind);
    const context = busyboxProject(kiln.account, 'app', {
      'a.txt': 'a\n',
      Buildfile: `default = "app"\n${args}${base}${app}`,
    });

    const files: string[] = [];
    for (const given of [[], ['DEBUG=1'], ['KIND=worker']]) {
      await kiln.ok(['build', '-t', 'app', ...given.flatMap((arg) => ['--build-arg', arg]), context]);
      files.push(await kiln.ok(['run', '--rm', 'app', 'sh', '-c', 'cat /kind; ls /extra 2>/dev/null || true']));
    }

    expect(files).toEqual(['web\n', 'web\ndebug\n', 'worker\n/extra\n']);
    const absent = await kiln.run(['build', '--target', 'extras', context]);
    expect(absent).toMatchObject({ status: 2, stdout: '' });
    expect(absent.stderr).toContain('stage `extras` is there only when KIND is `worker`, and it is `web`');
    const wrong = await kiln.run(['build', '--build-arg', 'KIND=wroker', context]);
    expect(wrong).toMatchObject({ status: 2, stdout: '' });
    expect(wrong.stderr).toContain('did you mean `worker`?');
  });

  it.skipIf(missing(...needs))('--build-context puts a folder in the place of a stage', async () => {
    await using kiln = await openKiln(kind);
    const context = busyboxProject(kiln.account, 'app', {
      'a.txt': 'of the stage\n',
      Buildfile: `
default = "app"
${base}
[stages.site]
from = "base"
steps = [{ copy = "a.txt", to = "/" }]
[stages.app]
from = "base"
steps = [{ copy = "/a.txt", from = "site", to = "/" }]
`,
    });
    const other = project(kiln.account, 'other', { 'a.txt': 'of the folder\n' });

    const shown: string[] = [];
    for (const flags of [[], ['--build-context', `site=${other}`]]) {
      await kiln.ok(['build', '-t', 'app', ...flags, context]);
      shown.push(await kiln.ok(['run', '--rm', 'app', 'cat', '/a.txt']));
    }

    expect(shown).toEqual(['of the stage\n', 'of the folder\n']);
  });

  it.each<[string, Readonly<Record<string, string>>, string]>([
    [
      'files that include each other',
      {
        Buildfile: 'include = ["a.toml"]\nfrom = "scratch"\n',
        'a.toml': 'include = ["b.toml"]',
        'b.toml': 'include = ["a.toml"]',
      },
      'files include each other: `app/a.toml` → `app/b.toml` → `app/a.toml`',
    ],
    [
      'an included file outside',
      { Buildfile: 'include = ["../secret"]\nfrom = "scratch"\n' },
      '`../secret` leads out of',
    ],
    ['a symlink that leads outside', { Buildfile: 'include = ["link"]\nfrom = "scratch"\n' }, '`link` leads out of'],
    ['a Dockerfile', { Buildfile: 'FROM debian\nRUN true\n' }, 'this is a Dockerfile'],
    ['a Buildfile of 10 MB', { Buildfile: '#'.repeat(10_000_000) }, 'Buildfile is larger than 1024 KiB'],
    [
      '10,000 wrong steps',
      { Buildfile: `from = "scratch"\n${'[[steps]]\nrnu = "x"\n'.repeat(10_000)}` },
      'and 9900 more problems',
    ],
  ])('refuses %s with exit code 2', async (_title, files, message) => {
    await using kiln = await openKiln(kind);
    const context = project(kiln.account, 'app', files);
    const folder = path.dirname(context);
    writeFileSync(path.join(folder, 'secret'), '[nobody may see this\n');
    symlinkSync('../secret', path.join(context, 'link'));

    const outcome = await kiln.run(['build', 'app'], { cwd: folder });

    expect(outcome).toMatchObject({ status: 2, stdout: '' });
    expect(outcome.stderr).toContain(message);
    expect(outcome.stderr).not.toContain('nobody may see this');
  });
});

async function digest(kiln: Kiln, context: string, file: string): Promise<string> {
  return (await kiln.ok(['build', '-f', path.join(context, file), context])).trim();
}
