import type { FlagTable, FlagValues } from './command.ts';

/** How registries are reached: for verbs that speak to any number of them. */
export const connectionFlags = {
  insecure: { kind: 'switch', summary: 'Take any TLS certificate, and http where nothing answers by TLS' },
  'tls-verify': {
    kind: 'switch',
    threeWay: true,
    summary: '=false is --insecure; without it, no insecure = true of a file counts',
  },
  'plain-http': { kind: 'switch', summary: 'Speak http to registries' },
  'cert-dir': {
    kind: 'value',
    placeholder: 'FOLDER',
    summary: 'Certificates: *.crt of authorities, *.cert and *.key of this client',
  },
  'ca-file': { kind: 'value', placeholder: 'FILE', summary: 'Authorities to trust beside those of the system, PEM' },
  authfile: {
    kind: 'value',
    placeholder: 'FILE',
    summary: 'The only file with credentials (default: see docs/registries.md)',
  },
  'registry-config': { kind: 'value', placeholder: 'FILE', summary: 'The same as --authfile' },
  debug: { kind: 'switch', summary: 'Show each request on stderr, without secrets' },
} as const satisfies FlagTable;

/** Who one is for the registry that a command names; others get what is saved for them. */
const credentialFlags = {
  creds: {
    kind: 'value',
    placeholder: 'USER[:PASSWORD]',
    summary: 'A password in it is visible to others on this machine; better --password-stdin',
  },
  username: { kind: 'value', placeholder: 'NAME', summary: 'With --password-stdin; else the password is asked for' },
  'password-stdin': { kind: 'switch', summary: 'Read the password of --username from stdin' },
} as const satisfies FlagTable;

/** Flags of every verb that speaks to a registry it names. */
export const registryFlags = { ...connectionFlags, ...credentialFlags } as const satisfies FlagTable;

export type ConnectionFlags = FlagValues<typeof connectionFlags>;
export type RegistryFlags = FlagValues<typeof registryFlags>;
