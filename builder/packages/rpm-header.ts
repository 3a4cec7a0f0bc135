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
