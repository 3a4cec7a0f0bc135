import { spawnSync } from 'node:child_process';
import { symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { accountKinds } from '../account.ts';
import { missing } from '../requirements.ts';
import { openSiege, refusal, type Siege, secret, stepsOnBase } from './siege.ts';

describe.skipIf(missing('busybox', 'unprivileged-user', 'overlay')).each(accountKinds())(
  'hostile contexts, as %s',
  (kind) => {
    let siege: Siege;
    beforeAll(async () => {
      siege = await openSiege(kind);
    });
    afterEach(() => siege.unharmed());
    afterAll(() => siege[Symbol.asyncDispose]());

    const all = stepsOnBase('copy = ".", to = "/all/", exclude = ["Buildfile*"]');
    const shell = (folder: string, script: string): void => {
      const made = spawnSync('bash', ['-ec', script], { cwd: folder, encoding: 'utf8' });
      expect(made.stderr).toBe('');
    };

    it('a symlink that leads out is copied as it is, and nothing below it', async () => {
      const context = siege.context({ Buildfile: all });
      symlinkSync('../outside', path.join(context, 'link'));
      symlinkSync('../outside/marker', path.join(context, 'file'));

      const whole = await siege.build(context);
      const links = await siege.run(['run', '--rm', 'victim', 'ls', '-l', '/all']);
      for (const source of ['link/marker', 'link/*', '../outside/marker', `${siege.outside}/marker`]) {
        writeFileSync(path.join(context, 'Buildfile'), stepsOnBase(`copy = "${source}", to = "/stolen"`));
        expect(await siege.build(context), source).toMatchObject(refusal(2, /Buildfile:3/));
      }

      expect(whole).toMatchObject({ status: 0 });
      expect(links.stdout).toMatch(/link -> \.\.\/outside$/m);
      expect(links.stdout).toMatch(/file -> \.\.\/outside\/marker$/m);
    });

    it.each([['a FIFO', 'mkfifo special'], ...(kind === 'root' ? [['a device', 'mknod special c 1 5']] : [])])(
      '%s is neither opened nor copied',
      async (_what, making = '') => {
        const context = siege.context({ Buildfile: all, 'a.txt': 'a\n' });
        shell(context, making);

        expect(await siege.build(context)).toMatchObject(refusal(2, /special in the context is a device or FIFO/));
        writeFileSync(path.join(context, '.buildignore'), 'special\n');
        expect(await siege.build(context)).toMatchObject({ status: 0 });
      },
    );

    it('a socket is left out, unless it is asked for', async () => {
      const context = siege.context({ Buildfile: all, 'a.txt': 'a\n' });
      shell(context, `${process.execPath} -e 'net.createServer().listen("special", () => process.exit())'`);

      expect(await siege.build(context)).toMatchObject({ status: 0 });
      expect((await siege.run(['run', '--rm', 'victim', 'ls', '/all'])).stdout).toBe('a.txt\n');
      writeFileSync(path.join(context, 'Buildfile'), stepsOnBase('copy = "special", to = "/"'));
      expect(await siege.build(context)).toMatchObject(refusal(2, /Buildfile:3/));
    });

    it('folders nested deeper than a path can say', async () => {
      const context = siege.context({ Buildfile: all });
      const script = `for (let at = 0; at < 3000; at++) { fs.mkdirSync('d'); process.chdir('d'); }`;
      shell(context, `${process.execPath} -e "${script}"`);
      try {
        expect(await siege.build(context)).toMatchObject(refusal(2, /CONTEXT|too long|deep/));
      } finally {
        shell(context, 'rm -rf d');
      }
    });

    it('names that are no text, or that speak to terminals', async () => {
      const context = siege.context({ Buildfile: stepsOnBase('copy = ".", to = "/all/"', 'run = "ls /all; exit 1"') });
      shell(context, String.raw`touch $'new\nline' $'\e]0;owned\a\e[2J' $'\xff\xfe' $'\r#1 DONE' ./-rf`);

      const report = await siege.build(context, ['--context-report']);
      const absent = siege.context({ Buildfile: stepsOnBase('copy = "\\u001b]0;gone", to = "/"') });

      expect(report).toMatchObject({ status: 3 });
      expect(await siege.build(absent)).toMatchObject(refusal(2, /Buildfile:3/));
    });

    it('what a step prints does not steer a terminal', async () => {
      const context = siege.context({
        Buildfile: stepsOnBase(String.raw`run = "printf '\\033]0;owned\\007\\033[2J\\r#9 DONE\\n\\233x\\n'; exit 3"`),
      });
      const line = ['build', ...['--progress', 'plain'], context];

      const outcome = await siege.onTerminal(line);

      expect(outcome).toMatchObject({ status: 3, stdout: expect.stringContaining('RUN printf') });
      expect(outcome.stdout.replaceAll('\r\n', '')).not.toMatch(/\p{Cc}/u);
    });

    it('an ignore file that asks for the impossible', async () => {
      const deep = `${'**/'.repeat(40)}x${'*a'.repeat(40)}b`;
      const files = Object.fromEntries(
        Array.from({ length: 200 }, (_, at) => [`${'a/'.repeat(12)}${'a'.repeat(60)}${at}`, '']),
      );
      const context = siege.context({ Buildfile: all, '.buildignore': `${deep}\n!${deep}c\n`, ...files });
      const copies = stepsOnBase(
        `copy = "${deep}", to = "/", optional = true`,
        `copy = ".", exclude = ["${deep}"], to = "/all/"`,
      );

      expect(await siege.build(context)).toMatchObject({ status: 0 });
      writeFileSync(path.join(context, 'Buildfile'), copies);
      expect(await siege.build(context)).toMatchObject({ status: 0 });
    });

    it.each(['Buildfile', '.buildignore', 'Buildfile.lock'])('a FIFO for a %s', async (name) => {
      const context = siege.context(name === 'Buildfile' ? {} : { Buildfile: all });
      shell(context, `mkfifo ${name}`);

      expect(await siege.build(context)).toMatchObject(refusal(2, new RegExp(name)));
    });

    it.each([
      ['Buildfile', secret],
      ['Buildfile.lock', secret],
      ['.buildignore', `[${secret}`],
    ])('a %s that is a symlink to what it may not tell', async (name, text) => {
      const context = siege.context(name === 'Buildfile' ? {} : { Buildfile: stepsOnBase('workdir = "/x"') });
      const file = path.join(siege.account.folder('elsewhere'), name);
      writeFileSync(file, text);
      symlinkSync(file, path.join(context, name));

      expect(await siege.build(context)).toMatchObject(refusal(2, /symlink that leads out of/));
    });

    it('destinations that lead out of the image, and into the machine', async () => {
      const links = `ln -s /../../../../../..${siege.outside} /up; ln -s ${siege.outside} /away; ln -s /proc/1/root /root-of-1`;
      const context = siege.context({
        Buildfile: stepsOnBase(
          `run = "mkdir -p ${siege.outside}; ${links}"`,
          'copy = "a.txt", to = "/up/planted"',
          'copy = "a.txt", to = "/away/"',
          'workdir = "/up/made/here"',
        ),
        'a.txt': 'a\n',
      });

      const outcome = await siege.build(context);
      const inside = await siege.run(['run', '--rm', 'victim', 'ls', siege.outside]);

      expect(outcome).toMatchObject({ status: 0 });
      expect(inside.stdout).toBe('a.txt\nmade\nplanted\n');
    });

    it.each(['/proc/sys/kernel/hostname', '/dev/null', '/sys/x', '/proc/1/root/tmp/x'])('a copy to %s', async (to) => {
      const context = siege.context({
        Buildfile: stepsOnBase(`copy = "a.txt", to = "${to}"`, 'run = "true"'),
        'a.txt': 'a\n',
      });

      // It goes into the layer, and there the sandbox mounts over it.
      expect(await siege.build(context)).toMatchObject({ status: 0 });
    });
  },
);
