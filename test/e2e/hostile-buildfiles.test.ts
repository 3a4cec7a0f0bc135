import { symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startServer } from '../../builder/fetch/misbehaving-server.testing.ts';
import { sha256 } from '../../core/index.ts';
import { accountKinds } from '../account.ts';
import { missing } from '../requirements.ts';
import { openSiege, refusal, type Siege, stepsOnBase } from './siege.ts';

describe.skipIf(missing('busybox', 'unprivileged-user', 'overlay')).each(accountKinds())(
  'hostile Buildfiles, as %s',
  (kind) => {
    let siege: Siege;
    beforeAll(async () => {
      siege = await openSiege(kind);
    });
    afterEach(() => siege.unharmed());
    afterAll(() => siege[Symbol.asyncDispose]());

    const build = (files: Readonly<Record<string, string>>, flags: readonly string[] = []) =>
      siege.build(siege.context(files), flags);

    it('ten megabytes of it', async () => {
      const Buildfile = stepsOnBase('run = "true"') + '# potter\n'.repeat(1_200_000);

      expect(await build({ Buildfile })).toMatchObject(refusal(2, /Buildfile is larger than 1024 KiB/));
    });

    it('includes in a circle, and includes of what is outside', async () => {
      const main = (include: string) => `include = ["${include}"]\n[stages.app]\nfrom = "base"\n`;
      const circle = { 'a.toml': 'include = ["b.toml"]\n', 'b.toml': 'include = ["a.toml"]\n' };
      const context = siege.context({ Buildfile: main('link') });
      symlinkSync('../outside/marker', path.join(context, 'link'));
      symlinkSync('../outside', path.join(context, 'folder'));

      expect(await build({ Buildfile: main('a.toml'), ...circle })).toMatchObject(refusal(2, /include each other/));
      expect(await siege.build(context)).toMatchObject(refusal(2, /`link` leads out/));
      for (const include of ['../outside/marker', 'folder/marker', '/etc/shadow']) {
        writeFileSync(path.join(context, 'Buildfile'), main(include));
        expect(await siege.build(context), include).toMatchObject(refusal(2, /Buildfile:1:12/));
      }
    });

    it('ten thousand steps', async () => {
      const steps = Array.from({ length: 10_000 }, (_, at) => `env = { A${at % 50} = "${at}" }`);

      const outcome = await build({ Buildfile: stepsOnBase(...steps) });

      expect(outcome).toMatchObject({ status: 0 });
      expect((await siege.run(['run', '--rm', 'victim', 'sh', '-c', 'echo $A49'])).stdout).toBe('9999\n');
    });

    // The limit is the kernel's, and its way there is long: once is enough.
    it.skipIf(kind === 'root')('more layers than an overlay can have', async () => {
      const steps = Array.from({ length: 505 }, (_, at) => `copy = "a.txt", to = "/files/${at}"`);
      const Buildfile = stepsOnBase(...steps, 'run = "ls /files"');

      const outcome = await siege.build(siege.context({ Buildfile, 'a.txt': 'a\n' }), [], { timeoutMs: 300_000 });

      expect(outcome).toMatchObject(refusal(5, /too many lower directories, limit is 500\n(.*\n)*.*Buildfile:508/));
    });

    it('arrays and tables nested a hundred thousand deep', async () => {
      const deep = 'x = '.concat('['.repeat(100_000), ']'.repeat(100_000), '\n');
      const keys = `[${'a.'.repeat(100_000)}a]\n`;

      expect(await build({ Buildfile: deep })).toMatchObject(refusal(2, /Buildfile:1:/));
      expect(await build({ Buildfile: keys })).toMatchObject(refusal(2, /Buildfile:1:/));
    });

    it('stages in a circle, and stages that are their own', async () => {
      const stages = '[stages.a]\nfrom = "b"\n[stages.b]\nfrom = "c"\n[stages.c]\nfrom = "a"\n';

      expect(await build({ Buildfile: stages })).toMatchObject(refusal(2, /need each other/));
      expect(await build({ Buildfile: '[stages.a]\nfrom = "a"\n' })).toMatchObject(refusal(2, /need each other/));
    });

    it('variables that grow', async () => {
      const args = Array.from({ length: 40 }, (_, at) => `A${at + 1} = "\${A${at}}\${A${at}}\${A${at}}\${A${at}}"`);
      const Buildfile = `[args]\nA0 = "grow"\n${args.join('\n')}\n[stages.app]\nfrom = "base"\nsteps = [{ env = { X = "\${A40}" } }]\n`;

      const outcome = await build({ Buildfile });

      expect(outcome).toMatchObject(refusal(2, /grows longer/));
    });

    it.each([
      ['a table key', 'version = 1\n__proto__ = { x = "y" }\n'],
      ['conflict markers', 'version = 1\n<<<<<<< HEAD\n[images]\n=======\n>>>>>>> theirs\n'],
      ['bytes', '\u0000\u0001\u001b[2J\ufffd'],
      ['ten megabytes', 'a'.repeat(10_000_000)],
      ['another version', 'version = 99\n'],
      ['lies', 'version = 1\n[images]\n"base" = "sha256:../../../outside/marker"\n'],
    ])('a lock file of %s', async (_what, lock) => {
      const context = siege.context({ Buildfile: stepsOnBase('run = "true"'), 'Buildfile.lock': lock });

      expect(await siege.build(context)).toMatchObject(refusal(2, /Buildfile\.lock/));
      expect(await siege.build(context, ['--no-lock'])).toMatchObject({ status: 0 });
    });

    it('a build argument that speaks to the terminal', async () => {
      const value = 'a\nFROM evil\r\u001b]0;owned\u0007';
      const Buildfile = `from = "base"\n[args]\nA = ""\n[[steps]]\nrun = "printf %s \\"$A\\""\n[[steps]]\nenv = { A = "\${A}" }\n[image]\nlabels = { a = "\${A}" }\n`;

      const outcome = await build({ Buildfile }, ['--build-arg', `A=${value}`]);
      const shown = await siege.run([
        'run',
        '--rm',
        'victim',
        'sh',
        '-c',
        'printf %s "$A" | md5sum; printf %s "$A" | wc -l',
      ]);

      expect(outcome).toMatchObject({ status: 0 });
      expect(shown.stdout).toMatch(/\n1\n$/);
      expect((await siege.run(['inspect', 'victim'])).stdout).not.toContain('\u001b');
    });

    it.each([
      '--upload-pack=touch planted;x.git',
      'git@127.0.0.1:--upload-pack=touch\tplanted;/x.git',
      'ssh://-oProxyCommand=touch%20planted/x.git',
      'ext::sh -c touch% planted.git',
      'file:///etc/x.git',
      'https://127.0.0.1:1/x.git#--upload-pack=touch planted',
      'https://127.0.0.1:1/x.git#main:../../outside',
      'file:///etc/passwd',
    ])('a fetch of %s', async (source) => {
      const context = siege.context({
        Buildfile: stepsOnBase(`fetch = ${JSON.stringify(source)}, to = "/x"`),
      });

      expect(await siege.build(context)).toMatchObject(refusal(2, /Buildfile:3:13: /));
    });

    it('a fetch that is sent elsewhere', async () => {
      const targets: Record<string, string> = {
        '/file': `file://${siege.outside}/marker`,
        '/loop': '/loop',
        '/gopher': 'gopher://127.0.0.1/',
        '/data': 'data:text/plain,potter',
      };
      await using server = await startServer((request, response) => {
        response.writeHead(302, { location: targets[request.url ?? ''] ?? '/' }).end();
      });

      for (const from of ['/file', '/loop', '/gopher', '/data']) {
        const step = `fetch = "${server.origin}${from}", checksum = "${sha256('')}", to = "/x"`;
        const outcome = await build({ Buildfile: stepsOnBase(step) });
        expect(outcome, from).toMatchObject(refusal(4, /Buildfile:3/));
      }
      expect(server.asked.length).toBeLessThan(60);
    });
  },
);
