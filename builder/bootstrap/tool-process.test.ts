import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { requireTool, runTool, ToolFailure } from './tool-process.ts';

describe('runTool', () => {
  it('gives the lines of stdout, and shows those of stderr too', async () => {
    const shown: string[] = [];

    const lines = await runTool(['sh', '-c', 'echo one; echo two >&2; printf three'], {
      onOutput: (line) => shown.push(line),
    });

    expect(lines).toEqual(['one', 'three']);
    expect(shown.sort()).toEqual(['one', 'three', 'two']);
  });

  it("passes nothing of the caller's environment on", async () => {
    process.env.KILN_TEST_LEAK = 'leaked';
    try {
      const lines = await runTool(['env'], { env: { ADDED: 'yes' } });

      expect(lines).toContain('ADDED=yes');
      expect(lines).toContain('SOURCE_DATE_EPOCH=86400');
      expect(lines.filter((line) => line.startsWith('KILN_TEST_LEAK'))).toEqual([]);
    } finally {
      delete process.env.KILN_TEST_LEAK;
    }
  });

  it('fails with the last lines that were printed', async () => {
    const failure = await runTool(['sh', '-c', 'seq 100; echo end >&2; exit 7']).catch((error: unknown) => error);

    expect(failure).toBeInstanceOf(ToolFailure);
    if (!(failure instanceof ToolFailure)) return;
    expect(failure.message).toBe('sh ended with status 7');
    expect(failure.lines).toHaveLength(20);
    expect(failure.lines).toContain('100');
  });

  it('fails when the tool is not there', async () => {
    await expect(runTool(['kiln-no-such-tool'])).rejects.toThrow('ended with status');
  });

  it('kills the tool when it is aborted', async () => {
    const controller = new AbortController();
    let pid = '';

    const running = runTool(['sh', '-c', 'echo $$; exec sleep 60'], {
      signal: controller.signal,
      onOutput: (line) => {
        pid = line;
        controller.abort(new Error('stop'));
      },
    });

    await expect(running).rejects.toThrow('stop');
    expect(pid).toMatch(/^\d+$/);
    await expect(readFile(`/proc/${pid}/stat`, 'utf8')).rejects.toThrow('ENOENT');
  });

  it('does not start when it is aborted already', async () => {
    await expect(runTool(['touch', '/'], { signal: AbortSignal.abort(new Error('before')) })).rejects.toThrow('before');
  });
});

describe('requireTool', () => {
  it('says what to install', async () => {
    await expect(requireTool('sh', 'dash')).resolves.toBeUndefined();
    await expect(requireTool('kiln-no-such-tool', 'some-package')).rejects.toMatchObject({
      code: 'ENVIRONMENT_MISSING_TOOL',
      hint: 'apt-get install -y some-package',
    });
  });
});
