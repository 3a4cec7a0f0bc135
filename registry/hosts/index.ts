export type { ParseToml } from './config-file.ts';
export type { EndpointCapability, HostConfiguration, RegistryEndpoint, TlsSettings } from './endpoint.ts';
export { type HostSources, type Hosts, openHosts, type SaidOnCommandLine } from './host-configuration.ts';
export type { ShortNames } from './short-names.ts';
