import { execFile } from 'node:child_process';
import { createHash, createPrivateKey, createPublicKey, createSign, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempDisposable, readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { registryUser, type TokenAuth } from '../../test/docker-registry.ts';

export interface TokenServer extends AsyncDisposable {
  /** What the registry that trusts this server is started with. */
  readonly auth: TokenAuth;
  /** The scopes of each token that was given out, joined with spaces. */
  readonly granted: string[];
}

/**
 * A token server for tests, as the distribution project specifies it. Anybody may pull; `registryUser` (by basic
 * authentication) and the identity token `long-lived` may push as well.
 */
export async function startTokenServer(): Promise<TokenServer> {
  const folder = await mkdtempDisposable(path.join(tmpdir(), 'kiln-tokens-'));
  const [key, certificate] = ['key.pem', 'certificate.pem'].map((name) => path.join(folder.path, name)) as [
    string,
    string,
  ];
  await promisify(execFile)('openssl', [
    ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=kiln test tokens', '-days', '2'],
    ...['-keyout', key, '-out', certificate],
  ]);
  const pem = await readFile(key, 'utf8');
  const granted: string[] = [];
  const server = createServer((request, response) => {
    answer(request, pem, granted).then(
      ({ status, body }) =>
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body)),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  return {
    auth: {
      realm: `http://127.0.0.1:${port}/token`,
      service: 'kiln test',
      issuer: 'kiln test tokens',
      rootcertbundle: certificate,
    },
    granted,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await folder.remove();
    },
  };
}

async function answer(
  request: IncomingMessage,
  pem: string,
  granted: string[],
): Promise<{ status: number; body: object }> {
  const url = new URL(request.url ?? '', 'http://127.0.0.1');
  const form = request.method === 'POST' ? new URLSearchParams(await text(request)) : url.searchParams;
  const authorization = request.headers.authorization;
  const expected = `Basic ${Buffer.from(`${registryUser.username}:${registryUser.secret}`).toString('base64')}`;
  const known = authorization === expected || form.get('refresh_token') === 'long-lived';
  const stranger = authorization === undefined && request.method === 'GET';
  if (!known && !stranger) {
    return { status: 401, body: { details: `you sent ${authorization}, which is wrong-secret or so` } };
  }
  const scopes = form.getAll('scope').flatMap((scope) => scope.split(' '));
  granted.push(scopes.join(' '));
  const token = sign(pem, form.get('service') ?? '', scopes, known);
  return { status: 200, body: request.method === 'POST' ? { access_token: token } : { token, expires_in: 60 } };
}

function sign(pem: string, audience: string, scopes: readonly string[], mayPush: boolean): string {
  const now = Math.floor(Date.now() / 1000);
  const access = scopes.map((scope) => {
    const [type, name, actions] = scope.split(':');
    return { type, name, actions: (actions ?? '').split(',').filter((action) => mayPush || action === 'pull') };
  });
  const claims = {
    iss: 'kiln test tokens',
    sub: mayPush ? registryUser.username : '',
    aud: audience,
    exp: now + 300,
    nbf: now - 10,
    iat: now,
    jti: randomBytes(8).toString('hex'),
    access,
  };
  const head = { typ: 'JWT', alg: 'RS256', kid: keyId(pem) };
  const text = [head, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  return `${text}.${createSign('RSA-SHA256').update(text).sign(createPrivateKey(pem), 'base64url')}`;
}

/** libtrust's fingerprint: base32 of 240 bits of the public key's SHA-256, in groups of four. */
function keyId(pem: string): string {
  const der = createPublicKey(pem).export({ type: 'spki', format: 'der' });
  const bits = Array.from(createHash('sha256').update(der).digest().subarray(0, 30), (byte) =>
    byte.toString(2).padStart(8, '0'),
  ).join('');
  const letters = Array.from(
    bits.match(/.{5}/g) ?? [],
    (five) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'[Number.parseInt(five, 2)],
  );
  return (letters.join('').match(/.{4}/g) ?? []).join(':');
}
