export { listRepositories } from './catalog.ts';
export { type ForeignFetchOptions, openForeignLayers } from './foreign-layer.ts';
export { openRepository, type RemoteRepository } from './repository.ts';
export { type RegistryExchange, type RemoteOptions, verifyLogin } from './session.ts';
export type { UploadMemory } from './upload-memory.ts';
