/** A primary, two replicas and three sentinels, as processes: for tests in which the primary is frozen, or killed. */
import { Redis } from 'ioredis';
import { type DevRedis, hasServerOnPath, startRedis, startSentinel } from '#dev-redis';
import type { SentinelOptions } from '../../src/store/redis/connection/options.js';
import { eventually } from './wait.js';

const NAME = 'primary';
const DOWN_AFTER_MS = 1000;

export class Sentinels {
  private constructor(
    private readonly servers: readonly DevRedis[],
    private readonly sentinels: readonly DevRedis[],
  ) {}

  /** @returns undefined, and says why, when no server program is on PATH */
  static async start(): Promise<Sentinels | undefined> {
    if (!hasServerOnPath()) {
      process.stderr.write('SKIPPED: no redis-server or valkey-server is on PATH, so there are no sentinels.\n');
      return undefined;
    }
    const primary = await startRedis({ alwaysPrivate: true, args: ['--repl-diskless-sync-delay', '0'] });
    const replicaOf = ['--replicaof', `127.0.0.1 ${primary.port}`, '--repl-diskless-sync-delay', '0'];
    const replicas = await Promise.all([1, 2].map(() => startRedis({ alwaysPrivate: true, args: replicaOf })));
    const monitored = [
      `sentinel monitor ${NAME} 127.0.0.1 ${primary.port} 2`,
      `sentinel down-after-milliseconds ${NAME} ${DOWN_AFTER_MS}`,
      `sentinel failover-timeout ${NAME} 6000`,
    ];
    const sentinels = await Promise.all([1, 2, 3].map(() => startSentinel(monitored)));
    const started = sentinels.flatMap(sentinel => sentinel ?? []);
    const set = new Sentinels([primary, ...replicas], started);
    await set.areAgreed();
    return set;
  }

  /** The option `redis` of the module. */
  get connection(): SentinelOptions {
    const sentinels = this.sentinels.map(({ host, port }) => ({ host, port }));
    return { sentinels, name: NAME };
  }

  get addresses(): readonly DevRedis[] {
    return this.sentinels;
  }

  /** The server that the sentinels take for the primary. */
  async primary(): Promise<DevRedis> {
    for (const { url } of this.sentinels) {
      const [, port] = await ask(url, redis => redis.call('SENTINEL', 'get-master-addr-by-name', NAME));
      const server = this.servers.find(each => String(each.port) === port);
      if (server) return server;
    }
    throw new Error('The sentinels know of no primary.');
  }

  /** Waits until all sentinels have another primary than that. */
  async hasReplaced(server: DevRedis): Promise<DevRedis> {
    await eventually(
      'another server is the primary',
      async () => {
        const all = await Promise.all(this.sentinels.map(({ url }) => primaryPort(url)));
        return all.every(port => port !== undefined && port !== server.port && port === all[0]);
      },
      60_000,
      50,
    );
    return this.primary();
  }

  async stop(): Promise<void> {
    await Promise.all([...this.sentinels, ...this.servers].map(each => each.stop()));
  }

  /** Each sentinel knows the other two, and both replicas; these are in step. */
  private async areAgreed(): Promise<void> {
    await eventually(
      'the sentinels know all servers',
      async () => {
        const known = await Promise.all(
          this.sentinels.map(({ url }) => ask(url, redis => redis.call('INFO', 'sentinel'))),
        );
        return known.every(text => /status=ok,.*slaves=2,sentinels=3/.test(String(text)));
      },
      60_000,
      50,
    );
    const replication = () => ask(this.servers[0]?.url ?? '', redis => redis.info('replication'));
    await eventually(
      'the replicas are in step',
      async () => String(await replication()).split('state=online').length === 3,
    );
  }
}

async function primaryPort(url: string): Promise<number | undefined> {
  const [, port] = await ask(url, redis => redis.call('SENTINEL', 'get-master-addr-by-name', NAME)).catch(() => []);
  return port === undefined ? undefined : Number(port);
}

async function ask(url: string, command: (redis: Redis) => Promise<unknown>): Promise<string[]> {
  const redis = new Redis(url, { enableReadyCheck: false, retryStrategy: () => null }).on('error', () => {});
  try {
    return (await command(redis)) as string[];
  } finally {
    redis.disconnect();
  }
}
