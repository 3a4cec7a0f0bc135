import { isDeepStrictEqual } from 'node:util';
import { type ContainerDefaults, formatPlatform, type HistoryEntry, type Image } from '../../core/index.ts';

/** One value of the configuration that two images do not have alike. */
export interface ConfigChange {
  readonly field:
    | 'platform'
    | 'user'
    | 'workdir'
    | 'entrypoint'
    | 'cmd'
    | 'shell'
    | 'stop-signal'
    | 'healthcheck'
    | 'env'
    | 'label'
    | 'port'
    | 'volume'
    | 'created'
    | 'annotation'
    | 'history';
  /** Name of the variable, label, port, volume or annotation. */
  readonly key?: string;
  /** A text, or for lists and objects their JSON value; undefined where there is none. */
  readonly before?: unknown;
  readonly after?: unknown;
}

/** Everything that differs in what containers of two images get, and in what the images say of themselves. */
export function changedConfig(before: Image, after: Image): ConfigChange[] {
  const [was, is] = [before.config, after.config];
  return [
    ...value('platform', formatPlatform(was), formatPlatform(is)),
    ...defaults(was.config, is.config),
    ...value('created', was.created, is.created),
    ...table('annotation', before.annotations, after.annotations),
    ...historyLines(was.history, is.history),
  ];
}

/** `NAME=value` lines as a table; of a name that is there twice the last counts, as for containers. */
export function envTable(lines: readonly string[] = []): Record<string, string> {
  return Object.fromEntries(
    lines.map((line) => {
      const at = line.indexOf('=');
      return at === -1 ? [line, ''] : [line.slice(0, at), line.slice(at + 1)];
    }),
  );
}

function defaults(was: ContainerDefaults, is: ContainerDefaults): ConfigChange[] {
  return [
    ...value('user', was.User, is.User),
    ...value('workdir', was.WorkingDir, is.WorkingDir),
    ...value('entrypoint', was.Entrypoint, is.Entrypoint),
    ...value('cmd', was.Cmd, is.Cmd),
    ...value('shell', was.Shell, is.Shell),
    ...value('stop-signal', was.StopSignal, is.StopSignal),
    ...value('healthcheck', was.Healthcheck, is.Healthcheck),
    ...table('env', envTable(was.Env), envTable(is.Env)),
    ...table('label', was.Labels, is.Labels),
    ...keys('port', was.ExposedPorts, is.ExposedPorts),
    ...keys('volume', was.Volumes, is.Volumes),
  ];
}

function value(field: ConfigChange['field'], before: unknown, after: unknown): ConfigChange[] {
  return isDeepStrictEqual(before, after) ? [] : [{ field, ...sides(before, after) }];
}

function table(
  field: ConfigChange['field'],
  before: Readonly<Record<string, unknown>> = {},
  after: Readonly<Record<string, unknown>> = {},
): ConfigChange[] {
  const entryOf = (side: Readonly<Record<string, unknown>>, key: string) =>
    Object.hasOwn(side, key) ? side[key] : undefined;
  return [...new Set([...Object.keys(before), ...Object.keys(after)])]
    .sort()
    .filter((key) => !isDeepStrictEqual(entryOf(before, key), entryOf(after, key)))
    .map((key) => ({ field, key, ...sides(entryOf(before, key), entryOf(after, key)) }));
}

/** Ports and volumes are keys without a meaning to their values. */
function keys(field: ConfigChange['field'], before: object = {}, after: object = {}): ConfigChange[] {
  const named = (side: object) => Object.fromEntries(Object.keys(side).map((key) => [key, key]));
  return table(field, named(before), named(after));
}

/** Lines after those that both have at their beginning. */
function historyLines(before: readonly HistoryEntry[], after: readonly HistoryEntry[]): ConfigChange[] {
  const same = before.findIndex((line, index) => !isDeepStrictEqual(line, after[index]));
  const shared = same === -1 ? before.length : same;
  const text = (line: HistoryEntry) => line.created_by ?? line.comment ?? '';
  return [
    ...before.slice(shared).map((line): ConfigChange => ({ field: 'history', before: text(line) })),
    ...after.slice(shared).map((line): ConfigChange => ({ field: 'history', after: text(line) })),
  ];
}

function sides(before: unknown, after: unknown): Pick<ConfigChange, 'before' | 'after'> {
  return { ...(before === undefined ? {} : { before }), ...(after === undefined ? {} : { after }) };
}
