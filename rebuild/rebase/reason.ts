/** Why an image must not be put on another base; each is told with what it is about. */
export type ReasonCode =
  /** The image does not lie on the old base. */
  | 'layers'
  | 'platform'
  /** Another distribution, or another release of it. */
  | 'release'
  /** Configuration that the image took over from its base, and that would change under it. */
  | 'config'
  /** Files that both the image's own layers and the new base changed. */
  | 'files'
  /** The image has packages of its own, installed beside the old base's. */
  | 'packages'
  /** The new base does without packages, libraries or programs that the old one had. */
  | 'removed';

export interface Reason {
  readonly code: ReasonCode;
  readonly message: string;
  /** Paths, packages or names; all of them, sorted. */
  readonly items?: readonly string[];
}
