import manifest from '../package.json' with { type: 'json' };

export const kilnVersion: string = manifest.version;
