import type { Clock } from '../../core/index.ts';
import type { Access, Authenticator, Sender } from './access.ts';
import { type TokenClaims, type VerificationKey, verifyJwt } from './jwt.ts';
import { RequestError } from './request-error.ts';

/** A token server that is trusted to say who may do what. */
export interface TokenTrust {
  /** Where clients get tokens. */
  readonly realm: string;
  /** This registry's name there: the audience of its tokens. */
  readonly service: string;
  readonly issuer: string;
  readonly keys: readonly VerificationKey[];
}

/** Lets those in who bring a token that grants what they are about. Docker's token authentication. */
export class TokenAuthenticator implements Authenticator {
  readonly #trust: TokenTrust;
  readonly #clock: Clock;

  constructor(trust: TokenTrust, clock: Clock) {
    this.#trust = trust;
    this.#clock = clock;
  }

  async admit(
    authorization: string | undefined,
    needed: readonly Access[],
    wished: readonly Access[],
  ): Promise<Sender> {
    const [, token] = /^bearer +(\S+)$/i.exec(authorization?.trim() ?? '') ?? [];
    if (token === undefined) throw this.#unauthorized('authentication required', [...needed, ...wished]);
    const { keys, issuer, service } = this.#trust;
    const claims = verifyJwt(token, { keys, issuer, audience: service, nowMs: this.#clock.now() });
    if ('refused' in claims) {
      throw this.#unauthorized(`the token is refused: ${claims.refused}`, [...needed, ...wished], 'invalid_token');
    }
    if (!needed.every((access) => grants(claims, access))) {
      throw this.#unauthorized('the token does not grant this', [...needed, ...wished], 'insufficient_scope');
    }
    return { name: claims.subject === '' ? undefined : claims.subject, may: (access) => grants(claims, access) };
  }

  #unauthorized(message: string, access: readonly Access[], error?: string): RequestError {
    const { realm, service } = this.#trust;
    const scope = access.map(({ type, name, actions }) => `${type}:${name}:${actions.join(',')}`).join(' ');
    const parameters = {
      realm,
      service,
      ...(scope === '' ? {} : { scope }),
      ...(error === undefined ? {} : { error }),
    };
    const challenge = Object.entries(parameters).map(([name, value]) => `${name}=${quoted(value)}`);
    const headers = { 'WWW-Authenticate': `Bearer ${challenge.join(',')}` };
    return new RequestError(401, { code: 'UNAUTHORIZED', message, detail: access }, headers);
  }
}

function grants({ access }: TokenClaims, { type, name, actions }: Access): boolean {
  const granted = new Set(
    access.filter((item) => item.type === type && item.name === name).flatMap((item) => item.actions),
  );
  return granted.has('*') || actions.every((action) => granted.has(action));
}

/** A `quoted-string`. RFC 9110 §5.6.4; what no header can hold is left out. */
function quoted(text: string): string {
  return `"${text.replace(/[^\x20-\x7e]/g, '').replace(/["\\]/g, '\\$&')}"`;
}
