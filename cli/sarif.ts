import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Finding, lintRules, type Problem } from '../builder/index.ts';
import { helpOf } from './check-report.ts';
import { kilnVersion } from './version.ts';

/** SARIF 2.1.0, the format of code scanning: docs.oasis-open.org/sarif/sarif/v2.1.0. `folder` is what paths are relative to. */
export function findingsAsSarif(findings: readonly Finding[], folder: string): string {
  const rules = lintRules.map(({ name, severity, what, why }) => ({
    id: name,
    shortDescription: { text: plain(what) },
    fullDescription: { text: plain(why) },
    help: { text: `${plain(what)} ${plain(why)} See ${helpOf(name)}.` },
    defaultConfiguration: { level: severity },
  }));
  const results = findings.map(({ rule, severity, message, position, end, fix }) => ({
    ruleId: rule,
    ruleIndex: lintRules.findIndex(({ name }) => name === rule),
    level: severity,
    message: { text: plain(message) },
    locations: [locationOf(position, end)],
    ...(fix.length === 0 ? {} : { fixes: [fixOf(position.file, fix)] }),
  }));
  return log(rules, results, folder);
}

/** What makes a Buildfile unusable; what has no place in a file, such as an option, has none here. */
export function problemsAsSarif(problems: readonly Problem[], folder: string): string {
  const codes = [...new Set(problems.map(({ code }) => code))].sort();
  const rules = codes.map((code) => ({
    id: code,
    shortDescription: { text: 'A mistake in a Buildfile. See docs/buildfile.md#errors.' },
    defaultConfiguration: { level: 'error' },
  }));
  const results = problems.map(({ code, message, position }) => ({
    ruleId: code,
    ruleIndex: codes.indexOf(code),
    level: 'error',
    message: { text: plain(message) },
    ...(position.file.startsWith('--') ? {} : { locations: [locationOf(position)] }),
  }));
  return log(rules, results, folder);
}

function log(rules: readonly object[], results: readonly object[], folder: string): string {
  const run = {
    tool: { driver: { name: 'kiln', version: kilnVersion, rules } },
    originalUriBaseIds: { [base]: { uri: `${pathToFileURL(folder).href.replace(/\/$/, '')}/` } },
    columnKind: 'unicodeCodePoints',
    results,
  };
  const whole = { $schema: schema, version: '2.1.0', runs: [run] };
  return `${JSON.stringify(whole, undefined, 2)}\n`;
}

const schema = 'https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json';
const base = 'SRCROOT';

interface Place {
  readonly line: number;
  readonly column: number;
}

function locationOf(start: Finding['position'], end?: Place): object {
  return { physicalLocation: { artifactLocation: artifactOf(start.file), region: regionOf(start, end) } };
}

function artifactOf(file: string): object {
  const uri = path.isAbsolute(file) ? pathToFileURL(file).href : file.split('/').map(encodeURIComponent).join('/');
  return path.isAbsolute(file) ? { uri } : { uri, uriBaseId: base };
}

function regionOf(start: Place, end: Place | undefined): object {
  const region = { startLine: start.line, startColumn: start.column };
  return end === undefined ? region : { ...region, endLine: end.line, endColumn: end.column };
}

function fixOf(file: string, fix: Finding['fix']): object {
  const replacements = fix.map(({ from, until, text }) => ({
    deletedRegion: regionOf(from, until),
    insertedContent: { text },
  }));
  return { artifactChanges: [{ artifactLocation: artifactOf(file), replacements }] };
}

/** Messages here are plain text. */
function plain(text: string): string {
  return text.replaceAll('`', "'");
}
