import path from 'node:path';
import {
  BuildfileError,
  checkArgName,
  checkNotEmpty,
  checkReference,
  type Position,
  type Problem,
  parseToml,
  quoted,
  schema,
  type TomlDocument,
  validate,
} from '../builder/index.ts';
import { formatReference, parseReference, type Reference, withDefaultTag } from '../core/index.ts';

/** One image of kiln.toml. */
export interface ImageEntry {
  /** Its key in the file. */
  readonly name: string;
  /** Where it is pushed; has a tag and no digest. */
  readonly reference: Reference;
  /** Absolute path. */
  readonly contextFolder: string;
  /** Absolute path; undefined for the Buildfile of the context. */
  readonly file: string | undefined;
  readonly target: string | undefined;
  readonly args: ReadonlyMap<string, string>;
  /** Where the file says each of them, or, where it does not, the entry itself. */
  readonly positions: Readonly<Record<'tag' | 'context' | 'file' | 'target' | 'args', Position>>;
}

/** kiln.toml, well formed. */
export interface RebuildConfig {
  /** In the order of the file. */
  readonly images: readonly ImageEntry[];
  /** Its problems with what it names are shown with these lines. */
  readonly document: TomlDocument;
}

/** What the codes of problems with kiln.toml begin with. */
export const configArea = 'REBUILD';

const image = schema.table(
  {
    tag: schema.string({
      description: 'Full name of the image: where it is looked for and pushed to.',
      check: checkTag,
      examples: ['registry.example:5000/site:1'],
    }),
    context: schema.string({ description: 'Folder of the build, relative to this file.', check: checkNotEmpty }),
    file: schema.string({
      description: 'The Buildfile, relative to this file; otherwise the `Buildfile` of the context.',
      check: checkNotEmpty,
    }),
    target: schema.string({ description: 'Stage to build, as --target.', check: checkNotEmpty }),
    args: schema.map(schema.string(), { description: 'Arguments, as --build-arg.', checkKey: checkArgName }),
  },
  { description: 'An image that is kept patched.', required: ['tag', 'context'] },
);

/** The format of kiln.toml: source of its validation and of its JSON Schema. */
export const configSchema = schema.table(
  { images: schema.map(image, { description: 'The images, by names of your own.', checkKey: checkImageName }) },
  { description: 'The images that `kiln rebuild` keeps patched.', required: ['images'] },
);

/**
 * Parses kiln.toml. `folder`, an absolute path, is what its paths are relative to; `file` is what messages call it.
 * @throws BuildfileError REBUILD_INVALID with all problems
 */
export function parseConfig(text: string, file: string, folder: string): RebuildConfig {
  const document = parseToml(text, file, { area: configArea });
  const { value, problems } = validate(configSchema, document);
  // Only what is well formed reaches the second look, so that no mistake is told twice.
  const images = Object.entries(value.images ?? {}).flatMap(([name, content]) =>
    content.tag === undefined || content.context === undefined
      ? []
      : [entryOf(name, { ...content, tag: content.tag, context: content.context }, document, folder)],
  );
  const all = [...problems, ...noImages(value, document), ...sharedTags(images)];
  if (all.length > 0) throw new BuildfileError(all, new Map([[document.file, document.text]]), configArea);
  return { images, document };
}

/** The full name of an entry's image, as it is recorded on those built on it. */
export function tagOf(entry: Pick<ImageEntry, 'reference'>): string {
  return formatReference(entry.reference);
}

type ImageContent = schema.Infer<typeof image>;

function entryOf(
  name: string,
  content: ImageContent & { readonly tag: string; readonly context: string },
  document: TomlDocument,
  folder: string,
): ImageEntry {
  const at = ['images', name];
  return {
    name,
    reference: withDefaultTag(parseReference(content.tag)),
    contextFolder: path.resolve(folder, content.context),
    file: content.file === undefined ? undefined : path.resolve(folder, content.file),
    target: content.target,
    args: new Map(Object.entries(content.args ?? {})),
    positions: {
      tag: document.valuePosition([...at, 'tag']),
      context: document.valuePosition([...at, 'context']),
      file: document.valuePosition([...at, 'file']),
      target: document.valuePosition([...at, 'target']),
      args: document.keyPosition([...at, 'args']),
    },
  };
}

function noImages(value: schema.Infer<typeof configSchema>, document: TomlDocument): Problem[] {
  if (value.images === undefined || Object.keys(value.images).length > 0) return [];
  const position = document.keyPosition(['images']);
  return [{ code: 'REBUILD_BAD_VALUE', message: 'there are no images; write [images.NAME]', position }];
}

/** Two images under one name would replace each other at every run. */
function sharedTags(images: readonly ImageEntry[]): Problem[] {
  const owners = new Map<string, string>();
  return images.flatMap((entry) => {
    const tag = tagOf(entry);
    const owner = owners.get(tag);
    if (owner === undefined) {
      owners.set(tag, entry.name);
      return [];
    }
    const message = `${quoted(tag)} is already the tag of ${quoted(owner)}`;
    return [{ code: 'REBUILD_BAD_VALUE', message, position: entry.positions.tag }];
  });
}

function checkTag(text: string): schema.Complaint {
  const complaint = checkReference(text);
  if (complaint !== undefined) return complaint;
  return parseReference(text).digest === undefined
    ? undefined
    : `${quoted(text)} has a digest, which cannot be chosen; give NAME:TAG`;
}

/** Starts with a letter, so that object keys keep the order of the file. */
function checkImageName(key: string): schema.Complaint {
  if (/^[A-Za-z][A-Za-z0-9_.-]{0,99}$/.test(key)) return undefined;
  return `${quoted(key)} cannot be the name of an image here; start with a letter, go on with letters, digits, _, . and -`;
}
