export {
  type ContainerProcess,
  type ContainerRequest,
  containerProcess,
  defaultPath,
  environment,
} from './container/container-process.ts';
export { type AccountFiles, findUser, maxAccountFileBytes, type UserIds } from './container/users.ts';
export { type Launcher, openLauncher } from './launcher.ts';
export { type AppliedLayer, applyLayer } from './layer/apply.ts';
export { changesOf, treeOf } from './layer/changes.ts';
export { forEachEntry } from './layer/decode.ts';
export { decompressed } from './layer/decompress.ts';
export { encodeLayer } from './layer/encode.ts';
export * from './layer/entry.ts';
export { mergedEntries } from './layer/merge.ts';
export { describePrivilege, enterUserNamespace, type Privilege } from './privilege.ts';
export {
  runSandbox,
  type SandboxExit,
  type SandboxIo,
  type SandboxMount,
  type SandboxSpec,
} from './sandbox/sandbox.ts';
export { RootView } from './snapshot/root-view.ts';
export {
  type ActiveSnapshot,
  type LayerSource,
  type Snapshot,
  type SnapshotLayer,
  Snapshots,
} from './snapshot/snapshots.ts';
