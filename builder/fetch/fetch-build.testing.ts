import { createReadStream } from 'node:fs';
import { type Image, openImage, platformOf } from '../../core/index.ts';
import { forEachEntry } from '../../runtime/index.ts';
import type { TestWorkshop } from '../../test/workshop.ts';
import {
  type BuildEvent,
  type BuildOptions,
  buildImages,
  type FetchStep,
  noPins,
  type PinKind,
  type Pins,
  type PinValues,
  parseIgnoreFile,
  planBuildfile,
  type Step,
} from '../index.ts';

const platform = platformOf(process.arch);
const position = { file: 'Buildfile', line: 3, column: 1 };

export interface FetchBuild {
  readonly image: Image;
  /** Of the layer of the last step: `type mode uid:gid seconds path`, and `-> target` or `= text`. */
  readonly lines: readonly string[];
  readonly cached: number;
  readonly events: readonly BuildEvent[];
}

export type FetchFields = Pick<FetchStep, 'source'> & Partial<Omit<FetchStep, 'source'>>;

/** Builds busybox, or `base`, plus one fetch, by a plan made by hand. */
export async function buildFetch(
  bench: TestWorkshop,
  fields: FetchFields,
  options: Partial<BuildOptions> & { readonly before?: readonly Step[]; readonly base?: string } = {},
): Promise<FetchBuild> {
  const { before = [], base = 'busybox', ...rest } = options;
  const fetch: FetchStep = { verb: 'fetch', position, to: '/', unpack: false, ...fields };
  const plan = planBuildfile(`from = "${base}"\n`, 'Buildfile', {
    args: new Map(),
    targets: [],
    platform,
    buildPlatform: platform,
    baseFolder: bench.context,
  });
  const steps = [...before, fetch];
  const events: BuildEvent[] = [];
  const made = { ...plan, stages: plan.stages.map((stage) => ({ ...stage, steps })) };
  const { targets } = await buildImages({ plans: [made], names: new Map() }, bench.workshop, {
    contextFolder: bench.context,
    buildfile: `${bench.context}/Buildfile`,
    ignore: parseIgnoreFile(''),
    noCache: false,
    pull: false,
    jobs: 2,
    network: 'none',
    proxies: {},
    pins: noPins,
    secrets: { find: async () => undefined },
    sshAgents: new Map(),
    limits: {},
    onEvent: (event) => events.push(event),
    ...rest,
  });
  const [target] = targets;
  if (target === undefined) throw new TypeError('nothing was built');
  const image = await openImage(bench.workshop.content, target.descriptor, { platform });
  const cached = events.filter((event) => event.type === 'done' && event.cached).length;
  const top = image.layers.at(-1);
  return { image, lines: top === undefined ? [] : await linesOf(bench, top.diffId), cached, events };
}

async function linesOf(bench: TestWorkshop, diffId: Image['layers'][number]['diffId']): Promise<string[]> {
  const lines: string[] = [];
  await forEachEntry(createReadStream(bench.workshop.content.blobFile(diffId)), async (entry) => {
    if (entry.type === 'whiteout' || entry.type === 'opaque') return void lines.push(`${entry.type} ${entry.path}`);
    let line = `${entry.type} ${entry.mode.toString(8)} ${entry.uid}:${entry.gid} ${entry.mtime.seconds} ${entry.path}`;
    if (entry.type === 'symlink' || entry.type === 'hardlink') line += ` -> ${entry.target}`;
    if (entry.type === 'file') {
      let [text, size] = ['', 0];
      if (entry.content.kind === 'stream') {
        for await (const chunk of entry.content.stream) {
          size += chunk.length;
          if (text.length < 60) text += chunk.toString('latin1', 0, 61);
        }
      }
      line += ` = ${size > 60 ? `${size} bytes` : text}`;
    }
    lines.push(line);
  });
  return lines;
}

/** Pins in memory. */
export class TestPins implements Pins {
  readonly kept: [string, string, unknown][] = [];
  readonly #values = new Map<string, unknown>();

  constructor(values: readonly (readonly [PinKind, string, unknown])[] = []) {
    for (const [kind, key, value] of values) this.#values.set(`${kind} ${key}`, value);
  }

  find<K extends PinKind>(kind: K, key: string): PinValues[K] | undefined {
    return this.#values.get(`${kind} ${key}`) as PinValues[K] | undefined;
  }

  keep<K extends PinKind>(kind: K, key: string, value: PinValues[K]): void {
    this.kept.push([kind, key, value]);
    this.#values.set(`${kind} ${key}`, value);
  }
}
