import { formatPlatform, type Platform, ToolError } from '../../core/index.ts';
import type { PackageManager, PackagesStep } from '../plan/plan.ts';

/** What a step asks a package archive for. */
export interface PackageRequest {
  readonly manager: PackageManager;
  /** `name` or `name=version`; sorted, each once. */
  readonly names: readonly string[];
  readonly recommends: boolean;
}

/** All that the answer to a request depends on, besides the moment. */
export interface PackageQuestion extends PackageRequest {
  /** `debian/12`: ID and VERSION_ID of os-release. */
  readonly distribution: string;
  readonly platform: Platform;
  /** Hexadecimal: what is installed on the root already, and where its packages come from. */
  readonly root: string;
}

/**
 * The question in one line, as a lock file has it: `apt:debian/12 linux/amd64 curl nginx on 3f2a9c1b7d20`. What is
 * asked comes first, the root it is asked for last.
 */
export function formatQuestion(question: PackageQuestion): string {
  const { manager, distribution, platform, names, recommends, root } = question;
  return [
    `${manager}:${distribution}`,
    formatPlatform(platform),
    ...names,
    ...(recommends ? ['+recommends'] : []),
    'on',
    root,
  ].join(' ');
}

/** The key of a lock file without the root: equal for one step on a base that moved. */
export function withoutRoot(key: string): string {
  return key.replace(/ on [0-9a-f]+$/, '');
}

/**
 * The names of a step, checked: they reach the arguments of a package manager.
 * @throws ToolError PACKAGES_NAME_INVALID
 */
export function packageNames(step: Pick<PackagesStep, 'packages'>): string[] {
  for (const text of step.packages) if (!requested.test(text)) throw invalidName(text);
  return [...new Set(step.packages)].sort();
}

/** A name of a package in any of the managers, with what they allow in it: `libc6:i386`, `so:libz.so.1`, `gcc-c++`. */
const nameText = '[A-Za-z0-9][A-Za-z0-9+._:-]*';
const versionText = '[A-Za-z0-9][A-Za-z0-9+._:~^-]*';
const requested = new RegExp(`^${nameText}(?:=${versionText})?$`);
const exactName = new RegExp(`^${nameText}$`);
const exactVersion = new RegExp(`^${versionText}$`);

/** Whether a name and a version may be handed to a package manager: those of a lock file come from anywhere. */
export function isExact({
  name,
  version,
  architecture,
}: {
  name: string;
  version: string;
  architecture: string;
}): boolean {
  return exactName.test(name) && exactVersion.test(version) && exactName.test(architecture);
}

/** The parts of `name=version`. */
export function splitRequested(text: string): { readonly name: string; readonly version?: string } {
  const equals = text.indexOf('=');
  return equals === -1 ? { name: text } : { name: text.slice(0, equals), version: text.slice(equals + 1) };
}

function invalidName(text: string): ToolError {
  return new ToolError('PACKAGES_NAME_INVALID', `${JSON.stringify(text)} is not the name of a package`, {
    hint: 'write name or name=version; files, patterns and options belong into a run step',
  });
}

export function invalidPin({ name, version }: { readonly name: string; readonly version: string }): ToolError {
  const shown = JSON.stringify(`${name}=${version}`);
  return new ToolError('PACKAGES_NAME_INVALID', `the lock file has ${shown}, which is not a package and its version`, {
    hint: 'kiln update writes it anew',
  });
}
