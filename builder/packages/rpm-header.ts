import type { PinnedPackage } from '../lock/pins.ts';

/** Tags of a package's header that rpm adds while it installs: when, and in which transaction. rpmtag.h */
const installTags: ReadonlySet<number> = new Set([1008, 1128]);
/** rpmTagType: a big-endian number of four bytes. */
const int32Type = 4;
const entryBytes = 16;

/**
 * Sets the install times in a header of rpm's database to `seconds`; false when there were none. The blob is changed in
 * place. https://rpm-software-management.github.io/rpm/manual/hdr_v3.html
 */
export function setInstallTimes(blob: Buffer, seconds: number): boolean {
  if (blob.length < 8) return false;
  const [count, dataBytes] = [blob.readUInt32BE(0), blob.readUInt32BE(4)];
  const data = 8 + count * entryBytes;
  if (data + dataBytes > blob.length) return false;
  let isChanged = false;
  for (let at = 8; at < data; at += entryBytes) {
    if (!installTags.has(blob.readUInt32BE(at)) || blob.readUInt32BE(at + 4) !== int32Type) continue;
    const [offset, values] = [blob.readUInt32BE(at + 8), blob.readUInt32BE(at + 12)];
    for (let index = 0; index < values && data + offset + index * 4 + 4 <= blob.length; index++) {
      blob.writeUInt32BE(seconds, data + offset + index * 4);
      isChanged = true;
    }
  }
  return isChanged;
}

const tags = { name: 1000, version: 1001, release: 1002, epoch: 1003, architecture: 1022 } as const;
const stringTypes: ReadonlySet<number> = new Set([6, 9]);
/** More than any header of a package that there is. */
const maxTags = 65_536;

/** The package that a header of rpm's database describes; undefined for a key, and for what is no header. */
export function rpmPackageOf(blob: Buffer): PinnedPackage | undefined {
  if (blob.length < 8) return undefined;
  const [count, dataBytes] = [blob.readUInt32BE(0), blob.readUInt32BE(4)];
  const data = 8 + count * entryBytes;
  if (count > maxTags || data + dataBytes > blob.length) return undefined;
  const texts = new Map<number, string>();
  for (let at = 8; at < data; at += entryBytes) {
    const [tag, type] = [blob.readUInt32BE(at), blob.readUInt32BE(at + 4)];
    const offset = data + blob.readUInt32BE(at + 8);
    if (tag === tags.epoch && type === int32Type && offset + 4 <= blob.length) {
      texts.set(tag, String(blob.readUInt32BE(offset)));
    } else if (stringTypes.has(type) && offset < blob.length) {
      const end = blob.indexOf(0, offset);
      if (end !== -1) texts.set(tag, blob.toString('utf8', offset, end));
    }
  }
  const [name, version, release] = [texts.get(tags.name), texts.get(tags.version), texts.get(tags.release)];
  if (name === undefined || version === undefined || release === undefined || name === 'gpg-pubkey') return undefined;
  const epoch = texts.get(tags.epoch) ?? '0';
  const architecture = texts.get(tags.architecture) ?? 'noarch';
  return { name, version: `${epoch === '0' ? '' : `${epoch}:`}${version}-${release}`, architecture, hash: '' };
}
