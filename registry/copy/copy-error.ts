import { type Descriptor, IntegrityError, NotFoundError, type ReadableContent, ToolError } from '../../core/index.ts';
import { isManifestLike } from '../manifest-type.ts';

/** Errors that say already what they are about: a layer's goes through its manifest's and the index's copy. */
const located = new WeakSet<object>();

/** The error with the blob it struck and the places it was to go between, as far as its sentence does not tell them. */
export function locatedError(
  error: unknown,
  descriptor: Descriptor,
  places: { readonly from: ReadableContent; readonly to: ReadableContent },
): unknown {
  if (!(error instanceof ToolError) || located.has(error)) return error;
  const named = withPlaces(error, descriptor, places);
  located.add(named);
  return named;
}

function withPlaces(
  error: ToolError,
  descriptor: Descriptor,
  places: { readonly from: ReadableContent; readonly to: ReadableContent },
): ToolError {
  const [from, to] = [nameOf(places.from), nameOf(places.to)];
  const kind = isManifestLike(descriptor) ? 'manifest' : 'blob';
  const missing = [
    error.message.includes(descriptor.digest) ? undefined : `${kind} ${descriptor.digest}`,
    from === undefined || error.message.includes(from) ? undefined : `from ${from}`,
    to === undefined || error.message.includes(to) ? undefined : `to ${to}`,
  ].filter((part) => part !== undefined);
  if (missing.length === 0) return error;
  const message = `${error.message} (${missing.join(' ')})`;
  const options = {
    cause: error.cause ?? error,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  };
  if (error instanceof IntegrityError) return new IntegrityError(error.code, message, options);
  if (error instanceof NotFoundError) return new NotFoundError(error.code, message, options);
  return new ToolError(error.code, message, options);
}

/** What a place calls itself: a repository, a folder, a file. */
function nameOf(place: ReadableContent): string | undefined {
  return 'name' in place && typeof place.name === 'string' && place.name !== '' ? place.name : undefined;
}
