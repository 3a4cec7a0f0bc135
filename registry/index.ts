export { type CopyEvent, type CopyOptions, copyImage } from './copy-image.ts';
export { type Credential, type CredentialSource, type CredentialStore, openCredentials } from './credentials.ts';
export { type CompressedLayerMemory, type GzipOptions, gzippedImage } from './gzip.ts';
export type { CollectedGarbage, GarbageOptions } from './layout-garbage.ts';
export { memoryTarget } from './memory.ts';
export type { NamedDescriptor } from './oci-index.ts';
export { OciLayout } from './oci-layout.ts';
export type { OciLayoutReader } from './oci-layout-reader.ts';
export { openRepository, type RemoteOptions, type RemoteRepository, verifyLogin } from './remote/index.ts';
