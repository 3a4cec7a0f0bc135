/** Where a build's results go besides the store: `--output`. Files and folders are absolute paths. */
export type Output =
  /** An OCI layout in a tar, with all targets and platforms. */
  | { readonly kind: 'oci'; readonly to: OutputTarget; readonly compression: OutputCompression }
  /** The same as a folder; one that is there already keeps its other images. */
  | { readonly kind: 'oci-folder'; readonly folder: string; readonly compression: OutputCompression }
  /** What `docker load` reads; of one platform. */
  | { readonly kind: 'docker'; readonly to: OutputTarget; readonly compression: OutputCompression }
  /** The root file system as a tar. */
  | { readonly kind: 'tar'; readonly to: OutputTarget }
  /** The root file system as files. */
  | { readonly kind: 'local'; readonly folder: string };

/** A file, or what the caller does with the bytes: standard output. */
export type OutputTarget =
  | { readonly kind: 'file'; readonly file: string }
  | { readonly kind: 'stream'; write(chunks: AsyncIterable<Buffer>): Promise<void> };

/** Of layers that were built; those of bases keep the compression they came with. */
export type OutputCompression = 'uncompressed' | 'gzip' | 'zstd';

/** A user's words for it. */
export function outputText(output: Output): string {
  switch (output.kind) {
    case 'local':
    case 'oci-folder':
      return output.folder;
    default:
      return output.to.kind === 'file' ? output.to.file : 'standard output';
  }
}
