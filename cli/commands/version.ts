import { defineCommand } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import { printResult, resultFlags } from '../result.ts';
import { kilnVersion } from '../version.ts';

export const version = defineCommand({
  arguments: [],
  flags: {
    ...resultFlags,
  },
  examples: [{ line: 'kiln version --json', says: 'What a bug report needs' }],

  async run(context, flags) {
    const { arch, version: node } = process;
    printResult(
      context,
      flags,
      { version: kilnVersion, node, os: 'linux', architecture: arch },
      `kiln ${kilnVersion} (node ${node}, linux ${arch})`,
    );
    return exitCodes.ok;
  },
});
