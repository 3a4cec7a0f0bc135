export { type DockerArchive, openDockerArchive } from './archive/docker-archive.ts';
export { ImageArchive, ImageArchiveReader, type NamedImage, OciFolder, writeOciFolder } from './archive/index.ts';
export {
  type ArtifactFile,
  type ArtifactParts,
  artifactAnnotations,
  checkMediaType,
  emptyBlob,
  type OpenedArtifact,
  openArtifact,
  type PackedArtifact,
  packArtifact,
  plainDescriptor,
  selectManifest,
  unknownArtifactType,
} from './artifact/artifact.ts';
export { type ArtifactTitle, parseArtifactTitle } from './artifact/artifact-title.ts';
export { type PackedFolder, packedFolder } from './artifact/packed-folder.ts';
export { type CompressedLayerMemory, type CompressionOptions, compressedImage } from './compress/compressed-image.ts';
export { type Compression, checkCompression } from './compress/compression.ts';
export type { LayerDestination } from './compress/layer-sender.ts';
export { type CopyEvent, type CopyOptions, copyImage } from './copy/copy-image.ts';
export type { ForeignLayerSource, ForeignLayers } from './copy/foreign-layers.ts';
export {
  type Credential,
  type CredentialSource,
  type CredentialStore,
  type FindOptions,
  openCredentials,
} from './credentials/credentials.ts';
export {
  type EndpointCapability,
  type HostConfiguration,
  type HostSources,
  type Hosts,
  openHosts,
  type ParseToml,
  type RegistryEndpoint,
  type SaidOnCommandLine,
  type ShortNames,
  type TlsSettings,
} from './hosts/index.ts';
export type { CollectedGarbage, GarbageOptions, StoredBlob } from './layout/layout-garbage.ts';
export { layoutDescriptors, type NamedDescriptor } from './layout/oci-index.ts';
export { OciLayout } from './layout/oci-layout.ts';
export type { OciLayoutReader } from './layout/oci-layout-reader.ts';
export { isManifestLike, manifestTypeOf } from './manifest-type.ts';
export { memoryTarget } from './memory.ts';
export { chooseImage, fullNameOf, namesOf, withoutNames } from './places/choose-image.ts';
export { chosenPlatforms, type ImageView } from './places/chosen-platforms.ts';
export { type FoundImage, familiarName, findImage, type NamedContent, tryParseReference } from './places/find-image.ts';
export { type FilePlace, type Place, parsePlace, placeText } from './places/place.ts';
export {
  type DestinationOptions,
  type FinishOptions,
  folderLock,
  type OpenedDestination,
  openDestination,
} from './places/place-destination.ts';
export { type OpenedSource, openSource, type PlaceOptions } from './places/place-source.ts';
export {
  listRepositories,
  openForeignLayers,
  openRepository,
  type RegistryExchange,
  type RemoteOptions,
  type RemoteRepository,
  type UploadMemory,
  verifyLogin,
} from './remote/index.ts';
export {
  type AccessEntry,
  type RegistryGarbage,
  type RunningRegistry,
  type ServeAuth,
  type ServeOptions,
  type ServeTls,
  serveRegistry,
  type WebhookOptions,
} from './serve/index.ts';
