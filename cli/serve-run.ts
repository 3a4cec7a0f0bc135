import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { findDurationMs } from '../builder/index.ts';
import { errorCode, ToolError } from '../core/index.ts';
import {
  type AccessEntry,
  type RegistryGarbage,
  type ServeAuth,
  type ServeOptions,
  type ServeTls,
  serveRegistry,
  type WebhookOptions,
} from '../registry/index.ts';
import type { ServeFlags } from './commands/serve.ts';
import type { Context } from './context.ts';
import { exitCodes } from './exit-codes.ts';
import { userAgent } from './registry-flags.ts';
import { formatSize, parseSize } from './size.ts';
import { homeOf, makeHome, openContent } from './store.ts';
import { harmlessLine } from './terminal-text.ts';
import { warn } from './warn.ts';

const defaultAddress = { host: '127.0.0.1', port: 5000 };
const [hourMs, dayMs] = [3_600_000, 86_400_000];

/** `kiln serve`: until the first signal. */
export async function runServe(context: Context, flags: ServeFlags): Promise<number> {
  const { terminal } = context;
  const options = await serveOptions(context, flags);
  if (flags.gc) return collectOnce(context, flags, options);
  await using registry = await serveRegistry({ ...options, signal: context.signal });
  const { url, host } = registry;
  terminal.out.write(flags.json ? `${JSON.stringify({ listening: url, host })}\n` : `listening on ${url}\n`);
  await registry.stopped;
  return exitCodes.ok;
}

/** Nobody can push meanwhile: the folder is this process's. */
async function collectOnce(context: Context, flags: ServeFlags, options: ServeOptions): Promise<number> {
  if (flags.store || flags['read-only']) throw usage('--gc collects the garbage of --root', 'leave the other flag out');
  await using registry = await serveRegistry({ ...options, listen: { host: '127.0.0.1', port: 0 } });
  const collected = await registry.collectGarbage({ untagged: flags['gc-untagged'], signal: context.signal });
  context.terminal.out.write(`${flags.json ? JSON.stringify(collected) : describeGarbage(collected)}\n`);
  return exitCodes.ok;
}

function describeGarbage({ uploads, manifests, blobs, bytes }: RegistryGarbage): string {
  return `Freed ${formatSize(bytes)}: ${blobs} blobs, ${manifests} manifests without tags, ${uploads} uploads`;
}

async function serveOptions(context: Context, flags: ServeFlags): Promise<ServeOptions> {
  const graceMs = durationOf(flags, 'gc-grace', dayMs);
  const intervalMs = durationOf(flags, 'gc-interval', hourMs);
  const [auth, tls, webhooks] = [
    await authOf(context, flags),
    await tlsOf(context, flags),
    await webhooksOf(context, flags),
  ];
  return {
    listen: parseListen(flags.listen),
    content: await contentOf(context, flags),
    readOnly: flags['read-only'],
    mayDelete: !flags['no-delete'],
    graceMs,
    clock: context.clock,
    userAgent,
    onWarning: (text) => warn(context, text),
    ...(auth === undefined ? {} : { auth }),
    ...(tls === undefined ? {} : { tls }),
    ...(webhooks === undefined ? {} : { webhooks }),
    ...(flags.quiet ? {} : { onRequest: (entry: AccessEntry) => logRequest(context, flags, entry) }),
    ...(intervalMs === 0 ? {} : { garbage: { intervalMs, untagged: flags['gc-untagged'] } }),
    ...(flags['max-upload-size'] === undefined
      ? {}
      : { maxUploadBytes: parseSize(flags['max-upload-size'], '--max-upload-size') }),
  };
}

async function contentOf(context: Context, flags: ServeFlags): Promise<ServeOptions['content']> {
  if (flags.store && flags.root !== undefined)
    throw usage('--store and --root cannot both be served', 'give one of them');
  if (flags.store) return { store: await openContent(context) };
  if (flags.root !== undefined) return { root: path.resolve(context.folder, flags.root) };
  return { root: path.join(await makeHome(homeOf(context)), 'registry') };
}

/**
 * `HOST:PORT`, `:PORT`, `PORT` or `[IPV6]:PORT`.
 * @throws ToolError USAGE_FLAG_VALUE
 */
export function parseListen(text: string | undefined): { readonly host: string; readonly port: number } {
  if (text === undefined) return defaultAddress;
  const [, bracketed, host, digits = ''] =
    /^(?:(?:\[([0-9a-fA-F:.%]+)\]|([A-Za-z0-9.-]*)):)?(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits === '' || port > 65_535) {
    throw new ToolError('USAGE_FLAG_VALUE', `--listen ${JSON.stringify(text)} is not an address`, {
      hint: 'write HOST:PORT, such as 127.0.0.1:5000 or 0.0.0.0:443',
    });
  }
  const named = bracketed ?? host;
  // As with servers elsewhere, an empty host is every address; a port alone is not meant so.
  return { host: named === undefined ? defaultAddress.host : named === '' ? '0.0.0.0' : named, port };
}

async function authOf(context: Context, flags: ServeFlags): Promise<ServeAuth | undefined> {
  const { htpasswd } = flags;
  const [realm, service, issuer, keyFile] = [
    flags['token-realm'],
    flags['token-service'],
    flags['token-issuer'],
    flags['token-key'],
  ];
  const given = [realm, service, issuer, keyFile].filter((value) => value !== undefined);
  if (given.length === 0)
    return htpasswd === undefined ? undefined : { htpasswd: path.resolve(context.folder, htpasswd) };
  if (htpasswd !== undefined) throw usage('--htpasswd and tokens cannot be used together', 'give one of them');
  if (realm === undefined || service === undefined || issuer === undefined || keyFile === undefined) {
    throw usage('tokens need all of --token-realm, --token-service, --token-issuer and --token-key');
  }
  if (!URL.canParse(realm)) throw usage('--token-realm is not a URL');
  return { token: { realm, service, issuer, keys: await textOf(context, keyFile, '--token-key') } };
}

async function tlsOf(context: Context, flags: ServeFlags): Promise<ServeTls | undefined> {
  const [certificate, key, clientCa] = [flags['tls-cert'], flags['tls-key'], flags['tls-client-ca']];
  if (certificate === undefined && key === undefined && clientCa === undefined) return undefined;
  if (certificate === undefined || key === undefined) throw usage('TLS needs both --tls-cert and --tls-key');
  return {
    certificate: await textOf(context, certificate, '--tls-cert'),
    key: await textOf(context, key, '--tls-key'),
    ...(clientCa === undefined ? {} : { clientAuthorities: await textOf(context, clientCa, '--tls-client-ca') }),
  };
}

async function webhooksOf(context: Context, flags: ServeFlags): Promise<WebhookOptions | undefined> {
  if (flags.webhook.length === 0) return undefined;
  const file = flags['webhook-secret-file'];
  const secret = file === undefined ? undefined : (await textOf(context, file, '--webhook-secret-file')).trim();
  if (secret === '') throw usage('the file of --webhook-secret-file is empty');
  return { urls: flags.webhook, allowHttp: flags['webhook-http'], ...(secret === undefined ? {} : { secret }) };
}

async function textOf({ folder }: Context, file: string, flag: string): Promise<string> {
  try {
    return await readFile(path.resolve(folder, file), 'utf8');
  } catch (cause) {
    throw new ToolError('USAGE_FLAG_VALUE', `${flag} ${file} cannot be read (${errorCode(cause)})`, { cause });
  }
}

function durationOf(flags: ServeFlags, name: 'gc-grace' | 'gc-interval', otherwise: number): number {
  const text = flags[name];
  if (text === undefined) return otherwise;
  const days = /^(\d{1,5})d$/.exec(text)?.[1];
  const found = text === '0' ? 0 : days === undefined ? findDurationMs(text) : Number(days) * dayMs;
  if (found !== undefined) return found;
  throw usage(`--${name} ${JSON.stringify(text)} is not a time`, 'write 30m, 24h or 7d');
}

/** Nothing of the headers but who says to be what; the user only when the password or token was right. */
function logRequest({ terminal }: Context, flags: ServeFlags, entry: AccessEntry): void {
  const { atMs, address, user, method, target, status, receivedBytes, sentBytes, durationMs, userAgent: agent } = entry;
  const time = new Date(atMs).toISOString();
  const durationRoundedMs = Math.round(durationMs);
  if (flags.json) {
    const { atMs: _atMs, ...rest } = entry;
    terminal.err.write(`${JSON.stringify({ time, ...rest, durationMs: durationRoundedMs })}\n`);
    return;
  }
  const request = `${method} ${target} ${status} ${receivedBytes}B in ${sentBytes}B out ${durationRoundedMs}ms`;
  terminal.say(harmlessLine(`${time} ${address} ${user ?? '-'} ${request} ${JSON.stringify(agent.slice(0, 200))}`));
}

function usage(message: string, hint?: string): ToolError {
  return new ToolError('USAGE_ARGUMENTS', message, hint === undefined ? {} : { hint });
}
