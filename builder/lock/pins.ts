import type { Digest } from '../../core/index.ts';

/** One package of a resolved set. */
export interface PinnedPackage {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  /** Of the package file, as the repository's signed index has it; `sha256:…` where it is one. */
  readonly hash: string;
}

/** What the network answered, by kind of question. buildfile.md, "The lock file" */
export interface PinValues {
  /** Full reference → digest at its registry (of the index, where there is one). */
  readonly images: Digest;
  /** URL → digest of the file. */
  readonly urls: Digest;
  /** `URL#REF` → commit in hexadecimal. */
  readonly git: string;
  /** A package set as its step asks for it, with manager and platform → what it resolved to, sorted by name. */
  readonly packages: readonly PinnedPackage[];
  /** A bootstrap source with platform → its packages, sorted by name. */
  readonly bootstraps: readonly PinnedPackage[];
}

export type PinKind = keyof PinValues;

/** Answers of the network that a build is held to. */
export interface Pins {
  /** Undefined when the network is to be asked. */
  find<K extends PinKind>(kind: K, key: string): PinValues[K] | undefined;
  /**
   * Remembers an answer.
   * @throws ToolError LOCK_FROZEN when nothing new may be remembered
   */
  keep<K extends PinKind>(kind: K, key: string, value: PinValues[K]): void;
}

/** Asks the network every time, and forgets. */
export const noPins: Pins = { find: () => undefined, keep: () => undefined };
