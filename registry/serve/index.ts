export type { RegistryGarbage } from './garbage.ts';
export type { AccessEntry, RunningRegistry, ServeAuth, ServeOptions, ServeTls } from './serve-options.ts';
export { serveRegistry } from './server.ts';
export type { WebhookOptions } from './webhooks.ts';
