export { ImageArchive, type ImageArchiveOptions } from './image-archive.ts';
export { ImageArchiveReader } from './image-archive-reader.ts';
export { type NamedImage, OciFolder, writeOciFolder } from './oci-folder.ts';
