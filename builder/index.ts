export { bootstrapName, openBootstrapBase } from './base/bootstrap-base.ts';
export { compressedLayers } from './base/compressed-layers.ts';
export type { BaseRecord } from './base/image-base.ts';
export { openImageBase } from './base/image-base.ts';
export { type Origin, registryDigestOf, rememberOrigin } from './base/origins.ts';
export { findLocal, type PulledImage, type PulledIndex, pullImage, pullIndex } from './base/pull-image.ts';
export { imageNotFound, type PushedImage, pushImage } from './base/push-image.ts';
export { type RemovedImage, removeImages } from './base/remove-image.ts';
export { resolveBootstrap } from './bootstrap/resolve.ts';
export { checkArgName, checkNotEmpty, checkReference, findDurationMs } from './buildfile/formats.ts';
export { type IgnoreRules, parseIgnoreFile } from './buildfile/ignore.ts';
export { BuildfileError, formatProblems, type Problem, quoted } from './buildfile/problems.ts';
export * as schema from './buildfile/schema.ts';
export { parseToml, type TomlDocument } from './buildfile/toml.ts';
export { type Validated, validate } from './buildfile/validate.ts';
export { type CacheDestination, type CachePlace, localCacheName } from './cache-transfer/cache-place.ts';
export type { CacheSource } from './cache-transfer/cache-source.ts';
export { type ExportedCache, exportCache, requireCacheFolder } from './cache-transfer/export-cache.ts';
export { cacheSource, placeText } from './cache-transfer/open-cache.ts';
export { type CacheName, CacheStore, type StoredCache } from './caches/cache-store.ts';
export { type CacheExport, exportCaches } from './caches/export-caches.ts';
export { importCaches } from './caches/import-caches.ts';
export type { ConfigChange } from './compare/compare-configs.ts';
export { envTable } from './compare/compare-configs.ts';
export { differingAttributes, differingPaths, type FileChange, type FileFacts } from './compare/compare-files.ts';
export { type LayerChanges, type LayerFacts, sharedBottom } from './compare/compare-layer-stacks.ts';
export {
  comparePackages,
  type DiffSection,
  diffImages,
  diffSections,
  type ImageDiff,
  type PackageChange,
  readTrees,
  type SideFacts,
  type TreePair,
} from './compare/diff-images.ts';
export {
  factsNeedLower,
  type ImagePackages,
  packagesOf,
  releaseOf,
  touchesPackages,
} from './compare/image-packages.ts';
export { type ImagePlace, LayerLists } from './compare/layer-lists.ts';
export { contextReport, type FolderReport } from './copy/context-report.ts';
export { ContextUse } from './copy/context-use.ts';
export { layersAnnotation, sourcesAnnotation } from './engine/assemble.ts';
export type { BuildOptions, SecretSource, StepLimits } from './engine/build-context.ts';
export { type BuildRequest, type BuildResult, type BuiltTarget, buildImages } from './engine/build-images.ts';
export { readTraces, traceName } from './engine/build-trace.ts';
export { StepError, StepFailedError } from './engine/errors.ts';
export type { FailedStep, OnStepFailed, ShellOptions } from './engine/failed-step.ts';
export {
  dockerfileHint,
  type ImageNames,
  type OpenContextOptions,
  type OpenedContext,
  openBuildContext,
} from './engine/open-context.ts';
export { openStageShell, type StageShellOptions } from './engine/stage-shell.ts';
export { planUntil } from './engine/until-step.ts';
export type { BuildEvent, OnBuildEvent, Vertex } from './events.ts';
export type { InputChange } from './explain/compare-preimages.ts';
export { type ExplainedBuild, type ExplainedStep, explainBuild } from './explain/explain.ts';
export { formatBuildfile } from './format/format-buildfile.ts';
export { decodeWholeText, readWholeText, rewriteFile } from './format/rewrite-file.ts';
export { type FixResult, fixBuildfile } from './lint/fix.ts';
export { type Finding, type LintInput, type LintResult, lintBuildfile } from './lint/lint.ts';
export type { Rule, Severity } from './lint/rule.ts';
export { lintRules } from './lint/rules.ts';
export { unanswered } from './lock/ask-network.ts';
export { BuildPins, frozenError } from './lock/build-pins.ts';
export { changesBetween, emptyLock, type LockChange, type LockContent } from './lock/lock-content.ts';
export { changeLock, type LockPlace, lockPlace, readLock } from './lock/lock-file.ts';
export { countText, type Move, type PackageMove, shownPin } from './lock/moves.ts';
export { noPins, type PinKind, type PinnedPackage, type Pins, type PinValues } from './lock/pins.ts';
export { type PackagesQuestion, packagesQuestionsOf, type Question, questionsOf } from './lock/questions.ts';
export { findOutdated, type Refreshed, type RefreshOptions, refreshLock, type Trouble } from './lock/refresh.ts';
export { type Output, type OutputCompression, type OutputTarget, outputText } from './output/output.ts';
export { writeOutputFile, writeOutputStream } from './output/output-file.ts';
export { type UnpackOptions, unpackImage } from './output/unpack-image.ts';
export { checkOutputs, writeOutputs } from './output/write-outputs.ts';
export type { OsRelease } from './packages/os-release.ts';
export { planBuildfile } from './plan/make-plan.ts';
export type * from './plan/plan.ts';
export type { NamedContext, PlanOptions } from './plan/plan-options.ts';
export { orderStages } from './plan/stage-graph.ts';
export { sourcesOf as stepSources } from './plan/stages-needed.ts';
export { type PrunedItem, type PruneOptions, type PruneResult, pruneStore } from './prune/prune.ts';
export { type StoreItem, storeItems } from './prune/store-items.ts';
export { compareImages, type ImageDifference } from './verify/compare-images.ts';
export { RecordStore } from './workshop/record-store.ts';
export { Workshop, type WorkshopOptions } from './workshop/workshop.ts';
