export { openRepository, type RemoteRepository } from './repository.ts';
export { type RemoteOptions, verifyLogin } from './session.ts';
