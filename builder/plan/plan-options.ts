import type { Platform } from '../../core/index.ts';

/** What a plan depends on besides the Buildfile. */
export interface PlanOptions {
  /** Stage to build; otherwise the file's `default`, otherwise its last stage. */
  readonly target?: string | undefined;
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
}
