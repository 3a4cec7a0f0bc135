import { isDeepStrictEqual } from 'node:util';
import { type CallOptions, type DiffId, type Image, layerCompression, serializeImageConfig } from '../../core/index.ts';
import { decompressed } from '../../runtime/index.ts';
import type { Workshop } from '../workshop/workshop.ts';
import { compareLayers, type EntryDifference } from './compare-layers.ts';

/** The first place where two images differ, layers before configs before annotations. */
export type ImageDifference =
  | ({
      readonly where: 'layer';
      /** From 1, lowest first. */
      readonly layer: number;
      /** What made it, as the history has it. */
      readonly step: string;
      readonly beforeDiffId: DiffId;
      readonly afterDiffId: DiffId;
    } & EntryDifference)
  | { readonly where: 'layers'; readonly before: string; readonly after: string }
  /** `path` names a value of the config (`config.Env.2`) or an annotation. */
  | {
      readonly where: 'config' | 'annotations';
      readonly path: string;
      readonly before: string;
      readonly after: string;
    };

/**
 * Compares what two images are, not how their layers are compressed: equal images may have different manifests.
 * @throws ToolError LAYER_*; IntegrityError
 */
export async function compareImages(
  workshop: Workshop,
  before: Image,
  after: Image,
  options: CallOptions = {},
): Promise<ImageDifference | undefined> {
  for (const [index, was] of before.layers.entries()) {
    const is = after.layers[index];
    if (is === undefined || was.diffId === is.diffId) continue;
    const difference = await compareLayers(
      await openLayer(workshop, was, options),
      await openLayer(workshop, is, options),
      options,
    );
    const found = difference ?? { file: '', attribute: 'encoding', before: was.diffId, after: is.diffId };
    const step = stepsOf(before)[index] ?? '';
    return { where: 'layer', layer: index + 1, step, beforeDiffId: was.diffId, afterDiffId: is.diffId, ...found };
  }
  if (before.layers.length !== after.layers.length) {
    return { where: 'layers', before: `${before.layers.length} layers`, after: `${after.layers.length} layers` };
  }
  return (
    compareValues('config', jsonOf(before), jsonOf(after), []) ??
    compareValues('annotations', before.annotations, after.annotations, [])
  );
}

async function openLayer(workshop: Workshop, { descriptor }: Image['layers'][number], options: CallOptions) {
  const blob = await workshop.content.read(descriptor, options);
  return decompressed(blob, layerCompression(descriptor.mediaType) ?? 'none', options);
}

/** History lines that made a layer, one for each. */
function stepsOf({ config }: Image): string[] {
  return config.history.filter((line) => line.empty_layer !== true).map((line) => line.created_by ?? '');
}

function jsonOf({ config }: Image): unknown {
  return JSON.parse(Buffer.from(serializeImageConfig(config)).toString());
}

function compareValues(
  where: 'config' | 'annotations',
  before: unknown,
  after: unknown,
  path: readonly string[],
): ImageDifference | undefined {
  if (isDeepStrictEqual(before, after)) return undefined;
  if (isObject(before) && isObject(after)) {
    for (const key of [...new Set([...Object.keys(before), ...Object.keys(after)])].sort()) {
      const found = compareValues(where, before[key], after[key], [...path, key]);
      if (found !== undefined) return found;
    }
  }
  const text = (value: unknown): string => (value === undefined ? 'absent' : JSON.stringify(value));
  return { where, path: path.join('.'), before: text(before), after: text(after) };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
