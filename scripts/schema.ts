// Writes schema/buildfile.schema.json from its one source, builder/buildfile/buildfile-schema.ts.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { buildfileJsonSchema } from '../builder/buildfile/json-schema.ts';

writeFileSync(path.join(import.meta.dirname, '../schema/buildfile.schema.json'), buildfileJsonSchema());
