import { formatPlatform, type Platform, platformOf, ToolError } from '../../core/index.ts';
import { canRun } from '../../runtime/index.ts';

/**
 * For steps that run programs of the image. Results that are known already do not need it.
 * @throws ToolError PLATFORM_CANNOT_RUN
 */
export async function assertRunnable(platform: Platform): Promise<void> {
  if (await canRun(platform)) return;
  const own = formatPlatform(platformOf(process.arch));
  throw new ToolError(
    'PLATFORM_CANNOT_RUN',
    `the step runs programs for ${formatPlatform(platform)}, and this machine runs those for ${own} only`,
    {
      hint: 'let the kernel run them by an emulator (as root: apt-get install -y qemu-user-static binfmt-support), or build this stage on such a machine; stages that only copy and fetch need neither',
    },
  );
}
