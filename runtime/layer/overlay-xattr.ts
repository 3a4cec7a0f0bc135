/** Marks that overlayfs keeps on the files of an upper directory. Documentation/filesystems/overlayfs.rst */
export function isOverlayXattr(name: string): boolean {
  return name.startsWith('trusted.overlay.') || name.startsWith('user.overlay.');
}

/** `opaque` of `trusted.overlay.opaque`, `user.overlay.opaque`; undefined for other attributes. */
export function overlayMark(name: string): string | undefined {
  return /^(?:trusted|user)\.overlay\.(.*)$/s.exec(name)?.[1];
}
