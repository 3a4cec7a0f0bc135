import { createHash, createPublicKey, type JsonWebKey, type KeyObject, X509Certificate } from 'node:crypto';
import { errorCode, ToolError } from '../../core/index.ts';
import type { VerificationKey } from './jwt.ts';

const pemBlock = /-----BEGIN ([A-Z ]+)-----[\s\S]+?-----END \1-----/g;

/**
 * Reads the keys that tokens are signed with: PEM certificates or public keys, one or more, or a JWKS (RFC 7517).
 * @param where named in errors
 * @throws ToolError SERVE_TOKEN_KEY_INVALID
 */
export function parseVerificationKeys(text: string, where: string): readonly VerificationKey[] {
  try {
    const keys = text.trimStart().startsWith('{') ? fromJwks(text) : fromPem(text);
    if (keys.length > 0) return keys;
  } catch (cause) {
    throw invalid(where, cause);
  }
  throw invalid(where);
}

function fromPem(text: string): VerificationKey[] {
  return Array.from(text.matchAll(pemBlock), ([pem, label = '']) => {
    // What signs has no place on a machine that only checks.
    if (label.includes('PRIVATE')) throw new ToolError('SERVE_TOKEN_KEY_INVALID', 'it is a private key');
    return named(label === 'CERTIFICATE' ? new X509Certificate(pem).publicKey : createPublicKey(pem));
  });
}

function fromJwks(text: string): VerificationKey[] {
  const document = JSON.parse(text) as { readonly keys?: unknown };
  const keys: readonly unknown[] = Array.isArray(document.keys) ? document.keys : [document];
  return keys.flatMap((value) => {
    if (typeof value !== 'object' || value === null) return [];
    const jwk = value as JsonWebKey & { readonly kid?: unknown; readonly use?: unknown };
    if (jwk.kty !== 'RSA' && jwk.kty !== 'EC') return [];
    if (jwk.use !== undefined && jwk.use !== 'sig') return [];
    if (jwk.d !== undefined) throw new ToolError('SERVE_TOKEN_KEY_INVALID', 'it is a private key');
    const { key, ids } = named(createPublicKey({ key: jwk, format: 'jwk' }));
    return [{ key, ids: typeof jwk.kid === 'string' ? [jwk.kid, ...ids] : ids }];
  });
}

function named(key: KeyObject): VerificationKey {
  return { key, ids: [libtrustId(key)] };
}

/** How Docker's token servers name a key: base32 of 240 bits of its SHA-256, in groups of four. */
export function libtrustId(key: KeyObject): string {
  const digest = createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest()
    .subarray(0, 30);
  const bits = Array.from(digest, (byte) => byte.toString(2).padStart(8, '0')).join('');
  const letters = (bits.match(/.{5}/g) ?? []).map(
    (five) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'[Number.parseInt(five, 2)],
  );
  return (letters.join('').match(/.{4}/g) ?? []).join(':');
}

function invalid(where: string, cause?: unknown): ToolError {
  const why =
    cause instanceof ToolError ? `: ${cause.message}` : errorCode(cause) === undefined ? '' : ` (${errorCode(cause)})`;
  return new ToolError('SERVE_TOKEN_KEY_INVALID', `${where} has no keys that tokens could be checked with${why}`, {
    cause,
    hint: 'give PEM certificates or public keys (RSA, or EC of P-256), or a JWKS',
  });
}
