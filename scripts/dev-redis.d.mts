export interface DevRedis {
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** Sends a signal to a private server, be it a process or in a container. Rejects for the server of REDIS_URL. */
  signal(name: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL'): Promise<void>;
  stop(): Promise<void>;
}
interface PrivateOptions {
  readonly args?: string[];
  readonly port?: number;
  /** Its data is kept there, and outlives it. */
  readonly folder?: string;
}
export function startRedis(options?: PrivateOptions & { alwaysPrivate?: boolean }): Promise<DevRedis>;
export function startContainer(options?: PrivateOptions): Promise<{ container?: DevRedis; reason?: string }>;
export function startSentinel(settings: readonly string[]): Promise<DevRedis | undefined>;
export function hasServerOnPath(): boolean;
