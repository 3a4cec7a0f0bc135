import { contentSuite } from './content-suite.ts';
import { memoryTarget } from './memory.ts';

contentSuite('memory', async () => ({
  target: memoryTarget(),
  reference: 'web:1',
  async [Symbol.asyncDispose]() {},
}));
