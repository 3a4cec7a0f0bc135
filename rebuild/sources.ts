import {
  type BaseRecord,
  type BootstrapSource,
  bootstrapName,
  type LayoutSource,
  type Plan,
  sourcesAnnotation,
  stepSources,
} from '../builder/index.ts';
import {
  asRecord,
  type Digest,
  errorCode,
  formatReference,
  isDigest,
  parseDigest,
  parseReference,
  type Reference,
  withDefaultTag,
} from '../core/index.ts';

/** Something an image is built from, as its Buildfile asks for it. `name` is what is recorded on the image. */
export type Source =
  | { readonly kind: 'image'; readonly name: string; readonly reference: Reference }
  /** Roots of one suite; several when they differ in what else they include. */
  | { readonly kind: 'bootstrap'; readonly name: string; readonly roots: readonly BootstrapSource[] }
  /** A layout on this machine's disk. */
  | { readonly kind: 'layout'; readonly name: string };

export const baseNameAnnotation = 'org.opencontainers.image.base.name';
export const baseDigestAnnotation = 'org.opencontainers.image.base.digest';
const layoutPrefix = 'oci:';
/** More than any Buildfile has stages; an annotation comes from a registry. */
const maxRecords = 1000;

/** Everything a plan builds on, each name once, sorted by name. */
export function sourcesOf(plan: Plan): Source[] {
  const sources = new Map<string, Source>();
  for (const stage of plan.stages) {
    const { base } = stage;
    if (base.kind === 'image') addImage(sources, base.reference);
    if (base.kind === 'layout') addLayout(sources, base);
    if (base.kind === 'bootstrap') addBootstrap(sources, base);
    for (const source of stage.steps.flatMap(stepSources)) {
      if (source.kind === 'image') addImage(sources, source.reference);
      if (source.kind === 'layout') addLayout(sources, source);
    }
  }
  return [...sources.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/**
 * What an image's annotations say it was built from; undefined when they do not. Layouts on disk are left out: they
 * are nobody else's business, and are not checked. What cannot be understood counts as not said.
 */
export function recordedSources(annotations: Readonly<Record<string, string>>): readonly BaseRecord[] | undefined {
  const all = parseRecords(annotations[sourcesAnnotation]) ?? baseOnly(annotations);
  return all?.filter(({ name }) => !name.startsWith(layoutPrefix));
}

/**
 * What annotations or labels say an image lies on, in the words of whoever wrote them; undefined when they name nothing.
 * A digest that is none counts as not said. image-spec, annotations.md#pre-defined-annotation-keys
 */
export function recordedBase(
  annotations: Readonly<Record<string, string>>,
): { readonly name: string; readonly digest?: Digest } | undefined {
  const name = annotations[baseNameAnnotation];
  const digest = annotations[baseDigestAnnotation];
  if (name === undefined || name === '') return undefined;
  return digest !== undefined && isDigest(digest) ? { name, digest } : { name };
}

/** What is known of a source's present state. */
export type CurrentSource =
  | { readonly kind: 'digests'; readonly digests: readonly Digest[] }
  /** Named by its digest: it never moves. */
  | { readonly kind: 'pinned'; readonly digest: Digest }
  | { readonly kind: 'unchecked'; readonly why: string };

/** A difference between what an image was built from and what is there now. */
export interface Move {
  /** Name of the source. */
  readonly source: string;
  /** Undefined when the image was not built from it. */
  readonly from?: Digest;
  /** Undefined when the Buildfile does not use it any more, or when it could not be asked for. */
  readonly to?: Digest;
}

/** How a source differs from what is recorded of it; empty when it did not move. */
export function movesOf(source: string, recorded: readonly Digest[], current: CurrentSource): Move[] {
  if (current.kind !== 'digests') {
    if (recorded.length > 0) return [];
    return [current.kind === 'pinned' ? { source, to: current.digest } : { source }];
  }
  const gone = recorded.filter((digest) => !current.digests.includes(digest)).sort();
  const come = current.digests.filter((digest) => !recorded.includes(digest)).sort();
  return Array.from({ length: Math.max(gone.length, come.length) }, (_, index) => {
    const [from, to] = [gone[index], come[index]];
    return { source, ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) };
  });
}

function addLayout(sources: Map<string, Source>, { name: inside = '' }: LayoutSource): void {
  const name = `${layoutPrefix}${inside}`;
  sources.set(name, { kind: 'layout', name });
}

function addImage(sources: Map<string, Source>, text: string): void {
  const reference = withDefaultTag(parseReference(text));
  const name = formatReference(reference);
  sources.set(name, { kind: 'image', name, reference });
}

function addBootstrap(sources: Map<string, Source>, root: BootstrapSource): void {
  const name = bootstrapName(root);
  const known = sources.get(name);
  const roots = known?.kind === 'bootstrap' ? known.roots : [];
  sources.set(name, { kind: 'bootstrap', name, roots: [...roots, root] });
}

function parseRecords(annotation: string | undefined): BaseRecord[] | undefined {
  if (annotation === undefined) return undefined;
  try {
    const list: unknown = JSON.parse(annotation);
    if (!Array.isArray(list) || list.length > maxRecords) return undefined;
    return list.map((item: unknown) => {
      const { name, digest } = asRecord(item, 'a source');
      if (typeof name !== 'string') throw new SyntaxError('a source has no name');
      return { name, digest: parseDigest(digest) };
    });
  } catch (error) {
    if (error instanceof SyntaxError || isInvalid(error)) return undefined;
    throw error;
  }
}

/** What other builders write: the base of the last stage, under a name that may be short. */
function baseOnly(annotations: Readonly<Record<string, string>>): BaseRecord[] | undefined {
  const { name, digest } = recordedBase(annotations) ?? {};
  if (name === undefined || digest === undefined) return undefined;
  try {
    return [{ name: formatReference(withDefaultTag(parseReference(name))), digest }];
  } catch (error) {
    if (isInvalid(error)) return undefined;
    throw error;
  }
}

function isInvalid(error: unknown): boolean {
  const code = errorCode(error);
  return code === 'DIGEST_INVALID' || code === 'DESCRIPTOR_INVALID' || code === 'REFERENCE_INVALID';
}
