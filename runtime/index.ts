export { canRun } from './binfmt.ts';
export { describeLimitHit } from './cgroup/limit-settings.ts';
export { describeLimits, thisCgroupSystem } from './cgroup/sandbox-cgroup.ts';
export {
  type ContainerProcess,
  type ContainerRequest,
  containerProcess,
  defaultPath,
  environment,
} from './container/container-process.ts';
export { type AccountFiles, findUser, maxAccountFileBytes, type UserIds } from './container/users.ts';
export { type Launcher, openLauncher } from './launcher.ts';
export { type AppliedLayer, applyEntries, applyLayer } from './layer/apply.ts';
export { changesOf, treeOf } from './layer/changes.ts';
export { forEachEntry } from './layer/decode.ts';
export { decompressed } from './layer/decompress.ts';
export { encodeLayer, layerChunks } from './layer/encode.ts';
export * from './layer/entry.ts';
export { FileTree, type PathPair, type TreeNode } from './layer/file-tree.ts';
export { type ListedContent, type ListedEntry, listLayer } from './layer/list-layer.ts';
export { mergedEntries } from './layer/merge.ts';
export { scanListed } from './layer/scan.ts';
export { type UnpackedLayer, unpackLayers } from './layer/unpack-layers.ts';
export { loopbackProxyPorts } from './network/loopback-proxies.ts';
export { findOutsideWay, type OutsideWay } from './network/outside-network.ts';
export { describePrivilege, enterUserNamespace, type Privilege } from './privilege.ts';
export { ulimitNames } from './sandbox/resource-limits.ts';
export {
  type LimitHit,
  runSandbox,
  type SandboxExit,
  type SandboxIo,
  type SandboxLimits,
  type SandboxMount,
  type SandboxNetwork,
  type SandboxSpec,
} from './sandbox/sandbox.ts';
export { RootView } from './snapshot/root-view.ts';
export {
  type ActiveSnapshot,
  type LayerSource,
  type Snapshot,
  type SnapshotLayer,
  Snapshots,
  type StoredLayer,
} from './snapshot/snapshots.ts';
