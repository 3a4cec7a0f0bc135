import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Files, PEM. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

/** A private authority, made by openssl in `folder`; valid for a day. */
export async function makeAuthority(folder: string, name: string): Promise<KeyPair> {
  const pair = pairOf(folder, name);
  await openssl('req', '-x509', '-days', '1', '-nodes', ...newKey(pair), '-subj', `/CN=${name}`);
  return pair;
}

/** A certificate that the authority signed: of a server on loopback, and of a client. */
export async function makeCertificate(folder: string, name: string, authority: KeyPair): Promise<KeyPair> {
  const pair = pairOf(folder, name);
  const names = 'subjectAltName=IP:127.0.0.1,DNS:localhost';
  await openssl(
    ...['req', '-x509', '-days', '1', '-nodes', ...newKey(pair), '-subj', `/CN=${name}`],
    ...['-CA', authority.certificate, '-CAkey', authority.key],
    ...['-addext', names, '-addext', 'basicConstraints=critical,CA:FALSE'],
    ...['-addext', 'extendedKeyUsage=serverAuth,clientAuth'],
  );
  return pair;
}

function pairOf(folder: string, name: string): KeyPair {
  return { certificate: path.join(folder, `${name}.pem`), key: path.join(folder, `${name}.key`) };
}

function newKey({ certificate, key }: KeyPair): readonly string[] {
  return ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-keyout', key, '-out', certificate];
}

async function openssl(...args: readonly string[]): Promise<void> {
  await run('openssl', args, { timeout: 30_000 });
}
