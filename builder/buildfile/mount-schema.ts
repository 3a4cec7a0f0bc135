import { checkEnvName, checkNotEmpty } from './formats.ts';
import {
  checkCacheId,
  checkMountPath,
  checkSecretId,
  checkSize,
  checkSizeNumber,
  checkSourcePath,
} from './mount-formats.ts';
import { boolean, choice, type Infer, integer, string, table, type Verbs } from './schema.ts';

/** What a mount is, and which keys may stand beside it. */
export const mountVerbs: Verbs = {
  noun: 'mount',
  options: {
    cache: ['id', 'sharing'],
    secret: ['to', 'env', 'required'],
    bind: ['from', 'to', 'rw'],
    tmpfs: ['size'],
    ssh: [],
  },
};

export const mount = table(
  {
    cache: string({
      description: 'Directory that keeps its content from build to build.',
      check: checkMountPath,
      examples: ['/root/.npm'],
    }),
    id: string({ description: 'Name of the cache; the directory unless said.', check: checkCacheId }),
    sharing: string({
      description:
        'How steps that run at the same time use the cache: all of them together (`shared`, the default), each with a cache of its own (`private`), or one after the other (`locked`).',
      values: ['shared', 'private', 'locked'],
    }),
    secret: string({
      description: 'Secret of that id (--secret), as the file /run/secrets/ID unless `to` or `env` is there.',
      check: checkSecretId,
    }),
    to: string({ description: 'Where a secret or a bind is seen.', check: checkMountPath }),
    env: string({ description: 'Environment variable that holds the secret.', check: checkEnvName }),
    required: boolean({ description: 'Whether the step fails without the secret; false by default.' }),
    bind: string({
      description: 'Path in the context, or in what `from` names, that is seen at `to`.',
      check: checkSourcePath,
    }),
    from: string({
      description: 'A stage, an image, `oci:PATH[:NAME]` or a named context, in place of the context.',
      check: checkNotEmpty,
    }),
    rw: boolean({ description: 'Whether the step may write to the bind; what it writes is thrown away.' }),
    tmpfs: string({ description: 'Directory in memory, empty, gone after the step.', check: checkMountPath }),
    size: choice([string({ check: checkSize, examples: ['64m'] }), integer({ check: checkSizeNumber })], {
      description: 'Most that the tmpfs holds: "64m", "1g", or bytes.',
    }),
    ssh: string({
      description: 'Agent of that id (--ssh), usually "default"; SSH_AUTH_SOCK leads to it.',
      check: checkSecretId,
      examples: ['default'],
    }),
  },
  {
    description: 'What the step sees besides its root file system: exactly one of cache, secret, bind, tmpfs, ssh.',
    verbs: mountVerbs,
  },
);

export type MountContent = Infer<typeof mount>;
