import type { Platform } from '../../core/index.ts';
import type { Includes } from '../buildfile/parts.ts';
import type { LayoutSource } from './plan.ts';

/** Where `--build-context NAME=…` leads: a folder (absolute path), an image, or a layout. */
export type NamedContext =
  | { readonly kind: 'folder'; readonly path: string }
  | { readonly kind: 'image'; readonly reference: string }
  | LayoutSource;

/** What a plan depends on besides the Buildfile. */
export interface PlanOptions {
  /** Stages to build, or all of them; when empty, the file's `default`, otherwise its last stage. */
  readonly targets: readonly string[] | 'all';
  /** `--build-context`: what a name means instead of a stage or an image. */
  readonly contexts?: ReadonlyMap<string, NamedContext>;
  /** `--build-arg`. */
  readonly args: ReadonlyMap<string, string>;
  /** Of the result. */
  readonly platform: Platform;
  /** Of the machine that builds. */
  readonly buildPlatform: Platform;
  /** Seconds. */
  readonly sourceDateEpoch?: number | undefined;
  /** Folder of the Buildfile; paths in `oci:` are relative to it. */
  readonly baseFolder: string;
  /** What the Buildfile includes; without it, an `include` is a problem. */
  readonly includes?: Includes | undefined;
  /**
   * What the name of an image means on this machine, in full; names of docker.io unless given.
   * @throws ToolError REFERENCE_AMBIGUOUS
   */
  readonly imageName?: ((name: string) => string) | undefined;
}
