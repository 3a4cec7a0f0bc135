import path from 'node:path';
import { ToolError } from '../../core/index.ts';
import { namesIn, type ParseToml, parseConfig, readConfigFile } from './config-file.ts';
import { parsesPlainAliases } from './plain-aliases.ts';
import { mergeRegistriesConf, type RegistriesConf, readRegistriesConf } from './registries-conf.ts';

/** A registries.conf, and the folders whose `*.conf` go over it in the order of their names. */
export interface RegistriesConfPlace {
  readonly file: string;
  readonly folders: readonly string[];
  /** The user named it: it must be there. */
  readonly isRequired?: boolean;
}

export interface FoundRegistriesConf {
  readonly conf: RegistriesConf;
  /** Files and folders that it depends on, also those that are not there. */
  readonly sources: readonly string[];
}

/** @throws ToolError REGISTRY_CONFIG_INVALID */
export async function readRegistriesConfFiles(
  places: readonly RegistriesConfPlace[],
  parseToml: ParseToml,
): Promise<FoundRegistriesConf> {
  const { text, place } = await firstThatExists(places);
  const files = text === undefined || place === undefined ? [] : [await parse(text, place.file, parseToml)];
  const sources = places.slice(0, places.indexOf(place ?? noPlace) + 1).map(({ file }) => file);
  for (const folder of place?.folders ?? []) {
    sources.push(folder);
    for (const name of await namesIn(folder)) {
      if (!name.endsWith('.conf')) continue;
      const file = path.join(folder, name);
      sources.push(file);
      const dropIn = await readConfigFile(file);
      if (dropIn !== undefined) files.push(await parse(dropIn, file, parseToml));
    }
  }
  return { conf: mergeRegistriesConf(files), sources };
}

const noPlace: RegistriesConfPlace = { file: '', folders: [] };

async function firstThatExists(
  places: readonly RegistriesConfPlace[],
): Promise<{ readonly text?: string; readonly place: RegistriesConfPlace | undefined }> {
  for (const place of places) {
    const text = await readConfigFile(place.file);
    if (text !== undefined) return { text, place };
    if (place.isRequired) {
      throw new ToolError('REGISTRY_CONFIG_INVALID', `there is no ${place.file}`, {
        hint: 'correct CONTAINERS_REGISTRIES_CONF, or unset it',
      });
    }
  }
  return { place: places.at(-1) };
}

function parse(text: string, file: string, parseToml: ParseToml): Promise<RegistriesConf> {
  return parseConfig(text, file, parsesPlainAliases(parseToml), (table) => readRegistriesConf(table, file));
}
