import { type Descriptor, isDigest, parseDescriptor, ToolError } from '../../core/index.ts';

/** image-spec, annotations.md: the name of an image within its layout. */
export const refNameAnnotation = 'org.opencontainers.image.ref.name';

/**
 * `index.json` of a layout, as raw JSON: what other tools wrote there, and what Kiln does not know, survives a change.
 * image-spec, image-layout.md#indexjson-file
 */
export interface LayoutIndex {
  readonly document: Readonly<Record<string, unknown>>;
  readonly entries: readonly unknown[];
}

export interface NamedDescriptor {
  readonly name: string;
  readonly descriptor: Descriptor;
}

export const emptyLayoutIndex: LayoutIndex = { document: { schemaVersion: 2, manifests: [] }, entries: [] };

/**
 * @param where named in errors
 * @throws ToolError LAYOUT_INVALID
 */
export function parseLayoutIndex(text: string, where: string): LayoutIndex {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    throw new ToolError('LAYOUT_INVALID', `${where} is not JSON`, { cause });
  }
  if (!isRecord(document)) throw new ToolError('LAYOUT_INVALID', `${where} is not a JSON object`);
  const entries = document.manifests ?? [];
  if (!Array.isArray(entries)) throw new ToolError('LAYOUT_INVALID', `${where} has no list of manifests`);
  return { document, entries };
}

export function serializeLayoutIndex(index: LayoutIndex): string {
  return `${JSON.stringify({ ...index.document, manifests: index.entries })}\n`;
}

/** The entries that are descriptors; what is not (another tool's business) is passed over. */
export function layoutDescriptors(index: LayoutIndex): Descriptor[] {
  return index.entries.flatMap((entry) => {
    try {
      return [parseDescriptor(entry)];
    } catch {
      return [];
    }
  });
}

/** The entries that carry a name, in the order of the file; of two with one name the first counts. */
export function namedDescriptors(index: LayoutIndex): NamedDescriptor[] {
  const named = new Map<string, Descriptor>();
  for (const descriptor of layoutDescriptors(index)) {
    const name = descriptor.annotations?.[refNameAnnotation];
    if (name !== undefined && !named.has(name)) named.set(name, withoutRefName(descriptor));
  }
  return Array.from(named, ([name, descriptor]) => ({ name, descriptor }));
}

/** The index with `name` meaning `descriptor`, and nothing else. */
export function withName(index: LayoutIndex, name: string, descriptor: Descriptor): LayoutIndex {
  const before = index.entries.find((entry) => nameOf(entry) === name && digestOf(entry) === descriptor.digest);
  const annotations = isRecord(before) && isRecord(before.annotations) ? before.annotations : {};
  const entry = {
    ...(isRecord(before) ? before : {}),
    mediaType: descriptor.mediaType,
    digest: descriptor.digest,
    size: descriptor.size,
    ...(descriptor.platform === undefined ? {} : { platform: descriptor.platform }),
    annotations: { ...annotations, ...descriptor.annotations, [refNameAnnotation]: name },
  };
  return { ...index, entries: [...withoutName(index, name).entries, entry] };
}

/** The index with an entry for `descriptor` that gives it no name. */
export function withEntry(index: LayoutIndex, descriptor: Descriptor): LayoutIndex {
  if (index.entries.some((entry) => digestOf(entry) === descriptor.digest && nameOf(entry) === undefined)) return index;
  return { ...index, entries: [...index.entries, descriptor] };
}

/** The index without the entries of these that give no name. */
export function withoutUnnamed(index: LayoutIndex, digests: ReadonlySet<string>): LayoutIndex {
  const isGone = (entry: unknown): boolean => nameOf(entry) === undefined && digests.has(digestOf(entry) ?? '');
  return { ...index, entries: index.entries.filter((entry) => !isGone(entry)) };
}

export function withoutName(index: LayoutIndex, name: string): LayoutIndex {
  return { ...index, entries: index.entries.filter((entry) => nameOf(entry) !== name) };
}

export function withoutRefName(descriptor: Descriptor): Descriptor {
  const { annotations, ...rest } = descriptor;
  if (annotations === undefined) return descriptor;
  const { [refNameAnnotation]: _name, ...others } = annotations;
  return Object.keys(others).length === 0 ? rest : { ...rest, annotations: others };
}

function nameOf(entry: unknown): unknown {
  return isRecord(entry) && isRecord(entry.annotations) ? entry.annotations[refNameAnnotation] : undefined;
}

function digestOf(entry: unknown): string | undefined {
  return isRecord(entry) && typeof entry.digest === 'string' && isDigest(entry.digest) ? entry.digest : undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
