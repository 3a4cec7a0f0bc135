import { ToolError } from './errors.ts';

/** image-spec, image-index.md#image-index-property-descriptions */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
}

const architectures: Readonly<Record<string, string>> = {
  x64: 'amd64',
  x86_64: 'amd64',
  ia32: '386',
  arm64: 'arm64',
  aarch64: 'arm64',
  ppc64: 'ppc64le',
};

const platformPart = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/;

/** The platform of a machine as Node names it (`process.arch`). */
export function platformOf(nodeArchitecture: string): Platform {
  return { os: 'linux', architecture: architectures[nodeArchitecture] ?? nodeArchitecture };
}

/**
 * Parses `os/arch[/variant]`.
 * @throws ToolError PLATFORM_INVALID
 */
export function parsePlatform(text: string): Platform {
  const parts = text.split('/');
  const [os, architecture, variant] = parts;
  if (!os || !architecture || parts.length > 3 || parts.some((part) => !platformPart.test(part))) {
    throw new ToolError('PLATFORM_INVALID', `${JSON.stringify(text)} is not a platform`, {
      hint: 'write it as os/arch or os/arch/variant, such as linux/amd64',
    });
  }
  const normal = architectures[architecture] ?? architecture;
  return variant === undefined ? { os, architecture: normal } : { os, architecture: normal, variant };
}

export function formatPlatform(platform: Platform): string {
  const { os, architecture, variant } = platform;
  return variant === undefined ? `${os}/${architecture}` : `${os}/${architecture}/${variant}`;
}

/** arm64 without a variant is v8, as every peer reads it. */
export function samePlatform(a: Platform, b: Platform): boolean {
  return a.os === b.os && a.architecture === b.architecture && variantOf(a) === variantOf(b);
}

/** @throws ToolError PLATFORM_INVALID */
export function parsePlatformObject(value: unknown): Platform {
  const record = typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  const { os, architecture, variant } = record;
  if (typeof os !== 'string' || typeof architecture !== 'string') {
    throw new ToolError('PLATFORM_INVALID', 'a platform in an index names no os and architecture');
  }
  // They are printed where an image for another platform was wanted.
  if (/[\u0000-\u001f\u007f-\u009f]/.test(`${os}${architecture}${variant}`)) {
    throw new ToolError('PLATFORM_INVALID', 'a platform in an index has control characters in it');
  }
  return typeof variant === 'string' && variant !== '' ? { os, architecture, variant } : { os, architecture };
}

function variantOf(platform: Platform): string | undefined {
  return platform.architecture === 'arm64' ? (platform.variant ?? 'v8') : platform.variant;
}
