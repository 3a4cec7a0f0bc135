import { describe, expect, it } from 'vitest';
import { accountKinds } from '../account.ts';
import { missing } from '../requirements.ts';
import { busyboxProject, type Kiln, openKiln } from './kiln.ts';

const files = {
  Buildfile: `
[stages.base]
from = "scratch"
steps = [
  { copy = "busybox", to = "/bin/busybox", mode = "0755" },
  { run = ["/bin/busybox", "sh", "-c", "/bin/busybox mkdir -m 1777 /tmp && /bin/busybox --install -s /bin"] },
]

[stages.app]
from = "base"
steps = [
  { workdir = "/app" },
  { env = { COLOUR = "blue" } },
  { run = "echo $COLOUR > colour && chown 1000:1000 colour && chmod 4750 colour && mkdir kept gone" },
  { user = "1000:1000" },
  { run = "id -u > /tmp/who && ln /tmp/who /tmp/same && ln -s who /tmp/link" },
  { user = "0" },
  { run = "rmdir gone && mv kept moved && mkfifo pipe" },
  { copy = ["a.txt", "b.txt"], to = "/data/" },
]
[stages.app.image]
cmd = ["cat", "/app/colour"]
`,
  'a.txt': 'a\n',
  'b.txt': 'b\n',
};

const needs = ['busybox', 'unprivileged-user', 'overlay'] as const;

it.skipIf(missing('root', ...needs))('root and an unprivileged user build the same digest', async () => {
  await using asRoot = await openKiln('root');
  await using asUser = await openKiln('unprivileged');

  const first = await buildAgain(asRoot);
  const second = await buildAgain(asUser);

  expect(first).toMatch(/^sha256:[0-9a-f]{64}$/);
  expect(second).toBe(first);
});

describe.each(accountKinds())('as %s', (kind) => {
  it.skipIf(missing(...needs))('two stores build the same digest', async () => {
    await using kiln = await openKiln(kind);

    const first = await buildAgain(kiln);
    const second = await buildAgain(kiln.withStore('other'));

    expect(second).toBe(first);
  });

  it.skipIf(missing(...needs))('a rebuild with nothing changed is a hit for every step', async () => {
    await using kiln = await openKiln(kind);
    const context = busyboxProject(kiln.account, 'app', files);
    const first = await kiln.run(['build', '--progress', 'plain', '-t', 'app:1', context]);

    const second = await kiln.run(['build', '--progress', 'plain', '-t', 'app:1', context]);

    expect(first).toMatchObject({ status: 0 });
    expect(stepsOf(first.stderr).filter((step) => step.cached && / (COPY|RUN|WORKDIR) /.test(step.title))).toEqual([]);
    expect(second).toMatchObject({ status: 0 });
    expect(stepsOf(second.stderr).filter((step) => !step.cached)).toEqual([]);
    expect(stepsOf(second.stderr).length).toBe(stepsOf(first.stderr).length);
  });
});

async function buildAgain(kiln: Kiln): Promise<string> {
  const context = busyboxProject(kiln.account, 'app', files);
  const built = await kiln.ok(['build', '--no-cache', '-t', 'app:1', context]);
  expect(await kiln.digest('app:1')).toBe(built.trim());
  return built.trim();
}

interface ShownStep {
  readonly title: string;
  readonly cached: boolean;
}

/** Steps with work to do as plain progress tells them: `#5 [app 2/7] RUN …`, then `#5 CACHED` or `#5 DONE 0.1s`. */
function stepsOf(progress: string): readonly ShownStep[] {
  const titles = [...progress.matchAll(/^#(\d+) (\[\S+ \d+\/\d+\] .*)$/gm)];
  return titles.map(([, id, title = '']) => ({ title, cached: progress.includes(`#${id} CACHED\n`) }));
}
