import { type KeyObject, verify } from 'node:crypto';

export interface VerificationKey {
  readonly key: KeyObject;
  /** Names by which a token may ask for it; one that asks for none is tried with each key. */
  readonly ids: readonly string[];
}

export interface JwtExpectations {
  readonly keys: readonly VerificationKey[];
  readonly issuer: string;
  readonly audience: string;
  readonly nowMs: number;
}

export interface TokenClaims {
  readonly subject: string;
  /** What is neither a list nor of the right form grants nothing. */
  readonly access: readonly GrantedAccess[];
}

export interface GrantedAccess {
  readonly type: string;
  readonly name: string;
  readonly actions: readonly string[];
}

export const maxTokenBytes = 64 * 1024;
/** Clocks of two machines are never quite the same. */
const leewaySeconds = 60;
const base64url = /^[A-Za-z0-9_-]+$/;

/**
 * Checks a signed token and reads what it grants. RFC 7519; Docker's token authentication, "JSON Web Token".
 * @returns a reason, fit to be told to its sender, why the token counts for nothing
 */
export function verifyJwt(token: string, expected: JwtExpectations): TokenClaims | { readonly refused: string } {
  const parts = token.split('.');
  const [head = '', body = '', signature = ''] = parts;
  if (token.length > maxTokenBytes || parts.length !== 3 || !parts.every((part) => base64url.test(part))) {
    return { refused: 'it is not a signed JSON Web Token' };
  }
  const header = parseObject(head);
  const claims = parseObject(body);
  if (header === undefined || claims === undefined) return { refused: 'it is not made of JSON objects' };
  if (header.crit !== undefined) return { refused: 'it demands extensions that are not known here' };
  if (!isSigned(header, `${head}.${body}`, Buffer.from(signature, 'base64url'), expected.keys)) {
    return { refused: 'its signature is of no key that is trusted here' };
  }
  const wrong = wrongClaim(claims, expected);
  if (wrong !== undefined) return { refused: wrong };
  return { subject: typeof claims.sub === 'string' ? claims.sub : '', access: grantedAccess(claims.access) };
}

function isSigned(
  { alg, kid }: Readonly<Record<string, unknown>>,
  text: string,
  signature: Buffer,
  keys: readonly VerificationKey[],
): boolean {
  const named = keys.filter(({ ids }) => typeof kid === 'string' && ids.includes(kid));
  return (named.length > 0 ? named : keys).some(({ key }) => matches(alg, text, signature, key));
}

/** The key decides which algorithm it is for: a token cannot have it used for another. RFC 8725 §3.1 */
function matches(alg: unknown, text: string, signature: Buffer, key: KeyObject): boolean {
  if (alg === 'RS256' && key.asymmetricKeyType === 'rsa') {
    return (
      (key.asymmetricKeyDetails?.modulusLength ?? 0) >= 2048 && verify('sha256', Buffer.from(text), key, signature)
    );
  }
  if (alg === 'ES256' && key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1') {
    return (
      signature.byteLength === 64 && verify('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' }, signature)
    );
  }
  return false;
}

function wrongClaim(claims: Readonly<Record<string, unknown>>, expected: JwtExpectations): string | undefined {
  const { iss, aud, exp, nbf } = claims;
  const now = expected.nowMs / 1000;
  if (iss !== expected.issuer) return 'its issuer is not the one that is trusted here';
  const audiences: readonly unknown[] = Array.isArray(aud) ? aud : [aud];
  if (!audiences.includes(expected.audience)) return 'it is for another service';
  if (typeof exp !== 'number' || !(now < exp + leewaySeconds)) return 'it has expired';
  if (nbf !== undefined && (typeof nbf !== 'number' || !(now >= nbf - leewaySeconds))) return 'it is not valid yet';
  return undefined;
}

function grantedAccess(value: unknown): GrantedAccess[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((item: unknown) => {
    if (typeof item !== 'object' || item === null) return [];
    const { type, name, actions } = item as Readonly<Record<string, unknown>>;
    if (typeof type !== 'string' || typeof name !== 'string' || !Array.isArray(actions)) return [];
    return [{ type, name, actions: actions.filter((action) => typeof action === 'string') }];
  });
}

function parseObject(part: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(part, 'base64url')));
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Readonly<Record<string, unknown>>)
      : undefined;
  } catch {
    return undefined;
  }
}
