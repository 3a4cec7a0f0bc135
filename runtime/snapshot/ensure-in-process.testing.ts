// Run by snapshots.integration.test.ts: wants a layer, and says whether it was this process that made it.
import { createReadStream } from 'node:fs';
import path from 'node:path';
import { LockFolder, parseDiffId, ScratchSpace } from '../../core/index.ts';
import { isRoot } from '../../test/requirements.ts';
import { openLauncher } from '../launcher.ts';
import { Snapshots } from './snapshots.ts';

if (!isRoot()) throw new TypeError('layers are made by root only');
const [home = '', tar = '', diffId] = process.argv.slice(2);
const locks = new LockFolder(path.join(home, 'locks'));
await using scratch = await ScratchSpace.open(path.join(home, 'tmp'), locks);
const folder = path.join(home, 'snapshots');
const launcher = await openLauncher();
const snapshots = await Snapshots.open({ folder, locks, scratch, launcher, userXattrs: false, bootId: 'first' });
let said = 'found';
await snapshots.ensure([
  {
    diffId: parseDiffId(diffId),
    async open() {
      said = 'made';
      return createReadStream(tar);
    },
  },
]);
process.stdout.write(said);
