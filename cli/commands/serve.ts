import { defineCommand, type FlagTable, type FlagValues } from '../command.ts';

const flags = {
  listen: {
    kind: 'value',
    placeholder: 'HOST:PORT',
    summary: 'Where to listen (default 127.0.0.1:5000); port 0 is any that is free',
  },
  root: { kind: 'value', placeholder: 'DIR', summary: 'Where what is pushed lies (default: registry/ in the store)' },
  store: { kind: 'switch', summary: "Serve the images of Kiln's own store instead, to be pulled only" },
  'read-only': { kind: 'switch', summary: 'Take no pushes and delete nothing' },
  'no-delete': { kind: 'switch', summary: 'Take pushes, but delete nothing when asked to' },
  'max-upload-size': { kind: 'value', placeholder: 'SIZE', summary: 'Refuse larger blobs: 500m, 20g' },
  htpasswd: { kind: 'value', placeholder: 'FILE', summary: 'Let in the users of this file, made by htpasswd -B' },
  'token-realm': { kind: 'value', placeholder: 'URL', summary: 'Let in who brings a token; where clients get one' },
  'token-service': { kind: 'value', placeholder: 'NAME', summary: "This registry's name at the token server" },
  'token-issuer': { kind: 'value', placeholder: 'NAME', summary: 'Who issues the tokens' },
  'token-key': {
    kind: 'value',
    placeholder: 'FILE',
    summary: 'What tokens are signed with: PEM certificates or public keys, or a JWKS',
  },
  'tls-cert': {
    kind: 'value',
    placeholder: 'FILE',
    summary: 'Speak https with this certificate (PEM, with its chain)',
  },
  'tls-key': { kind: 'value', placeholder: 'FILE', summary: 'Key of the certificate (PEM)' },
  'tls-client-ca': { kind: 'value', placeholder: 'FILE', summary: 'Let in only clients with a certificate of these' },
  webhook: { kind: 'list', placeholder: 'URL', summary: 'Tell this address of pushes and deletions; may be repeated' },
  'webhook-secret-file': {
    kind: 'value',
    placeholder: 'FILE',
    summary: 'Sign what is told with the secret in this file',
  },
  'webhook-http': { kind: 'switch', summary: 'Tell other machines by http as well' },
  'gc-interval': {
    kind: 'value',
    placeholder: 'TIME',
    summary: 'How often to collect garbage (default 1h); 0 is never',
  },
  'gc-grace': { kind: 'value', placeholder: 'TIME', summary: 'How long loose blobs and uploads stay (default 24h)' },
  'gc-untagged': { kind: 'switch', summary: 'Manifests that no tag, index or subject leads to are garbage too' },
  gc: { kind: 'switch', summary: 'Collect garbage once, without serving, and end' },
  quiet: { kind: 'switch', short: 'q', summary: 'No line on stderr for each request' },
  json: { kind: 'switch', summary: 'Print where it listens, each request, and errors as JSON, one object per line' },
} as const satisfies FlagTable;

export type ServeFlags = FlagValues<typeof flags>;

export const serve = defineCommand({
  about:
    'A registry: what the OCI distribution specification 1.1 describes, for Docker, Podman, skopeo, containerd, Kiln and others to push to and pull from. It says "listening on URL" on stdout when it is ready, and a line for each request on stderr. SIGTERM or Ctrl-C end it: what is under way gets ten seconds, uploads can be resumed after the next start.',
  arguments: [],
  flags,
  flagGroups: {
    'What is served': ['listen', 'root', 'store', 'read-only', 'no-delete', 'max-upload-size'],
    'Who is let in': [
      'htpasswd',
      'token-realm',
      'token-service',
      'token-issuer',
      'token-key',
      'tls-cert',
      'tls-key',
      'tls-client-ca',
    ],
    Notifications: ['webhook', 'webhook-secret-file', 'webhook-http'],
    Garbage: ['gc-interval', 'gc-grace', 'gc-untagged', 'gc'],
  },
  examples: [
    { line: 'kiln serve', says: 'A registry at localhost:5000, for this machine' },
    { line: 'kiln serve --store --listen 127.0.0.1:0', says: 'Let others pull what was built here' },
    {
      line: 'kiln serve --listen :443 --tls-cert c.pem --tls-key k.pem --htpasswd users',
      says: 'One for other machines',
    },
  ],

  async run(context, values) {
    const { runServe } = await import('../serve-run.ts');
    return runServe(context, values);
  },
});
