import { createHash } from 'node:crypto';
import { ToolError } from './errors.ts';

declare const digestBrand: unique symbol;
declare const diffIdBrand: unique symbol;
declare const chainIdBrand: unique symbol;
declare const cacheKeyBrand: unique symbol;

/** `algorithm:hex` of a blob's bytes; Kiln writes sha256 and reads sha256 and sha512. image-spec, descriptor.md#digests */
export type Digest = string & { readonly [digestBrand]: true };
/** Digest of a layer's uncompressed tar. image-spec, config.md#layer-diffid */
export type DiffId = Digest & { readonly [diffIdBrand]: true };
/** Digest that names a stack of layers. image-spec, config.md#layer-chainid */
export type ChainId = Digest & { readonly [chainIdBrand]: true };
/** Digest of a step's key preimage. */
export type CacheKey = Digest & { readonly [cacheKeyBrand]: true };

const digestPattern = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

export function isDigest(text: string): text is Digest {
  return digestPattern.test(text);
}

/** @throws ToolError DIGEST_INVALID */
export function parseDigest(text: unknown): Digest {
  if (typeof text !== 'string' || !isDigest(text)) {
    throw new ToolError(
      'DIGEST_INVALID',
      `${JSON.stringify(text)?.slice(0, 160)} is not a digest (sha256:<64 hex digits>)`,
    );
  }
  return text;
}

/** @throws ToolError DIGEST_INVALID */
export function parseDiffId(text: unknown): DiffId {
  return parseDigest(text) as DiffId;
}

/** @throws ToolError DIGEST_INVALID */
export function parseChainId(text: unknown): ChainId {
  return parseDigest(text) as ChainId;
}

/** @throws ToolError DIGEST_INVALID */
export function parseCacheKey(text: unknown): CacheKey {
  return parseDigest(text) as CacheKey;
}

export function digestAlgorithm(digest: Digest): 'sha256' | 'sha512' {
  return digest.startsWith('sha256:') ? 'sha256' : 'sha512';
}

export function digestHex(digest: Digest): string {
  return digest.slice(digest.indexOf(':') + 1);
}

/** The first twelve hex digits, as `images` and progress show them. */
export function shortDigest(digest: Digest): string {
  return digestHex(digest).slice(0, 12);
}

export function sha256(bytes: Uint8Array | string): Digest {
  return parseDigest(`sha256:${createHash('sha256').update(bytes).digest('hex')}`);
}

/** ChainID(L₀|…|Lₙ) = SHA256(ChainID(L₀|…|Lₙ₋₁) + " " + DiffID(Lₙ)). image-spec, config.md#layer-chainid */
export function chainIdOf(parent: ChainId | undefined, diffId: DiffId): ChainId {
  return parseChainId(parent === undefined ? diffId : sha256(`${parent} ${diffId}`));
}

/** Every prefix's ChainId, lowest layer first. */
export function chainIdsOf(diffIds: readonly DiffId[]): ChainId[] {
  const chain: ChainId[] = [];
  for (const diffId of diffIds) chain.push(chainIdOf(chain.at(-1), diffId));
  return chain;
}
