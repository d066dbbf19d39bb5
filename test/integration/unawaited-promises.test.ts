/** A promise that was not awaited, in a payload or a result, and rejects later: the process continues, and the job has completed. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { connect, dropKeys, freshPrefix, redisUrl } from '../support/redis.js';

test('a rejection of a promise in a refused value does not end the process', async () => {
  const redis = connect();
  const prefix = freshPrefix();
  const env = { ...process.env, REDIS_URL: redisUrl(), KEY_PREFIX: prefix, NODE_OPTIONS: '' };
  try {
    const program = ['build/test/support/programs/unawaited-promises.js'];
    const { stdout } = await promisify(execFile)(process.execPath, program, { env, timeout: 25_000 });
    expect(JSON.parse(stdout)).toEqual({
      codes: [...Array(2).fill('RESULT_UNAVAILABLE'), ...Array(3).fill('UNSERIALIZABLE_DATA')],
      failed: 0,
    });
  } finally {
    await dropKeys(redis, prefix);
    await redis.quit();
  }
});
