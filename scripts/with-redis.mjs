// Runs a command with a Redis beside it: `node scripts/with-redis.mjs CMD ARGS…` sets REDIS_URL for it.
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { startRedis } from './dev-redis.mjs';

const [command, ...args] = process.argv.slice(2);
const redis = await startRedis().catch(error => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});
const child = spawn(command, args, { stdio: 'inherit', env: { ...process.env, REDIS_URL: redis.url } });
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
const code = await new Promise(resolve => {
  child.once('error', error => {
    process.stderr.write(`${error.message}\n`);
    resolve(127);
  });
  child.once('exit', (exitCode, signal) => resolve(exitCode ?? 128 + constants.signals[signal]));
});
await redis.stop();
process.exit(code);
