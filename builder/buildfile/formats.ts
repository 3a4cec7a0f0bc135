import { constants } from 'node:os';
import { errorCode, nearest, parseReference } from '../../core/index.ts';
import { staysInside } from './mount-formats.ts';
import { compilePattern } from './patterns.ts';
import { quoted } from './problems.ts';
import type { Complaint } from './schema.ts';

/** `name|uid[:group|gid]`; names as useradd takes them. */
export function checkUser(text: string): Complaint {
  const parts = text.split(':');
  const fine = parts.length <= 2 && parts.every((part) => isUserName(part) || isUserId(part));
  return fine ? undefined : `${quoted(text)} is not a user; write USER, UID, USER:GROUP or UID:GID`;
}

/** Permission bits from `"0755"`, `"755"`, `"4755"`; undefined for anything else. */
export function findMode(text: string): number | undefined {
  return /^0?[0-7]{3,4}$/.test(text) && Number.parseInt(text, 8) <= 0o7777 ? Number.parseInt(text, 8) : undefined;
}

export function checkMode(text: string): Complaint {
  if (findMode(text) !== undefined) return undefined;
  return `${quoted(text)} is not a mode; write its octal digits, such as "0755"`;
}

/** A mode written as a number has to be written in octal: decimal 755 is a mistake. */
export function checkModeNumber(value: number, source: string): Complaint {
  if (source.startsWith('0o') && value <= 0o7777) return undefined;
  const digits = /^[0-7]{3,4}$/.test(source) ? source : '755';
  return `${quoted(source)} is not an octal mode; write 0o${digits} or "0${digits}"`;
}

const unitsMs: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 };

/** Milliseconds of `30s`, `1m30s`, `1.5s`, `500ms`; undefined for anything else. */
export function findDurationMs(text: string): number | undefined {
  if (!/^(?:\d{1,9}(?:\.\d{1,9})?(?:ms|h|m|s)){1,4}$/.test(text)) return undefined;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/([\d.]+)(ms|h|m|s)/g))
    total += Number(amount) * (unitsMs[unit ?? ''] ?? 0);
  return Math.round(total);
}

export function checkDuration(text: string): Complaint {
  return findDurationMs(text) === undefined
    ? `${quoted(text)} is not a duration; write 30s, 1m30s or 500ms`
    : undefined;
}

/** Every port of `80`, `80/tcp`, `8000-8010/udp`, as `80/tcp`; undefined for anything else. */
export function findPorts(text: string): string[] | undefined {
  const [, from, to = from, protocol = 'tcp'] = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp|sctp))?$/.exec(text) ?? [];
  const first = Number(from);
  const last = Number(to);
  if (from === undefined || first < 1 || last > 65_535 || last < first) return undefined;
  return Array.from({ length: last - first + 1 }, (_, index) => `${first + index}/${protocol}`);
}

export function checkPort(text: string): Complaint {
  return findPorts(text) === undefined ? `${quoted(text)} is not a port; write 80, 80/udp or 8000-8010/tcp` : undefined;
}

/** `SIGTERM`, `SIGRTMIN+3`, `15`. */
export function checkSignal(text: string): Complaint {
  if (Object.hasOwn(constants.signals, text) || /^SIGRT(?:MIN\+|MAX-)\d{1,2}$/.test(text)) return undefined;
  if (/^[1-9]\d?$/.test(text) && Number(text) <= 64) return undefined;
  const near = nearest(text, Object.keys(constants.signals));
  return `${quoted(text)} is not a signal${near === undefined ? '; write SIGTERM or 15' : `; did you mean ${near}?`}`;
}

export function checkAbsolutePath(text: string): Complaint {
  return text.startsWith('/') ? undefined : `${quoted(text)} is not an absolute path`;
}

export function checkNotEmpty(text: string): Complaint {
  return text.trim() === '' ? 'this text is empty' : undefined;
}

/** A path or wildcard that stays inside what it is copied from. */
export function checkCopyPath(text: string): Complaint {
  if (text === '') return 'this path is empty; write . for everything';
  return staysInside(text) ? checkPattern(text) : `${quoted(text)} leads out of what is copied from`;
}

export function checkPattern(text: string): Complaint {
  try {
    compilePattern(text);
    return undefined;
  } catch (error) {
    if (errorCode(error) !== 'PATTERN_INVALID' || !(error instanceof Error)) throw error;
    return error.message;
  }
}

/** Undefined when the text is an image reference. */
export function checkReference(text: string): Complaint {
  try {
    parseReference(text);
    return undefined;
  } catch (error) {
    if (errorCode(error) !== 'REFERENCE_INVALID' || !(error instanceof Error)) throw error;
    return error.message;
  }
}

export function checkEnvName(key: string): Complaint {
  return /^[^=\0]+$/.test(key) ? undefined : `${quoted(key)} cannot be the name of an environment variable`;
}

export function checkArgName(key: string): Complaint {
  if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(key)) return undefined;
  return `${quoted(key)} cannot be the name of an argument; use letters, digits and _`;
}

/** Starts with a letter, so that object keys keep the order of the file. */
export function checkStageName(key: string): Complaint {
  if (/^[A-Za-z][A-Za-z0-9_.-]*$/.test(key) && key !== 'scratch') return undefined;
  return `${quoted(key)} cannot be the name of a stage; start with a letter, go on with letters, digits, _, . and -`;
}

export function checkPackage(text: string): Complaint {
  // To apt a leading - is an option, and a trailing one removes.
  if (/^[a-z0-9][a-z0-9.+-]*[a-z0-9.+](?::[a-z0-9-]+)?(?:=[A-Za-z0-9.+:~-]*[A-Za-z0-9.+~])?$/.test(text))
    return undefined;
  return `${quoted(text)} is not a package; write name or name=version`;
}

/** As `checkPackage`, for the names of every distribution: those of RPM have capitals and `_`. */
export function checkPackageName(text: string): Complaint {
  if (
    /^[A-Za-z0-9](?:[A-Za-z0-9._+-]*[A-Za-z0-9._+])?(?::[a-z0-9-]+)?(?:=[A-Za-z0-9.+:~^_-]*[A-Za-z0-9.+~^_])?$/.test(
      text,
    )
  )
    return undefined;
  return `${quoted(text)} is not a package; write name or name=version`;
}

/** Variables are not known yet when files are included. */
export function checkIncludePath(text: string): Complaint {
  if (text.trim() === '') return 'this path is empty';
  if (text.startsWith('/')) return `${quoted(text)} is absolute; paths of included files are relative to this file`;
  return text.includes('${') ? 'variables cannot be used in the paths of included files' : undefined;
}

export function checkDistribution(text: string): Complaint {
  if (text === 'debian' || text === 'ubuntu') return undefined;
  return `${quoted(text)} cannot be bootstrapped; known here: debian, ubuntu`;
}

export function checkSuite(text: string): Complaint {
  return /^[a-z][a-z0-9.-]*$/.test(text) ? undefined : `${quoted(text)} is not the name of a suite, such as bookworm`;
}

function isUserName(text: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_.-]{0,63}\$?$/.test(text);
}

function isUserId(text: string): boolean {
  return /^\d{1,10}$/.test(text) && Number(text) < 2 ** 32 - 1;
}
