/** What a sandbox is made of. Paths are absolute. */
export interface SandboxSpec {
  /** Folders, lowest first; may be empty. */
  readonly layers: readonly string[];
  /** What the payload changes goes to `upper`; without it the root file system is read-only. */
  readonly writable?: { readonly upper: string; readonly work: string };
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Must be there. */
  readonly cwd: string;
  readonly user: { readonly uid: number; readonly gid: number; readonly additionalGids: readonly number[] };
  readonly hostname: string;
  readonly network: 'none' | 'host';
  readonly mounts: readonly SandboxMount[];
  /** Gives the payload a terminal of its own, connected to the standard streams of this process. */
  readonly terminal: boolean;
  /** Nothing is synced to disk: for what is made again after a crash. `work` must be new. */
  readonly volatile: boolean;
  /** Makes the root file system read-only in spite of `writable`, which then only takes mount points. */
  readonly readOnlyRoot?: boolean;
}

export type SandboxMount =
  | {
      readonly kind: 'bind';
      /** File or folder. Links in it are followed as the host does: a hostile path is to be resolved first. */
      readonly source: string;
      /** Links in it are followed inside the sandbox. */
      readonly destination: string;
      readonly readOnly: boolean;
    }
  | { readonly kind: 'tmpfs'; readonly destination: string; readonly sizeBytes?: number };
