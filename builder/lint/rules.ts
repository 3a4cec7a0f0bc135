import type { Rule } from './rule.ts';
import { copyBeforeInstall, ignoredCopy, missingIgnoreFile, missingSource } from './rules/context.ts';
import { repeatedPackage, unsortedPackages } from './rules/packages.ts';
import { httpFetch, unpinnedBase, unpinnedFetch } from './rules/pinning.ts';
import { cdInRun, downloadInRun, packagesInRun, pipeHidesFailure, sudoInRun, upgradeInRun } from './rules/scripts.ts';
import { credentialsInUrl, secretInArg, secretInEnv } from './rules/secrets.ts';
import { layerNameApart, relativeWorkdir, runsAsRoot, unusedArg, unusedInclude, unusedStage } from './rules/stages.ts';
import { chmodAfterCopy, commandInOneWord, hostNetwork, mode777, sharedPackageCache } from './rules/steps.ts';
import { unknownRule } from './rules/unknown-rule.ts';

/** Every rule of `kiln check`, by name. docs/lint-rules.md has a section for each. */
export const lintRules: readonly Rule[] = [
  cdInRun,
  chmodAfterCopy,
  commandInOneWord,
  copyBeforeInstall,
  credentialsInUrl,
  downloadInRun,
  hostNetwork,
  httpFetch,
  ignoredCopy,
  layerNameApart,
  missingIgnoreFile,
  missingSource,
  mode777,
  packagesInRun,
  pipeHidesFailure,
  relativeWorkdir,
  repeatedPackage,
  runsAsRoot,
  secretInArg,
  secretInEnv,
  sharedPackageCache,
  sudoInRun,
  unknownRule,
  unpinnedBase,
  unpinnedFetch,
  unsortedPackages,
  unusedArg,
  unusedInclude,
  unusedStage,
  upgradeInRun,
];
