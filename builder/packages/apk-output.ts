import type { PinnedPackage } from '../lock/pins.ts';
import { apkStanzas } from './installed.ts';

/** A step of a transaction that brings a package. */
export interface ApkChange {
  readonly name: string;
  readonly version: string;
}

/** `(1/4) Installing nginx (1.26.2-r0)`, `(2/4) Upgrading zlib (1.3.0-r0 -> 1.3.1-r0)`: what `apk add --simulate` prints. */
const changeLine =
  /^\(\s*\d+\/\d+\) (?:Installing|Upgrading|Downgrading|Replacing|Reinstalling) (\S+) \((?:\S+ -> )?([^\s)]+)\)/;

export function parseSimulated(text: string): ApkChange[] {
  return text.split('\n').flatMap((line) => {
    const [, name, version] = changeLine.exec(line.trim()) ?? [];
    // A repository's tag follows the name.
    return name === undefined || version === undefined ? [] : [{ name: name.replace(/@.*$/, ''), version }];
  });
}

/** The packages of an APKINDEX, with the hash that stands for each file: `Q1` and base64 of the SHA-1 of its control part. */
export function parseApkIndex(text: string): PinnedPackage[] {
  return apkStanzas(text).flatMap((fields) => {
    const [name, version, architecture, hash] = ['P', 'V', 'A', 'C'].map((field) => fields.get(field));
    if (name === undefined || version === undefined || hash === undefined) return [];
    return [{ name, version, architecture: architecture ?? 'noarch', hash }];
  });
}

/**
 * Names that apk knows nothing of: `foo (no such package):`, and `foo-1.2:` with `breaks: world[foo=1.3]`, where another
 * version is asked for.
 */
export function missingFromApk(output: string): string[] {
  return output.split('\n').flatMap((line) => {
    const [, name] = /^\s*(\S+) \(no such package\):/.exec(line) ?? [];
    const [, broken] = /breaks: world\[([^\]]+)\]/.exec(line) ?? [];
    return name ?? broken ?? [];
  });
}
