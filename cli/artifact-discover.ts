import {
  type CallOptions,
  type Descriptor,
  type Digest,
  parsePlatform,
  type ReferrerLister,
  ToolError,
} from '../core/index.ts';
import { selectManifest } from '../registry/index.ts';
import type { ArtifactFlags } from './commands/artifact.ts';
import type { Context } from './context.ts';
import { exitCodes } from './exit-codes.ts';
import { objectPlace, openObject } from './objects.ts';
import { printResult } from './result.ts';
import { harmlessLine } from './terminal-text.ts';

/** A manifest with what refers to it. */
interface Referred {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly referrers: readonly Referred[];
}

/** What a hostile list can make of us at most. */
const maxReferrers = 10_000;
const maxDepth = 32;

/** `kiln artifact discover`. */
export async function discoverArtifacts(context: Context, flags: ArtifactFlags, text: string): Promise<number> {
  const depth = depthOf(flags.depth);
  const { signal } = context;
  const place = objectPlace(context, text);
  await using source = await openObject(context, flags, place);
  const { content } = source;
  if (!isReferrerLister(content)) {
    throw new ToolError('USAGE_ARGUMENTS', `what refers to an image cannot be told of ${place.kind}:…`, {
      hint: 'copy it into a folder first: kiln copy, to oci:DIR',
    });
  }
  const platform = flags.platform === undefined ? {} : { platform: parsePlatform(flags.platform) };
  const { descriptor } = await selectManifest(content, source.root, { ...platform, signal });
  const type = flags['artifact-type'];
  const walk = new Walk(content, type === undefined ? { signal } : { signal, artifactType: type });
  const found: Referred = await walk.below(descriptor, depth);
  const name = `${source.name.replace(/@sha\d+:.*$/, '')}`;
  printResult(context, flags, { name, ...found }, () =>
    [`${harmlessLine(name)}@${found.digest}`, ...branches(found, flags.verbose)].join('\n'),
  );
  return exitCodes.ok;
}

class Walk {
  readonly #content: ReferrerLister;
  readonly #options: CallOptions & { readonly artifactType?: string };
  /** Digests cannot refer to each other in a circle; lists that lie can. */
  readonly #seen = new Set<Digest>();

  constructor(content: ReferrerLister, options: CallOptions & { readonly artifactType?: string }) {
    this.#content = content;
    this.#options = options;
  }

  async below(descriptor: Descriptor, depth: number): Promise<Referred> {
    const { mediaType, digest, size, artifactType, annotations } = descriptor;
    const isNew = !this.#seen.has(digest);
    this.#seen.add(digest);
    if (this.#seen.size > maxReferrers) {
      throw new ToolError('MANIFEST_INVALID', `more than ${maxReferrers} manifests refer to the image`, {
        hint: 'see fewer: --depth 1, or --artifact-type',
      });
    }
    const referrers: Referred[] = [];
    if (isNew && depth > 0) {
      for (const referrer of await this.#content.referrers(digest, this.#options)) {
        referrers.push(await this.below(referrer, depth - 1));
      }
    }
    return {
      mediaType,
      digest,
      size,
      ...(artifactType === undefined ? {} : { artifactType }),
      ...(annotations === undefined ? {} : { annotations }),
      referrers,
    };
  }
}

/** As oras draws it: below each manifest the types of what refers to it, below each type the digests. */
function branches({ referrers }: Referred, isVerbose: boolean): string[] {
  const byType = new Map<string, Referred[]>();
  for (const referrer of referrers) {
    const type = referrer.artifactType ?? '<unknown>';
    byType.set(type, [...(byType.get(type) ?? []), referrer]);
  }
  return tree(
    [...byType].map(([type, entries]) => ({
      line: harmlessLine(type),
      below: tree(
        entries.map((entry) => ({
          line: entry.digest,
          below: [...(isVerbose ? annotationLines(entry) : []), ...branches(entry, isVerbose)],
        })),
      ),
    })),
  );
}

function tree(nodes: readonly { readonly line: string; readonly below: readonly string[] }[]): string[] {
  return nodes.flatMap(({ line, below }, at) => {
    const isLast = at === nodes.length - 1;
    return [`${isLast ? '└──' : '├──'} ${line}`, ...below.map((text) => `${isLast ? '   ' : '│  '} ${text}`)];
  });
}

function annotationLines({ annotations = {} }: Referred): string[] {
  return Object.entries(annotations).map(([key, value]) => `[${harmlessLine(key)}: ${harmlessLine(value)}]`);
}

function depthOf(text: string | undefined): number {
  if (text === undefined) return maxDepth;
  if (/^[1-9]\d{0,3}$/.test(text)) return Math.min(Number(text), maxDepth);
  throw new ToolError('USAGE_FLAG_VALUE', `--depth is a number, 1 or more, not ${JSON.stringify(text)}`);
}

function isReferrerLister(content: object): content is ReferrerLister {
  return 'referrers' in content && typeof content.referrers === 'function';
}
