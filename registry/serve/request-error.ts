import { errorCode, ToolError } from '../../core/index.ts';

/** distribution-spec, #error-codes */
export type SpecErrorCode =
  | 'BLOB_UNKNOWN'
  | 'BLOB_UPLOAD_INVALID'
  | 'BLOB_UPLOAD_UNKNOWN'
  | 'DIGEST_INVALID'
  | 'MANIFEST_BLOB_UNKNOWN'
  | 'MANIFEST_INVALID'
  | 'MANIFEST_UNKNOWN'
  | 'NAME_INVALID'
  | 'NAME_UNKNOWN'
  | 'SIZE_INVALID'
  | 'UNAUTHORIZED'
  | 'DENIED'
  | 'UNSUPPORTED'
  | 'TOOMANYREQUESTS';

export interface Problem {
  readonly code: SpecErrorCode | 'UNKNOWN';
  readonly message: string;
  readonly detail?: unknown;
}

/** What a request is answered with when it cannot be done. */
export class RequestError extends Error {
  readonly status: number;
  readonly problems: readonly Problem[];
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, problems: Problem | readonly Problem[], headers: Readonly<Record<string, string>> = {}) {
    const list = 'code' in problems ? [problems] : problems;
    super(list.map(({ code, message }) => `${code}: ${message}`).join('; '));
    this.name = 'RequestError';
    this.status = status;
    this.problems = list;
    this.headers = headers;
  }
}

export function blobUnknown(digest: string): RequestError {
  return new RequestError(404, { code: 'BLOB_UNKNOWN', message: 'blob unknown to registry', detail: { digest } });
}

export function manifestUnknown(reference: string, why = 'manifest unknown to registry'): RequestError {
  return new RequestError(404, { code: 'MANIFEST_UNKNOWN', message: why, detail: { reference } });
}

export function nameUnknown(name: string): RequestError {
  return new RequestError(404, {
    code: 'NAME_UNKNOWN',
    message: 'repository name not known to registry',
    detail: { name },
  });
}

export function digestInvalid(message: string): RequestError {
  return new RequestError(400, { code: 'DIGEST_INVALID', message });
}

export function unsupported(message: string, allow?: readonly string[]): RequestError {
  const headers: Record<string, string> = allow === undefined ? {} : { Allow: allow.join(', ') };
  return new RequestError(405, { code: 'UNSUPPORTED', message }, headers);
}

/** What an error of any kind is answered with; nothing of a mistake of ours is told. */
export function asRequestError(error: unknown): RequestError {
  if (error instanceof RequestError) return error;
  if (errorCode(error) === 'ENOSPC' || errorCode(error) === 'EDQUOT') {
    return new RequestError(507, { code: 'UNKNOWN', message: 'the registry has no space left' });
  }
  return new RequestError(500, { code: 'UNKNOWN', message: 'the registry failed; its log says why' });
}

/** A sentence about a pushed manifest that is not one. */
export function manifestInvalid(error: unknown): RequestError {
  if (!(error instanceof ToolError)) throw error;
  return new RequestError(400, { code: 'MANIFEST_INVALID', message: error.message });
}
