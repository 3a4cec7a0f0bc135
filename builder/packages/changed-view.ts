import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { type ActiveSnapshot, RootView, type Snapshot } from '../../runtime/index.ts';
import type { PackageSite } from './package-site.ts';

/** The root with what an install made of it, whose containers have ended. */
export function changedView(site: PackageSite, active: ActiveSnapshot): RootView {
  return new RootView(site.workshop.options.launcher, changedRoot(site, active));
}

/** The same as a snapshot, for reading only. */
export function changedRoot({ parent }: PackageSite, active: ActiveSnapshot): Snapshot {
  const top = parent.layers.at(-1);
  const layers = top === undefined ? [] : [...parent.layers, { ...top, directory: active.upper, opaques: [] }];
  return { chainId: parent.chainId, layers };
}

/** For one more container on the same changes: a volatile overlay takes each work folder once. */
export async function nextRun(active: ActiveSnapshot, scratch: string): Promise<ActiveSnapshot> {
  const work = path.join(scratch, 'work');
  await mkdir(work);
  return { ...active, work };
}
