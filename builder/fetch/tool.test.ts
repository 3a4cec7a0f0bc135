import { describe, expect, it } from 'vitest';
import { startTool } from './tool.ts';

const common = { purpose: 'this test', packageName: 'coreutils', stdio: 'ignore' } as const;

describe('startTool', () => {
  it('does not start what was called off while the program was looked for', async () => {
    const controller = new AbortController();
    const starting = startTool(['sleep', '60'], { ...common, signal: controller.signal });
    controller.abort(new Error('enough'));

    await expect(starting).rejects.toThrow('enough');
  });

  it('ends what it started when it is disposed', async () => {
    const tool = await startTool(['sleep', '60'], common);

    await tool[Symbol.asyncDispose]();

    expect(tool.child.signalCode).toBe('SIGKILL');
  });

  it('says what needs a program that is not installed, and how to get it', async () => {
    await expect(startTool(['kiln-no-such-tool'], common)).rejects.toMatchObject({
      code: 'ENVIRONMENT_MISSING_TOOL',
      message: 'this test needs kiln-no-such-tool, which this machine does not have',
      hint: 'apt-get install -y coreutils',
    });
  });
});
