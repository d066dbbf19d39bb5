/** A Redis of a test's own that can be killed and comes back with its append-only file. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DevRedis, startRedis } from '#dev-redis';

/** A server whose data outlives it. */
export class DurableRedis {
  private readonly folder = mkdtempSync(join(tmpdir(), 'atomic-queues-aof-'));
  private current: DevRedis | undefined;

  constructor(private readonly fsync: string) {}

  async start(more: readonly string[] = []): Promise<DevRedis> {
    const args = ['--appendonly', 'yes', '--appendfsync', this.fsync, ...more];
    const { folder, current } = this;
    this.current = await startRedis({ alwaysPrivate: true, args, folder, port: current?.port });
    return this.current;
  }

  /** SIGKILL of the server: it saves nothing but its log. */
  async crash(): Promise<void> {
    await this.current?.signal('SIGKILL');
    await this.current?.stop();
  }

  /** Starts a server that has crashed without its data. */
  forget(): void {
    for (const name of readdirSync(this.folder)) rmSync(join(this.folder, name), { recursive: true });
  }

  async end(): Promise<void> {
    await this.current?.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
