import { errorCode } from '../../core/index.ts';
import { dockerfileProblem } from './dockerfile.ts';
import { BuildfileError, type Problem } from './problems.ts';
import { parseToml, type TomlDocument } from './toml.ts';

/** A file as it was read. */
export interface FileText {
  /** What messages call it. */
  readonly name: string;
  /** Absolute path of its folder; paths in it are relative to that. */
  readonly folder: string;
  readonly text: string;
}

/** What the `include`s of a Buildfile led to, those of included files as well. */
export interface Includes {
  /** Each once, after those that it includes itself. */
  readonly files: readonly FileText[];
  /** With the includes themselves: no such file, a circle. */
  readonly problems: readonly Problem[];
}

/** A Buildfile, or a file that it includes. */
export interface BuildfilePart {
  readonly document: TomlDocument;
  /** Absolute path; paths of layouts are relative to it. */
  readonly folder: string;
  /** Whether it is the Buildfile itself. */
  readonly isMain: boolean;
}

export interface ParsedParts {
  readonly main: BuildfilePart;
  /** Included files first, the Buildfile last. */
  readonly parts: readonly BuildfilePart[];
  readonly problems: readonly Problem[];
  /** By name, for the excerpts of messages. */
  readonly texts: ReadonlyMap<string, string>;
}

/**
 * Parses a Buildfile and what it includes; an included file that is not TOML is a problem like others.
 * @throws BuildfileError when the Buildfile itself is not TOML
 */
export function parseParts(buildfile: FileText, includes: Includes | undefined): ParsedParts {
  const main = { document: parseMain(buildfile), folder: buildfile.folder, isMain: true };
  const parts: BuildfilePart[] = [];
  const problems: Problem[] = [...(includes?.problems ?? [])];
  for (const { name, folder, text } of includes?.files ?? []) {
    try {
      parts.push({ document: parseToml(text, name), folder, isMain: false });
    } catch (error) {
      if (!(error instanceof BuildfileError)) throw error;
      problems.push(...error.problems);
    }
  }
  if (includes === undefined && main.document.has(['include'])) {
    const message = 'files cannot be included where only this text is known';
    problems.push({ code: 'BUILDFILE_INCLUDE', message, position: main.document.keyPosition(['include']) });
  }
  return { main, parts: [...parts, main], problems, texts: textsOf([...(includes?.files ?? []), buildfile]) };
}

function parseMain({ name, text }: FileText): TomlDocument {
  try {
    return parseToml(text, name);
  } catch (error) {
    const isOther = errorCode(error) === 'BUILDFILE_INVALID' ? dockerfileProblem(text, name) : undefined;
    throw isOther === undefined ? error : new BuildfileError([isOther], new Map([[name, text]]));
  }
}

function textsOf(files: readonly FileText[]): ReadonlyMap<string, string> {
  return new Map(files.map(({ name, text }) => [name, text.replace(/^\ufeff/, '')]));
}
