import { defineCommand } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import { kilnVersion } from '../version.ts';

export const version = defineCommand({
  arguments: [],
  flags: {
    json: { kind: 'switch', summary: 'Print one JSON object' },
  },
  examples: [{ line: 'kiln version --json', says: 'What a bug report needs' }],

  async run({ terminal }, flags) {
    const { arch, version: node } = process;
    terminal.out.write(
      flags.json
        ? `${JSON.stringify({ version: kilnVersion, node, os: 'linux', architecture: arch })}\n`
        : `kiln ${kilnVersion} (node ${node}, linux ${arch})\n`,
    );
    return exitCodes.ok;
  },
});
