import { unreachable } from '../../core/index.ts';
import type { PackageManager } from '../plan/plan.ts';
import type { PackageTool } from './package-tool.ts';

/** Loaded when there is something to ask or to install: most builds do neither. */
export async function packageTool(manager: PackageManager): Promise<PackageTool> {
  switch (manager) {
    case 'apt':
      return (await import('./apt.ts')).apt;
    case 'apk':
      return (await import('./apk.ts')).apk;
    case 'dnf':
      return (await import('./dnf.ts')).dnf;
    default:
      throw unreachable(manager);
  }
}
