export { Bases, type BasesOptions, type FoundBase } from './bases.ts';
export { configSchema, type ImageEntry, parseConfig, type RebuildConfig } from './config.ts';
export {
  type BuiltImage,
  type Decision,
  decide,
  decideAll,
  type Observation,
  shownDigest,
  type Trouble,
} from './decision.ts';
export { type GraphNode, type ImageOrder, orderImages } from './graph.ts';
export { RebuildHistory } from './history.ts';
export { type ListedImage, type LoadOptions, loadImages } from './listed-image.ts';
export type { Reason, ReasonCode } from './rebase/reason.ts';
export {
  type PlatformRebase,
  planRebase,
  type RebaseOptions,
  type RebasePlan,
  type RebaseResult,
  writeRebased,
} from './rebase/rebase.ts';
export type { Outcome, Rebuild } from './rebuild.ts';
export { checkImages, type RebuildEvent, type RoundOptions, type RoundResult, rebuildImages } from './round.ts';
export { everyInterval, parseInterval, type Schedule, sleepUntil } from './schedule.ts';
export type { CurrentSource, Move, Source } from './sources.ts';
export { checkStale, type Staleness, type StaleOptions, type StaleSubject } from './stale.ts';
export { isRegistryTrouble } from './trouble.ts';
export { type WatchOptions, watch } from './watch.ts';
