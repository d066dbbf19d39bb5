/**
 * The thread for renewals as the main thread sees it. It never keeps the process alive.
 * Owns its life and the answers that it owes. Neighbour: `renewal-thread.entry.ts` is what runs in it.
 */
import { Worker } from 'node:worker_threads';
import { StoreUnavailableError } from '../../../core/model/store-errors.js';
import type { PodState, Renewed } from '../../../core/ports/claims.js';
import type { PlainConnectionOptions } from '../connection/options.js';
import type { HeartbeatOptions, RenewalArguments, Renewer } from './renewal-connection.js';
import { threadFile } from './renewal-thread.file.cjs';

export interface ThreadOptions extends HeartbeatOptions {
  readonly redis: PlainConnectionOptions;
  readonly blockLimitMs: number;
}

/** What the thread is told. */
export type ToThread =
  | {
      readonly kind: 'renew';
      readonly id: number;
      readonly renewals: readonly RenewalArguments[];
      readonly pod: PodState;
    }
  | { readonly kind: 'granted'; readonly renewals: readonly RenewalArguments[] }
  | { readonly kind: 'forget' };

/** What became of the renewal of that id. */
export interface FromThread {
  readonly id: number;
  readonly renewed?: Renewed;
  readonly error?: string;
}

interface Owed {
  resolve(renewed: Renewed): void;
  reject(error: Error): void;
}

export class RenewalThread implements Renewer {
  private readonly worker: Worker;
  private readonly owed = new Map<number, Owed>();
  private lastId = 0;
  private closed = false;

  /**
   * `onEnd` is told, before what is owed is rejected, that the thread has ended of itself: it could not be loaded, say.
   * @throws what Node throws when a thread can't be made, or an option can't be sent to it.
   */
  constructor(options: ThreadOptions, onEnd: (reason: Error) => void) {
    this.worker = new Worker(threadFile, {
      workerData: options,
      name: 'atomic-queues heartbeat',
      // What the application preloads (tracing, a compiler) has no business there.
      execArgv: [],
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    // Node refers to it again once it is up. While it is closed it holds the process: the application waits for that.
    this.worker.unref();
    this.worker.on('online', () => this.closed || this.worker.unref());
    this.worker.on('message', (message: FromThread) => this.onAnswer(message));
    let reason = new Error('it has ended');
    this.worker.on('error', error => {
      reason = error;
    });
    this.worker.on('exit', () => {
      if (!this.closed) onEnd(reason);
      this.end();
    });
  }

  renew(renewals: readonly RenewalArguments[], pod: PodState): Promise<Renewed> {
    return new Promise((resolve, reject) => {
      const id = ++this.lastId;
      this.owed.set(id, { resolve, reject });
      this.tell({ kind: 'renew', id, renewals, pod });
      if (this.closed) this.end();
    });
  }

  tell(message: ToThread): void {
    this.worker.postMessage(message);
  }

  /** Resolves when the thread has ended. */
  async close(): Promise<void> {
    this.end();
    await this.worker.terminate();
  }

  private onAnswer({ id, renewed, error }: FromThread): void {
    const owed = this.owed.get(id);
    this.owed.delete(id);
    if (renewed) owed?.resolve(renewed);
    else owed?.reject(new StoreUnavailableError(`Claims were not renewed: ${error}`));
  }

  private end(): void {
    this.closed = true;
    for (const { reject } of this.owed.values())
      reject(new StoreUnavailableError('The thread for renewals has ended.'));
    this.owed.clear();
  }
}
