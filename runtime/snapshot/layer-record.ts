import { readFile } from 'node:fs/promises';
import {
  asRecord,
  type ChainId,
  canonicalJson,
  type DiffId,
  errorCode,
  parseChainId,
  parseDiffId,
  ToolError,
} from '../../core/index.ts';
import type { ByteString } from '../layer/entry.ts';

/** What is written beside a layer's directory. */
export interface LayerRecord {
  readonly chainId: ChainId;
  readonly parent: ChainId | undefined;
  readonly diffId: DiffId;
  readonly opaques: readonly ByteString[];
  /** The boot in which it was written: its files are not synced, so it is good for that one only. */
  readonly bootId: string;
  /** Undefined when it was not counted. */
  readonly sizeBytes?: number | undefined;
}

/** Bytes of paths are one character each. */
export function formatLayerRecord(record: LayerRecord): string {
  return `${canonicalJson(record)}\n`;
}

/** Undefined when there is none, or none that can be understood: the layer is then made again. */
export async function readLayerRecord(file: string): Promise<LayerRecord | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return parseLayerRecord(JSON.parse(text));
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof ToolError) return undefined;
    throw error;
  }
}

function parseLayerRecord(value: unknown): LayerRecord | undefined {
  const { chainId, parent, diffId, opaques, bootId, sizeBytes } = asRecord(value, 'a layer record');
  if (!Array.isArray(opaques) || !opaques.every((item) => typeof item === 'string')) return undefined;
  if (typeof bootId !== 'string') return undefined;
  return {
    chainId: parseChainId(chainId),
    parent: parent === undefined ? undefined : parseChainId(parent),
    diffId: parseDiffId(diffId),
    opaques: opaques as ByteString[],
    bootId,
    sizeBytes: typeof sizeBytes === 'number' ? sizeBytes : undefined,
  };
}
