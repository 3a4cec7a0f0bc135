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
  readonly network: SandboxNetwork;
  /** Ports of this machine's loopback that the network `default` leads to, at the same place; see `loopbackProxyPorts`. */
  readonly loopbackPorts?: readonly number[];
  readonly limits?: SandboxLimits;
  readonly mounts: readonly SandboxMount[];
  /** Gives the payload a terminal of its own, connected to the standard streams of this process. */
  readonly terminal: boolean;
  /** Nothing is synced to disk: for what is made again after a crash. `work` must be new. */
  readonly volatile: boolean;
  /** Makes the root file system read-only in spite of `writable`, which then only takes mount points. */
  readonly readOnlyRoot?: boolean;
}

/** `default` is a network of the sandbox's own that reaches the outside; `host` is the machine's. */
export type SandboxNetwork = 'none' | 'host' | 'default';

/** What a sandbox may use of the machine; an absent one is not limited. */
export interface SandboxLimits {
  /** Of memory and swap together, for all processes. */
  readonly memoryBytes?: number;
  /** May be a fraction. */
  readonly cpus?: number;
  /** Processes and threads at once. */
  readonly pids?: number;
  /** Size of /dev/shm; 64 MiB when absent. */
  readonly shmBytes?: number;
  /** By name without `RLIMIT_`, lower case; -1 is unlimited. */
  readonly ulimits?: ReadonlyMap<string, { readonly soft: number; readonly hard: number }>;
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
  | { readonly kind: 'tmpfs'; readonly destination: string; readonly sizeBytes?: number }
  | {
      /** A read-only file that lies in memory, in this sandbox alone, and is never written to a disk or swapped out. */
      readonly kind: 'file';
      readonly destination: string;
      readonly content: Uint8Array;
      /** Permission bits. */
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    }
  | {
      /** A file or folder out of another root file system; read-only unless there is a place for changes. */
      readonly kind: 'overlay';
      readonly destination: string;
      /** Folders, lowest first; one at least. */
      readonly layers: readonly string[];
      /** Relative to the root of the layers, without symbolic links; empty for the root itself. */
      readonly source: string;
      readonly isFolder: boolean;
      /** Empty folders of this sandbox alone, on the same file system. */
      readonly writable?: { readonly upper: string; readonly work: string };
    };
