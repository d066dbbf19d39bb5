/** A program of `test/support/programs`, run to its end in a process of its own. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { connect, dropKeys, freshPrefix, redisUrl } from './redis.js';

/** Runs the program under a fresh key prefix, and returns the JSON that it prints. */
export async function runProgram(name: string): Promise<unknown> {
  const prefix = freshPrefix();
  const env = { ...process.env, REDIS_URL: redisUrl(), KEY_PREFIX: prefix, NODE_OPTIONS: '' };
  const redis = connect();
  try {
    const program = [`build/test/support/programs/${name}.js`];
    const { stdout } = await promisify(execFile)(process.execPath, program, { env, timeout: 25_000 });
    return JSON.parse(stdout);
  } finally {
    await dropKeys(redis, prefix);
    await redis.quit();
  }
}
