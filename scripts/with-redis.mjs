// Runs a command with a Redis: `node scripts/with-redis.mjs [NAME=value …] CMD ARGS…` sets REDIS_URL, and the variables before the
// command as env(1) does, since npm's shell on Windows knows no assignments.
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { startRedis } from './dev-redis.mjs';

const ASSIGNMENT = /^[A-Z_]+=/;

const words = process.argv.slice(2);
const first = words.findIndex(word => !ASSIGNMENT.test(word));
const [command, ...args] = words.slice(first);
const assigned = Object.fromEntries(words.slice(0, first).map(word => word.split(/=(.*)/s, 2)));
const redis = await startRedis().catch(error => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});
const child = spawn(command, args, { stdio: 'inherit', env: { ...process.env, ...assigned, REDIS_URL: redis.url } });
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
