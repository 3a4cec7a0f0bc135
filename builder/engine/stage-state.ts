import { type ChainId, type ContainerDefaults, chainIdsOf, type HistoryEntry, type Image } from '../../core/index.ts';
import { defaultPath, environment } from '../../runtime/index.ts';
import type { BaseRecord } from '../base/image-base.ts';
import type { Step } from '../plan/plan.ts';

/** A stage after some of its steps: what its next step starts from. Immutable; steps give a new one. */
export interface StageState {
  /** Lowest first. */
  readonly layers: Image['layers'];
  readonly config: ContainerDefaults;
  readonly history: readonly HistoryEntry[];
  /** The stage's own shell, when a `shell` step set one. */
  readonly shell: readonly string[] | undefined;
  /** Undefined for scratch. */
  readonly base: BaseRecord | undefined;
  /** Every base that had a part in this stage, through other stages too. */
  readonly sources: readonly BaseRecord[];
  /** Where each layer came from, as long as `layers`. */
  readonly origins: readonly LayerOrigin[];
  /** How many of the layers are the base's. */
  readonly baseLayers: number;
  /** What `[image]` says the manifest carries. */
  readonly annotations: Readonly<Record<string, string>>;
}

/** What made a layer: part of the map that an image carries. */
export interface LayerOrigin {
  readonly kind: Step['verb'] | 'base' | 'squash';
  readonly stage: string;
  /** As the history has them; several when steps share the layer. */
  readonly steps: readonly string[];
}

/** A script stops at its first failing line. */
export const defaultShell: readonly string[] = ['/bin/sh', '-e', '-c'];

export const scratchState: StageState = {
  layers: [],
  config: {},
  history: [],
  shell: undefined,
  base: undefined,
  sources: [],
  origins: [],
  baseLayers: 0,
  annotations: {},
};

export function chainIdOfState(state: StageState): ChainId | undefined {
  return chainIdsOf(state.layers.map((layer) => layer.diffId)).at(-1);
}

/** Variables that a process of this stage starts with. */
export function stageEnv(state: StageState): Record<string, string> {
  return environment([`PATH=${defaultPath}`, ...(state.config.Env ?? [])]);
}

/** The config's `Env` with variables set: a name keeps its place, new ones are appended in order. */
export function withEnv(config: ContainerDefaults, env: Readonly<Record<string, string>>): ContainerDefaults {
  const lines = new Map((config.Env ?? []).map((line) => [line.slice(0, line.indexOf('=')), line]));
  for (const [name, value] of Object.entries(env)) lines.set(name, `${name}=${value}`);
  return { ...config, Env: [...lines.values()] };
}

/** The folder a `workdir` of the Buildfile means, given the one before. */
export function joinWorkdir(config: ContainerDefaults, folder: string): string {
  const parts: string[] = [];
  for (const part of (folder.startsWith('/') ? folder : `${config.WorkingDir ?? ''}/${folder}`).split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return `/${parts.join('/')}`;
}
