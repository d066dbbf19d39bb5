export interface DevRedis {
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** Of a private server. */
  readonly pid?: number;
  stop(): Promise<void>;
}
export function startRedis(options?: { args?: string[]; alwaysPrivate?: boolean; port?: number }): Promise<DevRedis>;
export function startSentinel(settings: readonly string[]): Promise<DevRedis | undefined>;
