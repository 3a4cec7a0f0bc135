import { chmod, mkdtempDisposable, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { errorCode } from '../../core/index.ts';
import { HtpasswdAuthenticator, parseBasic, parseHtpasswd } from './htpasswd.ts';
import { steppedClock } from './wire.ts';

// Of "correct horse" and of "battery staple", at the least cost there is.
const horse = '$2b$04$y9l.cyGSguEjo48fu4cpTO58.JAeacnvdiNQeFl1fbscmuBOqjXoO';
const alsoHorse = horse.replace('$2b$', '$2y$');

function basic(user: string, secret: string): string {
  return `Basic ${Buffer.from(`${user}:${secret}`).toString('base64')}`;
}

async function open(text: string) {
  const folder = await mkdtempDisposable(path.join(tmpdir(), 'kiln-htpasswd-'));
  const file = path.join(folder.path, 'users');
  await writeFile(file, text);
  const clock = steppedClock();
  const warnings: string[] = [];
  const authenticator = await HtpasswdAuthenticator.open(file, { clock, onWarning: (line) => warnings.push(line) });
  return { authenticator, file, clock, warnings, [Symbol.asyncDispose]: () => folder.remove() };
}

describe('parseHtpasswd', () => {
  it('reads users with bcrypt hashes, and passes comments over', () => {
    const users = parseHtpasswd(`# users\n\nkiln:${horse}\r\nother:${alsoHorse}\n`, 'users');

    expect([...users]).toEqual([
      ['kiln', horse],
      ['other', alsoHorse],
    ]);
  });

  it.each([
    ['another hash', 'kiln:$apr1$abc$def'],
    ['a password', 'kiln:secret'],
    ['no user', `:${horse}`],
    ['no colon', 'kiln'],
    ['a cost that would take hours', `kiln:${horse.replace('$04$', '$31$')}`],
  ])('refuses %s, and does not repeat the line', (_what, line) => {
    const parse = () => parseHtpasswd(`a:${horse}\n${line}\n`, 'users');

    expect(parse).toThrow(expect.objectContaining({ code: 'SERVE_HTPASSWD_INVALID' }));
    expect(parse).toThrow('line 2 of users');
    expect(parse).not.toThrow('secret');
  });

  it('takes any text, or says that it is wrong', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        try {
          for (const hash of parseHtpasswd(text, 'users').values()) expect(hash).toMatch(/^\$2[aby]\$/);
        } catch (error) {
          expect(errorCode(error)).toBe('SERVE_HTPASSWD_INVALID');
        }
      }),
    );
  });
});

describe('parseBasic', () => {
  it('reads any user without a colon, and any secret', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, unit: 'grapheme' }), fc.string({ unit: 'grapheme' }), (name, secret) => {
        const user = `u${name.replaceAll(':', '')}`;
        expect(parseBasic(basic(user, secret))).toEqual({ user, secret });
      }),
    );
  });

  it.each(['', 'Basic', 'Basic !', `Bearer ${btoa('a:b')}`, `Basic ${btoa('nocolon')}`, `Basic ${btoa(':x')}`])(
    'refuses %j',
    (header) => {
      expect(parseBasic(header)).toBeUndefined();
    },
  );
});

describe('HtpasswdAuthenticator', () => {
  it('lets the right password in, and says whose it is', async () => {
    await using opened = await open(`kiln:${horse}\nother:${alsoHorse}\n`);

    expect((await opened.authenticator.admit(basic('kiln', 'correct horse'))).name).toBe('kiln');
    expect((await opened.authenticator.admit(basic('other', 'correct horse'))).name).toBe('other');
  });

  it.each([
    ['nothing', undefined],
    ['a wrong password', basic('kiln', 'wrong')],
    ['an unknown user', basic('nobody', 'correct horse')],
    ['no password', basic('kiln', '')],
    ['the hash itself', basic('kiln', horse)],
    ['a token', 'Bearer abc'],
    ['an endless password', basic('kiln', 'x'.repeat(5000))],
  ])('turns %s away with a challenge', async (_what, authorization) => {
    await using opened = await open(`kiln:${horse}\n`);

    await expect(opened.authenticator.admit(authorization)).rejects.toMatchObject({
      status: 401,
      headers: { 'WWW-Authenticate': expect.stringMatching(/^Basic realm="/) },
    });
  });

  it('reads the file again when it changed, and forgets who is gone', async () => {
    await using opened = await open(`kiln:${horse}\n`);
    await opened.authenticator.admit(basic('kiln', 'correct horse'));

    await writeFile(opened.file, `new:${horse}\n`);

    expect((await opened.authenticator.admit(basic('new', 'correct horse'))).name).toBe('new');
    await expect(opened.authenticator.admit(basic('kiln', 'correct horse'))).rejects.toMatchObject({ status: 401 });
  });

  it.each([
    ['damaged', (file: string) => writeFile(file, 'kiln:secret\n')],
    ['gone', (file: string) => rm(file)],
  ])('keeps its users while the file is %s, and warns', async (_what, harm) => {
    await using opened = await open(`kiln:${horse}\n`);
    await harm(opened.file);

    expect((await opened.authenticator.admit(basic('kiln', 'correct horse'))).name).toBe('kiln');
    expect(opened.warnings.join()).toContain('the users of before still count');
    expect(opened.warnings.join()).not.toContain('secret');
  });

  it('sends logins away when too many wait', async () => {
    await using opened = await open(`kiln:${horse}\n`);

    const all = await Promise.allSettled(
      Array.from({ length: 200 }, (_, index) => opened.authenticator.admit(basic('kiln', `guess ${index}`))),
    );

    const statuses = all.map((outcome) => (outcome.status === 'rejected' ? outcome.reason.status : 200));
    expect(new Set(statuses)).toEqual(new Set([401, 429]));
    await expect(opened.authenticator.admit(basic('kiln', 'correct horse'))).resolves.toMatchObject({ name: 'kiln' });
  });

  it('says when the file cannot be read', async () => {
    await using opened = await open(`kiln:${horse}\n`);
    await chmod(opened.file, 0o600);

    const opening = HtpasswdAuthenticator.open(`${opened.file}-absent`, { clock: opened.clock });

    await expect(opening).rejects.toMatchObject({ code: 'SERVE_HTPASSWD_UNREADABLE' });
  });
});
