import type { ChildProcess } from 'node:child_process';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, createWriteStream } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { accountKinds } from '../account.ts';
import { findProgram, missing, mustSkip } from '../requirements.ts';
import { busyboxProject, type Kiln, openKiln, project } from './kiln.ts';

const needs = ['busybox', 'unprivileged-user', 'overlay'] as const;
const skips =
  missing(...needs) ||
  mustSkip(findProgram('script') === undefined ? ['script is not installed (Debian: apt-get install bsdutils)'] : []);
const packageRoot = path.dirname(path.dirname(import.meta.dirname));

const buildfile = `
[stages.app]
from = "base"
steps = [
  { env = { COLOUR = "blue" } },
  { run = "echo one > /one; mkdir -m 777 /work" },
  { workdir = "/work" },
  { name = "breaks", run = "echo half > /work/half; cat /run/secrets/t > /dev/null; exit 7", mounts = [{ secret = "t" }, { cache = "/cache" }], env = { EXTRA = "1" }, user = "1000" },
]
`;

async function ready(kiln: Kiln, text = buildfile): Promise<string> {
  await kiln.ok(['build', '-q', '-t', 'base', busyboxProject(kiln.account, 'base')]);
  return project(kiln.account, 'context', { Buildfile: text, secret: 'a secret' });
}

/** Runs kiln on a terminal, and types lines when a text has appeared. Gives all that was shown, and the status. */
async function onTerminal(
  kiln: Kiln,
  args: readonly string[],
  typing: { readonly after: string; readonly lines: readonly string[] },
): Promise<{ readonly shown: string; readonly status: number | null }> {
  const keys = path.join(kiln.account.folder('keys'), `keys-${args.length}`);
  spawnSync('mkfifo', [keys]);
  chownSync(keys, kiln.account.uid, kiln.account.uid);
  const command = [path.join(packageRoot, 'bin', 'kiln'), ...args].map((word) => `'${word}'`).join(' ');
  const child = kiln.account.start(['sh', '-c', `script -qec "${command}" /dev/null < ${keys}`], {
    env: { KILN_HOME: kiln.store, TERM: 'xterm' },
  });
  const typed = createWriteStream(keys);
  const shown = collect(child, typing.after, () => {
    for (const line of typing.lines) typed.write(`${line}\n`);
  });
  const [status] = await once(child, 'close');
  typed.destroy();
  return { shown: shown(), status };
}

function collect(child: ChildProcess, text: string, found: () => void): () => string {
  let all = '';
  let isFound = false;
  child.stdout?.on('data', (bytes: Buffer) => {
    all += bytes.toString();
    if (isFound || !all.includes(text)) return;
    isFound = true;
    found();
  });
  return () => all.replaceAll('\r', '');
}

describe.skipIf(skips).each(accountKinds())('a shell in a build, as %s', (kind) => {
  it('is in the container of a step that failed, as it was; the build fails then', async () => {
    await using kiln = await openKiln(kind);
    const context = await ready(kiln);
    const args = ['build', '--shell-on-failure', '--secret', `id=t,src=${context}/secret`, '-t', 'app', context];

    const { shown, status } = await onTerminal(kiln, args, {
      after: 'here is a shell',
      lines: ['echo "<$(cat half)|$COLOUR$EXTRA|$(id -u)|$(pwd)|$(cat /run/secrets/t)|$(ls -d /cache)>"', 'exit 5'],
    });

    expect(shown).toContain('<half|blue1|1000|/work|a secret|/cache>');
    expect(shown).toContain('exit status: 7');
    expect(status).toBe(3);
    expect(await kiln.ok(['images', '-q', 'app'])).toBe('');
  });

  it('is on what a build came to up to a step, and keeps nothing', async () => {
    await using kiln = await openKiln(kind);
    const context = await ready(kiln);

    const { shown, status } = await onTerminal(kiln, ['build', '--until', '2', '-it', context], {
      after: 'stopped after 2',
      lines: ['echo "<$(cat /one)|$COLOUR|$(pwd)|$(ls)>"; touch /work/made', 'exit 3'],
    });
    const again = await onTerminal(kiln, ['build', '--until', 'app:2', '-it', '--progress', 'plain', context], {
      after: 'stopped after',
      lines: ['echo "<$(ls /work)>"', 'exit'],
    });

    expect(shown).toContain('<one|blue|/work|>');
    expect(status).toBe(0);
    expect(again.shown).toContain('<>');
    expect(again.shown).toContain('CACHED');
  });
});

describe.skipIf(missing(...needs))('--until without a terminal', () => {
  it('stops after the step, and names nothing', async () => {
    await using kiln = await openKiln('unprivileged');
    const context = await ready(kiln);

    const outcome = await kiln.run(['build', '--until', '1', '--progress', 'plain', '-t', 'app', context]);

    expect(outcome).toMatchObject({ status: 0, stdout: '' });
    expect(outcome.stderr).toContain('no image is named');
    expect(outcome.stderr).not.toContain('breaks');
    expect(await kiln.ok(['images', '-q', 'app'])).toBe('');
    expect((await kiln.run(['build', '--until', 'breaks', '-q', context])).status).toBe(3);
  });

  it.each([
    [['--until', '9'], 'app:1  RUN echo one > /one; mkdir'],
    [['--until', 'nothing'], 'app:3  breaks'],
    [['--until', '1', '-it'], 'there is no terminal'],
    [['--shell-on-failure'], 'there is no terminal'],
    [['-it'], '-it needs --until'],
    [['--until', '1', '--push'], '--push would do nothing'],
    [['--until', '1', '--iidfile', 'id'], '--iidfile would do nothing'],
    [['--until', '1', '-o', 'out'], '--output would do nothing'],
  ])('is refused as %j', async (flags, text) => {
    await using kiln = await openKiln('unprivileged');
    const context = project(kiln.account, 'context', { Buildfile: buildfile });

    const outcome = await kiln.run(['build', ...flags, context]);

    expect(outcome.status).toBe(2);
    expect(outcome.stderr).toContain(text);
  });
});
