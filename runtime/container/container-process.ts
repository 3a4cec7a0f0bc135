import { type ContainerDefaults, ToolError } from '../../core/index.ts';

/** PATH of a container whose image sets none; Docker's. */
export const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** What the person who starts a container asked for. */
export interface ContainerRequest {
  /** Words after the image's name. */
  readonly command: readonly string[];
  /** Replaces the image's entrypoint and drops its cmd; `''` means none. */
  readonly entrypoint?: string;
  /** `NAME=value`, later ones win. */
  readonly env: readonly string[];
  readonly workdir?: string;
  readonly user?: string;
}

/** The process a container starts with, before the user is looked up in the image. */
export interface ContainerProcess {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly user: string;
}

/**
 * Joins the image's defaults with the request, by Docker's rules for entrypoint and cmd.
 * @throws ToolError CONTAINER_NO_COMMAND
 */
export function containerProcess(defaults: ContainerDefaults, request: ContainerRequest): ContainerProcess {
  const entrypoint =
    request.entrypoint === undefined ? (defaults.Entrypoint ?? []) : [request.entrypoint].filter((word) => word !== '');
  const keepsCmd = request.command.length === 0 && request.entrypoint === undefined;
  const argv = [...entrypoint, ...(keepsCmd ? (defaults.Cmd ?? []) : request.command)];
  if (argv.length === 0) {
    throw new ToolError('CONTAINER_NO_COMMAND', 'the image names no command', { hint: 'add one after the image name' });
  }
  return {
    argv,
    env: environment([`PATH=${defaultPath}`, ...(defaults.Env ?? []), ...request.env]),
    cwd: absolute(request.workdir ?? defaults.WorkingDir ?? '/'),
    user: request.user ?? defaults.User ?? '0',
  };
}

/** `NAME=value` lines as a record; the last of a name wins, lines without `=` are dropped. */
export function environment(lines: readonly string[]): Record<string, string> {
  const env: Record<string, string> = Object.create(null);
  for (const line of lines) {
    const equals = line.indexOf('=');
    if (equals > 0) env[line.slice(0, equals)] = line.slice(equals + 1);
  }
  return env;
}

function absolute(folder: string): string {
  return folder.startsWith('/') ? folder : `/${folder}`;
}
