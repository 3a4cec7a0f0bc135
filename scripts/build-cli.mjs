// Bundles the command line and the library entries into dist/, beside the native launcher that lies there too.
import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { build } from 'rolldown';
import configs from '../rolldown.config.ts';

const dist = path.join(import.meta.dirname, '..', 'dist');
const current = new Set();
for (const config of configs) {
  const { output } = await build(config);
  for (const { fileName } of output) current.add(fileName);
}

// Chunk names carry a hash of their content: those of older builds would stay for ever.
for (const folder of ['chunks', 'chunks-build', 'chunks-run', 'library']) {
  for (const name of await readdir(path.join(dist, folder))) {
    if (!current.has(`${folder}/${name}`)) await rm(path.join(dist, folder, name), { force: true });
  }
}
