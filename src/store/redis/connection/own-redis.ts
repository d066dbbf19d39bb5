/**
 * ioredis without the timers of a test. ioredis looks up `process.nextTick` and `setTimeout` each time. So a connection that was
 * opened, lost or closed while a test had replaced them by fakes would never be ready again.
 *
 * Owns: how a connection to one server is opened and closed, when its events are emitted, and the timer of its next attempt.
 * Connections to sentinels are left to ioredis. Neighbour: `connection.ts` has the settings.
 */
import { connect as connectSocket, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { AbstractConnector, Redis, type RedisOptions, type StandaloneConnectionOptions } from 'ioredis';
import { clearTimeout, setTimeout } from '../../../core/ports/own-timers.js';

/** The method is private, and the same in ioredis 5 and 6. */
interface Stated {
  status: string;
  emit(status: string, argument: unknown): void;
}

export class OwnRedis extends Redis {
  private nextTry: NodeJS.Timeout | undefined;
  /** Nothing opens it again, although ioredis may still have timers: closing ends only the last one. */
  private isClosed = false;

  /** @param url the address of Redis, if `options` have none. */
  constructor(options: RedisOptions, url?: string) {
    const Connector = options.sentinels ? options.Connector : (options.Connector ?? OwnConnector);
    // Without a URL the first argument is undefined: ioredis accepts that, its types do not.
    super(url as never, { ...options, Connector } as never);
    // ioredis has a timer for the same moment, which fires first unless it is a fake.
    this.on('reconnecting', (delayMs: number) => {
      // The event may come after the call that closes it.
      if (this.isClosed) return;
      clearTimeout(this.nextTry);
      this.nextTry = setTimeout(() => {
        if (this.status === 'reconnecting') this.connect().catch(() => {});
      }, delayMs).unref();
    });
  }

  override connect(...callback: Parameters<Redis['connect']>): Promise<void> {
    if (this.isClosed) return Promise.reject(new Error('Connection is closed.'));
    // A late timer would open it once more, and ioredis would lose one of its connections.
    clearTimeout(this.nextTry);
    return super.connect(...callback);
  }

  override disconnect(reconnect = false): void {
    if (!reconnect) {
      this.isClosed = true;
      clearTimeout(this.nextTry);
    }
    super.disconnect(reconnect);
  }
}

/** As ioredis, which emits in `process.nextTick`: after the code that changes the status, and before anything arrives. */
function setStatus(this: Stated, status: string, argument?: unknown): void {
  this.status = status;
  void Promise.resolve().then(() => this.emit(status, argument));
}
Object.defineProperty(OwnRedis.prototype, 'setStatus', { value: setStatus });

/** The standalone connector of ioredis, with timers of our own. */
class OwnConnector extends AbstractConnector {
  constructor(private readonly options: StandaloneConnectionOptions) {
    super(options.disconnectTimeout ?? 0);
  }

  async connect(): Promise<Socket> {
    this.connecting = true;
    const { path, port, host, family, tls } = this.options;
    const address = path ? { path } : { port: port ?? undefined, host: host ?? undefined, family: family ?? undefined };
    await undefined;
    if (!this.connecting) throw new Error('Connection is closed.');
    const where = { ...address, ...tls } as never;
    const stream: Socket = tls ? connectTls(where) : connectSocket(where);
    stream.once('error', error => {
      this.firstError = error;
    });
    this.stream = stream;
    return stream;
  }

  override disconnect(): void {
    this.connecting = false;
    const { stream } = this;
    if (!stream) return;
    const timer = setTimeout(() => stream.destroy(), this.options.disconnectTimeout);
    stream.on('close', () => clearTimeout(timer));
    stream.end();
  }
}
