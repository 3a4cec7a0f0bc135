import path from 'node:path';
import type { Output, OutputCompression, OutputTarget } from '../builder/index.ts';
import { nearest, type Reference, ToolError } from '../core/index.ts';
import { type Compression, checkCompression } from '../registry/index.ts';
import { booleanField, commaFields } from './comma-fields.ts';
import type { Context } from './context.ts';
import { nameForImage } from './image-names.ts';
import { writeToStandardOutput } from './standard-output.ts';

/** What `--output` asks for. */
export interface OutputRequest {
  readonly outputs: readonly Output[];
  /** More names for the result: of `type=image` and `type=registry`. */
  readonly names: readonly Reference[];
  readonly push: boolean;
  /** How layers are packed for registries; gzip unless said. */
  readonly compression?: Compression;
  /** Something is written to standard output, which then has nothing else. */
  readonly usesStandardOutput: boolean;
}

const types = ['oci', 'docker', 'tar', 'local', 'image', 'registry'] as const;
const packing = ['compression', 'compression-level', 'force-compression'] as const;
const keys = ['type', 'dest', 'tar', 'name', 'push', ...packing] as const;
type Fields = ReadonlyMap<(typeof keys)[number], string>;
/** What each type takes besides `type`. */
const allowed: Readonly<Record<(typeof types)[number], readonly string[]>> = {
  oci: ['dest', 'tar', 'name', 'compression'],
  docker: ['dest', 'name', 'compression'],
  tar: ['dest'],
  local: ['dest'],
  image: ['name', 'push', ...packing],
  registry: ['name', 'push', ...packing],
};

/**
 * `-o type=oci|docker|tar|local,dest=PATH`, `-o type=image|registry`; `-o FOLDER` is `type=local`, `-o -` is a tar on
 * standard output.
 * @throws ToolError USAGE_OUTPUT
 */
export function outputsOf(texts: readonly string[], context: Pick<Context, 'folder' | 'terminal'>): OutputRequest {
  const parsed = texts.map((text) => parse(text, context));
  const toStandardOutput = texts.filter((_text, index) => parsed[index]?.usesStandardOutput === true);
  const [first, second] = toStandardOutput;
  if (second !== undefined) throw wrong(second, `standard output has been given to ${first} already`);
  if (first !== undefined && context.terminal.out.isTerminal) {
    throw wrong(first, 'an archive is not written to a terminal', 'name a file, or pipe it into something');
  }
  return {
    outputs: parsed.flatMap(({ outputs }) => outputs),
    names: parsed.flatMap(({ names }) => names),
    push: parsed.some(({ push }) => push),
    ...parsed.reduce((all, { compression }) => (compression === undefined ? all : { compression }), {}),
    usesStandardOutput: first !== undefined,
  };
}

function parse(text: string, context: Pick<Context, 'folder'>): OutputRequest {
  const nothing: OutputRequest = { outputs: [], names: [], push: false, usesStandardOutput: false };
  if (text === '-') return { ...nothing, outputs: [{ kind: 'tar', to: standardOutput }], usesStandardOutput: true };
  if (!text.includes('=')) {
    if (text === '') throw wrong(text, 'it names nothing');
    return { ...nothing, outputs: [{ kind: 'local', folder: path.resolve(context.folder, text) }] };
  }
  const fields = commaFields(text, { flag: '--output', keys, code: 'USAGE_OUTPUT' });
  const given = fields.get('type') ?? '';
  const type = types.find((known) => known === given);
  if (type === undefined) {
    const near = nearest(given, types);
    const hint = near === undefined ? `types are ${types.join(', ')}` : `did you mean type=${near}?`;
    throw wrong(text, given === '' ? 'it has no type' : `there is no type ${given}`, hint);
  }
  const superfluous = [...fields.keys()].find((key) => key !== 'type' && !allowed[type].includes(key));
  if (superfluous !== undefined) throw wrong(text, `type=${type} takes no ${superfluous}`);
  const names = (fields.get('name') ?? '').split(',').filter((name) => name !== '');
  const request = { ...nothing, names: names.map(nameForImage) };
  if (type === 'image' || type === 'registry') {
    const packed = fields.has('compression') || fields.has('compression-level') || fields.has('force-compression');
    return {
      ...request,
      push: flag(text, fields, 'push', type === 'registry'),
      ...(packed ? { compression: packingOf(text, fields) } : {}),
    };
  }
  const dest = fields.get('dest') ?? '';
  if (dest === '') throw wrong(text, 'it says not where to', `add dest=${type === 'local' ? 'FOLDER' : 'FILE'}`);
  const place = path.resolve(context.folder, dest);
  const isFolder = type === 'local' || (type === 'oci' && !flag(text, fields, 'tar', true));
  if (isFolder && dest === '-') throw wrong(text, 'a folder cannot go to standard output');
  if (type === 'local') return { ...request, outputs: [{ kind: 'local', folder: place }] };
  const compression = compressionOf(text, fields);
  if (isFolder) return { ...request, outputs: [{ kind: 'oci-folder', folder: place, compression }] };
  const to: OutputTarget = dest === '-' ? standardOutput : { kind: 'file', file: place };
  const output: Output = type === 'tar' ? { kind: type, to } : { kind: type, to, compression };
  return { ...request, outputs: [output], usesStandardOutput: dest === '-' };
}

const standardOutput: OutputTarget = { kind: 'stream', write: writeToStandardOutput };

function compressionOf(text: string, fields: Fields, otherwise: OutputCompression = 'uncompressed'): OutputCompression {
  const value = fields.get('compression') ?? otherwise;
  if (value === 'uncompressed' || value === 'gzip' || value === 'zstd') return value;
  throw wrong(text, `there is no compression ${value}`, 'it is uncompressed, gzip or zstd');
}

function packingOf(text: string, fields: Fields): Compression {
  const algorithm = compressionOf(text, fields, 'gzip');
  const level = fields.get('compression-level');
  const compression: Compression = {
    algorithm: algorithm === 'uncompressed' ? 'none' : algorithm,
    ...(level === undefined ? {} : { level: Number(level) }),
    force: flag(text, fields, 'force-compression', false),
  };
  try {
    checkCompression(compression);
  } catch (cause) {
    throw wrong(text, cause instanceof Error ? cause.message : String(cause), 'gzip has levels 1 to 9, zstd 1 to 19');
  }
  return compression;
}

function flag(text: string, fields: Fields, key: 'push' | 'tar' | 'force-compression', otherwise: boolean): boolean {
  const value = fields.get(key);
  const parsed = value === undefined ? otherwise : booleanField(value);
  if (parsed === undefined) throw wrong(text, `${key}=${value} is neither true nor false`);
  return parsed;
}

function wrong(
  text: string,
  problem: string,
  hint = 'write type=oci|docker|tar|local,dest=PATH, or a folder',
): ToolError {
  return new ToolError('USAGE_OUTPUT', `--output ${JSON.stringify(text)}: ${problem}`, { hint });
}
