import { type CallOptions, type Descriptor, type Digest, ToolError } from '../../core/index.ts';
import { discard } from './http.ts';
import type { RepositoryCalls } from './repository-calls.ts';

/**
 * Describes a blob of which only the digest is known. distribution-spec, #checking-if-content-exists-in-the-registry
 * @throws NotFoundError BLOB_UNKNOWN; ToolError REGISTRY_UNEXPECTED_ANSWER
 */
export async function describeBlob(calls: RepositoryCalls, digest: Digest, options: CallOptions): Promise<Descriptor> {
  const response = await calls.ask('HEAD', `blobs/${digest}`, { access: 'pull', signal: options.signal });
  if (response.status !== 200) {
    const message = `${digest} is not in ${calls.name}`;
    throw await calls.failure(response, 'HEAD', { code: 'BLOB_UNKNOWN', message });
  }
  await discard(response);
  const size = response.headers.get('content-length') ?? '';
  if (/^\d{1,15}$/.test(size)) return { mediaType: 'application/octet-stream', digest, size: Number(size) };
  throw new ToolError('REGISTRY_UNEXPECTED_ANSWER', `${calls.name} does not say how large ${digest} is`);
}
