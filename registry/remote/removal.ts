import { type CallOptions, type Digest, isDigest, NotFoundError, ToolError } from '../../core/index.ts';
import type { Asked } from './errors.ts';
import { discard, type HttpResponse } from './http.ts';
import type { RepositoryCalls } from './repository-calls.ts';

/**
 * Deletes a manifest by its digest, or a tag by its name. distribution-spec, #deleting-manifests, #deleting-tags
 * @throws NotFoundError; ToolError REGISTRY_CANNOT_DELETE
 */
export async function deleteManifest(
  calls: RepositoryCalls,
  reference: string,
  notFound: NonNullable<Asked['notFound']>,
  options: CallOptions,
): Promise<void> {
  const response = await calls.ask('DELETE', `manifests/${reference}`, { access: 'delete', signal: options.signal });
  if (isDeleted(response)) return discard(response);
  const error = await calls.failure(response, 'DELETE', notFound);
  throw isRefusedAsSuch(response, error) ? cannotDelete(calls.name, reference, error) : error;
}

/** distribution-spec, #deleting-blobs @throws NotFoundError BLOB_UNKNOWN; ToolError REGISTRY_CANNOT_DELETE */
export async function deleteBlob(calls: RepositoryCalls, digest: Digest, options: CallOptions): Promise<void> {
  const response = await calls.ask('DELETE', `blobs/${digest}`, { access: 'delete', signal: options.signal });
  if (isDeleted(response)) return discard(response);
  const message = `${digest} is not in ${calls.name}`;
  const error = await calls.failure(response, 'DELETE', { code: 'BLOB_UNKNOWN', message });
  throw response.status === 405 ? cannotDelete(calls.name, digest, error) : error;
}

function isDeleted({ status }: HttpResponse): boolean {
  return status === 202 || status === 200 || status === 204;
}

/** Docker's registry before version 3 says 400 and DIGEST_INVALID to the deletion of a tag. */
function isRefusedAsSuch(response: HttpResponse, error: ToolError): boolean {
  if (response.status === 405) return true;
  if (error instanceof NotFoundError) return false;
  return /\b(?:UNSUPPORTED|DIGEST_INVALID)\b/.test(error.message);
}

function cannotDelete(name: string, reference: string, cause: ToolError): ToolError {
  return isDigest(reference)
    ? new ToolError('REGISTRY_CANNOT_DELETE', `the registry of ${name} does not delete: ${cause.message}`, {
        cause,
        hint: 'whoever runs it has to allow it; Docker’s registry does with storage.delete.enabled: true',
      })
    : new ToolError('REGISTRY_CANNOT_DELETE', `the registry of ${name} deletes no tags: ${cause.message}`, {
        cause,
        hint: `delete the image with all its tags by its digest, which kiln digest ${name}:${reference} shows`,
      });
}
