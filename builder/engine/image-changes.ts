import type { ContainerDefaults } from '../../core/index.ts';
import type { Command, Healthcheck, ImageChanges } from '../plan/plan.ts';
import { type StageState, withEnv } from './stage-state.ts';

/** What a stage says about its result: the base's word, overridden key by key by `[image]`. */
export function changedDefaults(state: StageState, changes: ImageChanges): ContainerDefaults {
  const inherited = state.config;
  // As in Docker: a cmd was written for the entrypoint it came with.
  const { Cmd: inheritedCmd, ...rest } = changes.env === undefined ? inherited : withEnv(inherited, changes.env);
  const cmd = changes.cmd ?? (changes.entrypoint === undefined ? inheritedCmd : undefined);
  return {
    ...rest,
    ...(cmd === undefined ? {} : { Cmd: cmd }),
    ...(changes.entrypoint === undefined ? {} : { Entrypoint: changes.entrypoint }),
    ...(changes.user === undefined ? {} : { User: changes.user }),
    ...(changes.workdir === undefined ? {} : { WorkingDir: changes.workdir }),
    ...(changes.ports === undefined ? {} : { ExposedPorts: keys(changes.ports) }),
    ...(changes.volumes === undefined ? {} : { Volumes: keys(changes.volumes) }),
    ...(changes.labels === undefined ? {} : { Labels: { ...inherited.Labels, ...changes.labels } }),
    ...(changes.stopSignal === undefined ? {} : { StopSignal: changes.stopSignal }),
    ...(changes.healthcheck === undefined ? {} : { Healthcheck: healthcheckConfig(changes.healthcheck, state) }),
  };
}

function keys(names: readonly string[]): Record<string, object> {
  return Object.fromEntries([...names].sort().map((name) => [name, {}]));
}

/** Docker's extension of the config; durations in nanoseconds. */
function healthcheckConfig(check: Healthcheck, state: StageState): Record<string, unknown> {
  const { intervalMs, timeoutMs, startPeriodMs, retries } = check;
  return {
    Test: healthcheckTest(check.cmd, state),
    ...(intervalMs === undefined ? {} : { Interval: intervalMs * 1e6 }),
    ...(timeoutMs === undefined ? {} : { Timeout: timeoutMs * 1e6 }),
    ...(startPeriodMs === undefined ? {} : { StartPeriod: startPeriodMs * 1e6 }),
    ...(retries === undefined ? {} : { Retries: retries }),
  };
}

function healthcheckTest(command: Command, state: StageState): string[] {
  if (command.kind === 'argv') return ['CMD', ...command.argv];
  return state.shell === undefined ? ['CMD-SHELL', command.script] : ['CMD', ...state.shell, command.script];
}
