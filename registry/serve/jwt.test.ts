import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { verifyJwt } from './jwt.ts';
import { TokenAuthenticator } from './token-auth.ts';
import { libtrustId, parseVerificationKeys } from './verification-keys.ts';

const nowMs = Date.UTC(2026, 0, 1);
const now = nowMs / 1000;
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ec = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
const stranger = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
const keys = parseVerificationKeys(`${pem(rsa.publicKey)}\n${pem(ec.publicKey)}`, 'test');
const expected = { keys, issuer: 'issuer', audience: 'kiln', nowMs };
const claims = {
  iss: 'issuer',
  sub: 'jane',
  aud: 'kiln',
  exp: now + 300,
  nbf: now - 10,
  access: [{ type: 'repository', name: 'web', actions: ['pull', 'push'] }],
};

function pem(key: KeyObject): string {
  return key.export({ type: 'spki', format: 'pem' }).toString();
}

function part(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function token(payload: unknown, alg: 'RS256' | 'ES256' = 'ES256', key?: KeyObject, head: object = {}): string {
  const text = `${part({ typ: 'JWT', alg, ...head })}.${part(payload)}`;
  const signer = key ?? (alg === 'RS256' ? rsa.privateKey : ec.privateKey);
  return `${text}.${sign('sha256', Buffer.from(text), { key: signer, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}

describe('verifyJwt', () => {
  it.each(['RS256', 'ES256'] as const)('takes a token signed with %s', (alg) => {
    expect(verifyJwt(token(claims, alg), expected)).toEqual({ subject: 'jane', access: claims.access });
  });

  it.each([
    ['the id of its key', { kid: libtrustId(ec.publicKey) }],
    ['an id that nobody knows', { kid: 'other' }],
  ])('takes a token with %s', (_what, head) => {
    expect(verifyJwt(token(claims, 'ES256', undefined, head), expected)).toMatchObject({ subject: 'jane' });
  });

  it.each([
    ['another issuer', { ...claims, iss: 'other' }],
    ['no issuer', { ...claims, iss: undefined }],
    ['another audience', { ...claims, aud: 'other' }],
    ['other audiences', { ...claims, aud: ['a', 'b'] }],
    ['an end that is past', { ...claims, exp: now - 61 }],
    ['no end', { ...claims, exp: undefined }],
    ['an end that is text', { ...claims, exp: String(now + 300) }],
    ['a start to come', { ...claims, nbf: now + 61 }],
  ])('refuses %s', (_what, payload) => {
    expect(verifyJwt(token(payload), expected)).toHaveProperty('refused');
  });

  it.each([
    ['a list of audiences with ours', { ...claims, aud: ['other', 'kiln'] }],
    ['an end that has just passed', { ...claims, exp: now - 30 }],
    ['no start', { ...claims, nbf: undefined }],
  ])('takes %s', (_what, payload) => {
    expect(verifyJwt(token(payload), expected)).not.toHaveProperty('refused');
  });

  it.each([
    ['of a stranger', token(claims, 'ES256', stranger.privateKey)],
    ['of none', `${part({ alg: 'none' })}.${part(claims)}.AA`],
    ['that is missing', `${part({ alg: 'none' })}.${part(claims)}.`],
    ['by an algorithm that is not its key’s', token(claims, 'RS256', ec.privateKey)],
    ['that uses the public key as a secret', hmacToken()],
    ['with extensions it demands', token(claims, 'ES256', undefined, { crit: ['x'] })],
  ])('refuses a signature %s', (_what, forged) => {
    expect(verifyJwt(forged, expected)).toHaveProperty('refused');
  });

  it('refuses a token of which any one character was changed', () => {
    const good = token(claims);
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.constantFrom(...'ABab01_-.'), (at, character) => {
        const changed = good.slice(0, at) + character + good.slice(at + 1);
        // The last character of base64 has bits that say nothing.
        if (changed === good || at === good.length - 1) return;
        expect(verifyJwt(changed, expected)).toHaveProperty('refused');
      }),
    );
  });

  it('refuses any text, and never throws', () => {
    const texts = fc.oneof(
      fc.string(),
      fc.array(fc.base64String(), { maxLength: 4 }).map((parts) => parts.join('.')),
      fc
        .tuple(fc.json(), fc.json())
        .map((values) => `${values.map((text) => Buffer.from(text).toString('base64url')).join('.')}.AA`),
    );
    fc.assert(
      fc.property(texts, (text) => {
        expect(verifyJwt(text, expected)).toHaveProperty('refused');
      }),
    );
  });

  it('grants nothing for access of another form', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (access) => {
        const verified = verifyJwt(
          token({ ...claims, access: [{ type: 'x', name: access, actions: access }, access] }),
          expected,
        );
        expect('refused' in verified ? [] : verified.access.filter(({ type }) => type !== 'x')).toEqual([]);
      }),
      { numRuns: 30 },
    );
  });

  function hmacToken(): string {
    const text = `${part({ alg: 'HS256' })}.${part(claims)}`;
    return `${text}.${createHmac('sha256', pem(ec.publicKey)).update(text).digest('base64url')}`;
  }
});

describe('parseVerificationKeys', () => {
  it('reads a JWKS, and the ids in it', () => {
    const jwks = {
      keys: [
        { ...ec.publicKey.export({ format: 'jwk' }), kid: 'mine', use: 'sig' },
        { kty: 'oct', k: 'AA' },
      ],
    };

    const [key, ...others] = parseVerificationKeys(JSON.stringify(jwks), 'keys.json');

    expect(key?.ids).toEqual(['mine', libtrustId(ec.publicKey)]);
    expect(others).toEqual([]);
  });

  it.each([
    ['nothing', ''],
    ['no PEM', 'hello'],
    ['a damaged PEM', '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----'],
    ['a private key', ec.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()],
    ['a private key as JWK', JSON.stringify(ec.privateKey.export({ format: 'jwk' }))],
    ['a list of none', '{"keys":[]}'],
    ['no JSON', '{'],
  ])('refuses %s', (_what, text) => {
    expect(() => parseVerificationKeys(text, 'keys')).toThrow(
      expect.objectContaining({ code: 'SERVE_TOKEN_KEY_INVALID' }),
    );
  });
});

describe('TokenAuthenticator', () => {
  const trust = { realm: 'https://auth.example/token', service: 'kiln "1"', issuer: 'issuer', keys };
  const authenticator = new TokenAuthenticator(trust, { now: () => nowMs });
  const pull = { type: 'repository', name: 'web', actions: ['pull'] } as const;
  const push = { ...pull, actions: ['pull', 'push'] } as const;
  const from = { ...pull, name: 'other' } as const;
  const bearer = (access: unknown) => `Bearer ${token({ ...claims, aud: 'kiln "1"', access })}`;

  it('says where a token is had and what it must grant', async () => {
    await expect(authenticator.admit(undefined, [push], [from])).rejects.toMatchObject({
      status: 401,
      headers: {
        'WWW-Authenticate':
          'Bearer realm="https://auth.example/token",service="kiln \\"1\\"",scope="repository:web:pull,push repository:other:pull"',
      },
    });
  });

  it.each([
    ['less than is needed', [{ ...pull }], 'insufficient_scope'],
    ['another repository', [{ ...push, name: 'other' }], 'insufficient_scope'],
    ['another type', [{ ...push, type: 'registry' }], 'insufficient_scope'],
  ])('turns away what grants %s', async (_what, access, error) => {
    await expect(authenticator.admit(bearer(access), [push], [])).rejects.toMatchObject({
      status: 401,
      headers: { 'WWW-Authenticate': expect.stringContaining(`error="${error}"`) },
    });
  });

  it.each([
    ['all that is needed', [{ ...push }]],
    ['it in parts', [{ ...pull }, { ...pull, actions: ['push'] }]],
    ['everything', [{ ...pull, actions: ['*'] }]],
  ])('lets in what grants %s', async (_what, access) => {
    const sender = await authenticator.admit(bearer(access), [push], [from]);

    expect(sender.name).toBe('jane');
    expect(sender.may(from)).toBe(false);
  });

  it('turns a forged token away', async () => {
    await expect(authenticator.admit(`Bearer ${token(claims)}x`, [], [])).rejects.toMatchObject({
      status: 401,
      headers: { 'WWW-Authenticate': expect.stringContaining('error="invalid_token"') },
    });
  });
});
