import { timingSafeEqual } from 'node:crypto';

/** bcrypt, and nothing else: what `htpasswd -B` writes. */
export const bcryptHash = /^\$2[aby]\$(?:0[4-9]|1[0-7])\$[./A-Za-z0-9]{53}$/;

/** Takes tens of milliseconds or more, in slices, so that others are served meanwhile. */
export async function matchesHash(secret: string, hash: string): Promise<boolean> {
  const { default: bcrypt } = await import('bcryptjs');
  // The salt is the first 29 characters; the whole hash comes out again when the secret is the right one.
  const made = Buffer.from(await bcrypt.hash(secret, `$2b$${hash.slice(4, 29)}`));
  const wanted = Buffer.from(`$2b$${hash.slice(4)}`);
  return made.byteLength === wanted.byteLength && timingSafeEqual(made, wanted);
}
