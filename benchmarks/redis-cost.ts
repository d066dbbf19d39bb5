/** The work of Redis since the last reading: its CPU time and its commands. */
import type { Redis } from 'ioredis';

export interface RedisCost {
  readonly cpuSeconds: number;
  /** Includes those within scripts. */
  readonly commands: number;
  readonly connections: number;
}

export async function redisCost(redis: Redis): Promise<RedisCost> {
  const cpu = await redis.info('cpu');
  const calls = [...(await redis.info('commandstats')).matchAll(/:calls=(\d+)/g)];
  const clients = await redis.info('clients');
  return {
    cpuSeconds: field(cpu, 'used_cpu_sys') + field(cpu, 'used_cpu_user'),
    commands: calls.reduce((sum, [, count]) => sum + Number(count), 0),
    // Without the command that asks.
    connections: field(clients, 'connected_clients') - 1,
  };
}

function field(info: string, name: string): number {
  return Number(new RegExp(`^${name}:([\\d.]+)`, 'm').exec(info)?.[1] ?? Number.NaN);
}
