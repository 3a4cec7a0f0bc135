import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { accountKinds } from '../account.ts';
import { missing } from '../requirements.ts';
import { busyboxProject, type Kiln, openKiln, project } from './kiln.ts';

const needs = ['busybox', 'unprivileged-user', 'overlay'] as const;

const buildfile = `
[stages.base]
from = "scratch"
steps = [
  { copy = "busybox", to = "/bin/busybox", mode = "0755" },
  { run = ["/bin/busybox", "sh", "-c", "/bin/busybox --install -s /bin"] },
]

[stages.tool]
from = "base"
steps = [{ run = "mkdir -p /out/lib && echo tool > /out/lib/tool && chown -R 5:6 /out && ln /out/lib/tool /out/same" }]

[stages.app]
from = "base"
steps = [
  { run = "mkdir -p /data/real && ln -s real /data/link" },
  { copy = ["src/./**/*.txt"], to = "/data/link", parents = true, exclude = ["skip"] },
  { copy = ["settings.toml", "no-settings.toml"], to = "/etc/app/", optional = true },
  { copy = "kept", to = "/kept", preserve = ["mode", "owner", "time", "xattrs"] },
  { copy = "/out", from = "tool", to = "/plain" },
  { copy = "/out", from = "tool", to = "/owned", preserve = ["owner"] },
  { copy = ".", from = "lib", to = "/lib" },
  { copy = "etc/base-version", from = "disk", to = "/from-layout" },
  { run = """
      test "$(find /data/real | sort | tr '\\\\n' ' ')" = '/data/real /data/real/a /data/real/a/one.txt /data/real/two.txt '
      test -f /etc/app/settings.toml
      test ! -e /etc/app/no-settings.toml
      test "$(stat -c '%a %u %Y' /kept/secret)" = "640 \${OWNER} 86400"
      test "$(stat -c '%a %u:%g %h' /plain/lib/tool)" = '644 0:0 2'
      test "$(stat -c '%u:%g' /owned/same)" = 5:6
      test "$(ls -A /lib)" = book
      test "$(cat /from-layout)" = 1
    """ },
]

[args]
OWNER = { required = true }
`;

/** A project with everything in it that a copy may meet; files belong to whoever `owner` is. */
function copyProject(kiln: Kiln, owner: number): string {
  const context = busyboxProject(kiln.account, 'app', {
    Buildfile: buildfile,
    'src/a/one.txt': '1',
    'src/two.txt': '2',
    'src/no.md': '',
    'src/skip/three.txt': '3',
    'settings.toml': 's',
    'kept/secret': 'x',
  });
  const kept = path.join(context, 'kept/secret');
  linkSync(kept, path.join(context, 'kept/again'));
  for (const file of [kept, path.join(context, 'kept')]) chownSync(file, owner, owner);
  chmodSync(kept, 0o640);
  for (const file of [kept, path.join(context, 'kept')]) utimesSync(file, 86_400, 86_400);
  return context;
}

async function buildCopies(kiln: Kiln, owner: number): Promise<string> {
  const base = busyboxProject(kiln.account, 'base');
  await kiln.ok(['build', '-t', 'base:1', base]);
  const library = project(kiln.account, 'library', { book: 'b', draft: 'd', '.dockerignore': 'draft\n.*\n' });
  const context = copyProject(kiln, owner);
  const contexts = [`lib=${library}`, `disk=oci:${kiln.store}/content`];
  const built = await kiln.ok([
    'build',
    '--target=app',
    `--build-arg=OWNER=${owner}`,
    ...contexts.map((text) => `--build-context=${text}`),
    context,
  ]);
  return built.trim();
}

describe.each(accountKinds())('as %s', (kind) => {
  it.skipIf(missing(...needs))('copies with every option, from everywhere, what a container then finds', async () => {
    await using kiln = await openKiln(kind);

    expect(await buildCopies(kiln, kiln.account.uid)).toMatch(/^sha256:/);
  });

  it('names the FIFOs of a context, leaves out sockets, and keeps to the context', async () => {
    await using kiln = await openKiln(kind);
    const context = project(kiln.account, 'app', {
      Buildfile: 'from = "scratch"\nsteps = [{ copy = "d", to = "/" }]',
      'd/x': 'x',
    });
    await using server = createServer().listen(path.join(context, 'd/socket'));
    symlinkSync('/etc/passwd', path.join(context, 'd/link'));
    for (const name of ['p', 'q']) execFileSync('mkfifo', [path.join(context, 'd', name)]);

    const refused = await kiln.run(['build', context]);
    writeFileSync(path.join(context, '.dockerignore'), 'd/p\nd/q\n');
    const built = await kiln.run(['build', context]);
    writeFileSync(path.join(context, 'Buildfile'), 'from = "scratch"\nsteps = [{ copy = "d/link", to = "/" }]');
    const outside = await kiln.run(['build', context]);

    expect(server.listening).toBe(true);
    expect(refused.status).not.toBe(0);
    expect(refused.stderr).toContain('d/p, d/q in the context are devices or FIFOs');
    expect(built).toMatchObject({ status: 0 });
    expect(outside.status).not.toBe(0);
    expect(outside.stderr).toContain('leads out of the context');
  });

  it('copies a few thousand files once, and one changed file of them with its layer', async () => {
    await using kiln = await openKiln(kind);
    const context = project(kiln.account, 'app', {
      Buildfile: 'from = "scratch"\nsteps = [{ copy = "other", to = "/b" }, { copy = "src", to = "/a" }]',
      'other/x': 'x',
    });
    for (let folder = 0; folder < 30; folder++) {
      mkdirSync(path.join(context, 'src', String(folder)), { recursive: true });
      for (let file = 0; file < 100; file++)
        writeFileSync(path.join(context, 'src', String(folder), `f${file}`), `${folder} ${file}\n`);
    }
    const cachedSteps = async () => JSON.parse(await kiln.ok(['build', '--json', context])).cachedSteps;

    expect(await cachedSteps()).toBe(0);
    expect(await cachedSteps()).toBe(2);
    appendFileSync(path.join(context, 'src/7/f70'), 'more\n');
    expect(await cachedSteps()).toBe(1);
    expect(await cachedSteps()).toBe(2);
  });

  it('reports what it read of the context, and what it did not', async () => {
    await using kiln = await openKiln(kind);
    const context = project(kiln.account, 'app', {
      Buildfile: 'from = "scratch"\nsteps = [{ copy = "src", to = "/" }]',
      'src/a': 'aaa',
      'left.txt': '',
      'node_modules/m/index.js': 'x'.repeat(5000),
      '.buildignore': 'node_modules\n',
    });

    const { stderr, stdout } = await kiln.run(['build', '--progress=quiet', '--context-report', context]);
    const json = JSON.parse(await kiln.ok(['build', '--context-report', '--json', context]));

    expect(stdout).toMatch(/^sha256:[0-9a-f]{64}\n$/);
    expect(stderr).toMatch(/^copied +1 +3B$/m);
    expect(stderr).toMatch(/^node_modules +1 +5kB$/m);
    expect(json.contexts).toMatchObject([
      { folder: context, copied: { files: 1, bytes: 3 }, ignored: { files: 1, bytes: 5000 }, unused: { files: 3 } },
    ]);
  });
});

it.skipIf(missing('root', ...needs))('root and an ordinary user copy the same bytes, owners too', async () => {
  await using asRoot = await openKiln('root');
  await using asUser = await openKiln('unprivileged');

  const first = await buildCopies(asRoot, asUser.account.uid);
  const second = await buildCopies(asUser, asUser.account.uid);

  expect(second).toBe(first);
});

it.skipIf(missing('root', 'unprivileged-user'))(
  'says whose files an ordinary user cannot keep the owner of',
  async () => {
    await using kiln = await openKiln('unprivileged');
    const context = project(kiln.account, 'app', {
      Buildfile: 'from = "scratch"\nsteps = [{ copy = "x", to = "/", preserve = ["owner"] }]',
      x: 'x',
    });

    const outcome = await kiln.run(['build', context]);

    expect(outcome.status).not.toBe(0);
    expect(outcome.stderr).toContain('x in the context belongs to somebody');
  },
);
