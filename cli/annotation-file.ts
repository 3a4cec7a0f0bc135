import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { asRecord, errorCode, parseAnnotations, ToolError } from '../core/index.ts';
import type { Context } from './context.ts';

/** What `--annotation-file` says, in oras' form. */
export interface AnnotationFile {
  readonly manifest: Readonly<Record<string, string>>;
  readonly config: Readonly<Record<string, string>> | undefined;
  /** By the file as it is written on the command line. */
  readonly files: ReadonlyMap<string, Readonly<Record<string, string>>>;
}

const maxBytes = 4 * 1024 * 1024;

/** @throws ToolError USAGE_ANNOTATION */
export async function readAnnotationFile(
  { folder }: Pick<Context, 'folder'>,
  file: string | undefined,
): Promise<AnnotationFile> {
  if (file === undefined) return { manifest: {}, config: undefined, files: new Map() };
  let text: string;
  try {
    const place = path.resolve(folder, file);
    if ((await stat(place)).size > maxBytes) throw wrong(file, `it is over ${maxBytes} bytes`);
    text = await readFile(place, 'utf8');
  } catch (cause) {
    if (cause instanceof ToolError) throw cause;
    throw wrong(file, `it cannot be read (${errorCode(cause)})`, cause);
  }
  return parseAnnotationFile(text, file);
}

/** @throws ToolError USAGE_ANNOTATION */
export function parseAnnotationFile(text: string, file: string): AnnotationFile {
  try {
    const document = asRecord(JSON.parse(text), 'the file');
    const parts = Object.entries(document).map(([name, value]) => [name, parseAnnotations(value)] as const);
    const files = new Map(parts);
    const [manifest, config] = [files.get('$manifest'), files.get('$config')];
    files.delete('$manifest');
    files.delete('$config');
    return { manifest: manifest ?? {}, config, files };
  } catch (cause) {
    throw wrong(file, cause instanceof ToolError ? cause.message : 'it is not JSON', cause);
  }
}

function wrong(file: string, why: string, cause?: unknown): ToolError {
  return new ToolError('USAGE_ANNOTATION', `--annotation-file ${file} cannot be used: ${why}`, {
    ...(cause === undefined ? {} : { cause }),
    hint: 'it is JSON: {"$manifest": {"key": "value"}, "file.txt": {"key": "value"}}',
  });
}
