import { access, constants } from 'node:fs/promises';
import path from 'node:path';
import { type CallOptions, errorCode, ToolError, unreachable } from '../../core/index.ts';
import { displayPath, encodeLayer } from '../../runtime/index.ts';
import type { BuiltTarget } from '../engine/build-images.ts';
import type { Workshop } from '../workshop/workshop.ts';
import { writeArchive, writeFolder } from './image-output.ts';
import { isFolder, writeLocal } from './local-output.ts';
import { type Output, outputText } from './output.ts';
import { checkOutputFile, writeOutputFile, writeOutputStream } from './output-file.ts';
import { rootEntries } from './root-entries.ts';

/**
 * That outputs can be written, as far as can be told before the build.
 * @throws ToolError USAGE_OUTPUT
 */
export async function checkOutputs(outputs: readonly Output[], platforms: number): Promise<void> {
  const places = outputs.map(outputText);
  const twice = places.find((place, index) => places.indexOf(place) !== index);
  if (twice !== undefined) throw new ToolError('USAGE_OUTPUT', `two outputs go to ${twice}`);
  for (const output of outputs) {
    if (output.kind === 'docker' && platforms > 1) {
      throw new ToolError('USAGE_OUTPUT', 'type=docker takes one platform; docker load knows no index of several', {
        hint: 'use type=oci, or one --platform for each file',
      });
    }
    if (output.kind === 'local' || output.kind === 'oci-folder') await checkFolder(output.folder);
    else if (output.to.kind === 'file') await checkOutputFile(output.to.file);
  }
}

/** Writes what was built to all outputs, one after the other. Each is there whole or, if it is a new one, not at all. */
export async function writeOutputs(
  workshop: Workshop,
  targets: readonly BuiltTarget[],
  outputs: readonly Output[],
  options: CallOptions & { readonly onWritten?: (output: Output) => void },
): Promise<void> {
  const { signal } = options;
  for (const output of outputs) {
    await writeOutput(workshop, targets, output, { signal });
    options.onWritten?.(output);
  }
}

async function writeOutput(
  workshop: Workshop,
  targets: readonly BuiltTarget[],
  output: Output,
  options: CallOptions,
): Promise<void> {
  switch (output.kind) {
    case 'oci':
    case 'docker': {
      const { compression } = output;
      const make = (file: string) =>
        writeArchive(workshop, targets, file, { ...options, docker: output.kind === 'docker', compression });
      return writeOutputFile(workshop, output.to, make, options);
    }
    case 'oci-folder':
      return writeFolder(workshop, targets, output.folder, { ...options, compression: output.compression });
    case 'tar':
      return writeOutputStream(output.to, rootTar(workshop, targets, options), options);
    case 'local': {
      const skipped = await writeLocal(workshop, output.folder, rootEntries(workshop, targets, options), options);
      warnOfSkipped(workshop, output.folder, skipped.map(displayPath));
      return;
    }
    default:
      throw unreachable(output);
  }
}

/** Nothing of it begins before it is read. */
async function* rootTar(
  workshop: Workshop,
  targets: readonly BuiltTarget[],
  options: CallOptions,
): AsyncGenerator<Buffer, void> {
  yield* encodeLayer(rootEntries(workshop, targets, options), options) as AsyncIterable<Buffer>;
}

function warnOfSkipped(workshop: Workshop, folder: string, skipped: readonly string[]): void {
  if (skipped.length === 0) return;
  const more = skipped.length > 3 ? ` and ${skipped.length - 3} more` : '';
  const names = `${skipped.slice(0, 3).join(', ')}${more}`;
  workshop.options.onWarning(`${folder}: left out what only root can make: ${names}`);
}

/** The nearest folder that is there must let something be made in it. */
async function checkFolder(folder: string): Promise<void> {
  for (let place = folder; ; place = path.dirname(place)) {
    if (!(await isFolder(place)) && path.dirname(place) !== place) continue;
    try {
      return await access(place, constants.W_OK);
    } catch (cause) {
      throw new ToolError('USAGE_OUTPUT', `nothing can be written into ${place} (${errorCode(cause)})`, { cause });
    }
  }
}
